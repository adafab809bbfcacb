"""The showcase: what members made, packed into entries (pack.py), and read from strangers' hands (collect.py)."""
