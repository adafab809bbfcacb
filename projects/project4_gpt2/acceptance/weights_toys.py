"""Brought to the member's code by the checks of `load` and `export`."""

import pathlib


def error_of(function, *args):
    """What a call says when it fails: (the kinds of its error, its words). ([], "") if it does not fail."""
    try:
        function(*args)
    except NotImplementedError:
        raise
    except Exception as error:
        return [kind.__name__ for kind in type(error).__mro__], str(error)
    return [], ""


def modes(model):
    """Whether any part of it is in training mode."""
    return any(part.training for part in model.modules())


class Tokenizer:
    """What GPT2Tokenizer promises, as far as a folder needs it."""

    eos_id = 6

    def save(self, folder):
        for name in ("vocab.json", "merges.txt"):
            (pathlib.Path(folder) / name).write_text(f"the tokenizer's {name}", encoding="utf-8")
