"""What may stand beside a Value."""


def lift(kind, thing):
    return thing if isinstance(thing, kind) else kind(thing)
