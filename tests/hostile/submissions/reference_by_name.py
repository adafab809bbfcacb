"""Puts the reference's folder first on sys.path and imports `attention` again."""
import importlib, sys

sys.path.insert(0, REFERENCE)
sys.modules.pop("attention", None)
sys.path_importer_cache.clear()
answers = importlib.import_module("positions")
if answers.__file__.startswith(REFERENCE):
    raise RuntimeError("BREACH: the reference was imported")
raise ImportError("not the reference")
