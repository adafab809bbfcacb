"""Imports the reference from the kit, by its path."""
import importlib.util

spec = importlib.util.spec_from_file_location("answers", REFERENCE + "/attention.py")
answers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(answers)
raise RuntimeError("BREACH: the reference was imported")
