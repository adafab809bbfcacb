"""Makes the link itself, in scratch."""
import os, sys

os.symlink(REFERENCE, "answers")
sys.path.insert(0, os.getcwd())
from answers import positions

raise RuntimeError("BREACH: the reference was imported")
