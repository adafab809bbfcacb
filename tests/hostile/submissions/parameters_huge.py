"""A LayerNorm with a hundred million gains; as Python numbers they would take 3 GB. (In layers.py.)"""
