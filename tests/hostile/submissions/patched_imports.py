"""Puts its own import system in front, and offers a `layers` of its own."""
import sys, types

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None

sys.meta_path.insert(0, Finder)
sys.path_hooks.insert(0, lambda path: (_ for _ in ()).throw(ImportError))
sys.modules["layers"] = types.ModuleType("layers")

def softmax(x, dim):
    return torch.zeros_like(x)
