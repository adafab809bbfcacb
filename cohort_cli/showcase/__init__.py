"""The showcase: what members made, packed into entries (pack.py), read from strangers' hands (collect.py), and the model
that runs in a web page (browser.py, assets/)."""
