"""Brought to the member's code by the checks of `usecase`."""


def error_of(function, *args):
    """What a call says when it fails: (the kinds of its error, its words). ([], "") if it does not fail."""
    try:
        function(*args)
    except NotImplementedError:
        raise
    except Exception as error:
        return [kind.__name__ for kind in type(error).__mro__], str(error)
    return [], ""
