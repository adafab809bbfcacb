"""A link in the workspace leads to the reference's folder. (The test puts the link there.)"""
from answers import positions

raise RuntimeError("BREACH: the reference was imported")
