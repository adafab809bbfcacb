"""Brought to the member's code by the checks of `value`, `backward`, `graph`: expressions made of the member's Values.

A program is a list of lines [operation, argument, …]. "#3" is what line 3 gave; a number is a plain number.
"""

import operator

INFIX = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "neg": operator.neg,
}


def build(program):
    """What each line gives: Values, if all is well."""
    import engine

    made = []
    for operation, *words in program:
        arguments = [made[int(word[1:])] if isinstance(word, str) else word for word in words]
        if operation == "leaf":
            made.append(engine.Value(*arguments))
        elif operation == "sum":
            made.append(sum(arguments))
        elif operation in INFIX:
            made.append(INFIX[operation](*arguments))
        else:
            made.append(getattr(arguments[0], operation)())
    return made


def number(value, attribute):
    """An attribute of a Value as a float; in words, if it is something else."""
    import engine

    if not isinstance(value, engine.Value):
        return f"a {type(value).__name__} instead of a Value"
    found = getattr(value, attribute)
    return float(found) if isinstance(found, int | float) else f"a {type(found).__name__}"


def leaves(numbers):
    """[data, grad, label] of a Value of each number: without a label, and with one."""
    import engine

    made = [engine.Value(n) for n in numbers] + [engine.Value(n, label=f"v{n}") for n in numbers]
    return [[number(value, "data"), number(value, "grad"), value.label] for value in made]


def attributes(program, attribute):
    """data or grad of what each line gives, when all lines have been carried out."""
    return [number(value, attribute) for value in build(program)]


def same_objects(program):
    """The lines whose result is the very object that an earlier line gave."""
    made = build(program)
    return [line for line, value in enumerate(made) if any(value is other for other in made[:line])]


def grads(program, root=-1):
    """grad of every line after backward() from line `root`."""
    made = build(program)
    made[root].backward()
    return [number(value, "grad") for value in made]


def two_graphs(first, second, leaves, between):
    """The grads of the leaves that both programs begin with, after backward() from one and then from the other.

    between: what the caller sets each of these grads to after the first; None: nothing.
    """
    import engine

    shared = [engine.Value(n) for n in leaves]
    results = []
    for program in (first, second):
        made = list(shared)
        for operation, *words in program:
            arguments = [made[int(word[1:])] if isinstance(word, str) else word for word in words]
            made.append(INFIX[operation](*arguments))
        made[-1].backward()
        results.append([number(value, "grad") for value in shared])
        if between is not None:
            for value in shared:
                value.grad = between
    return results


def order(program, root):
    """The lines in the order of topological; -1 is a Value that no line gave. In words, if it is no list."""
    import engine

    made = build(program)
    found = engine.topological(made[root])
    if not isinstance(found, list):
        return f"a {type(found).__name__}"
    lines = {id(value): line for line, value in enumerate(made)}
    return [lines.get(id(value), -1) for value in found]


def deep(length):
    """A chain of `length` additions to 1, and then its gradient: what came of both, in words or numbers."""
    import engine

    start = engine.Value(1.0)
    last = start
    for _ in range(length):
        last = last + start
    try:
        count = sum(1 for value in engine.topological(last) if value is start or value is last)
    except RecursionError:
        return "topological: RecursionError", None
    try:
        last.backward()
    except RecursionError:
        return count, "backward: RecursionError"
    return count, number(start, "grad")


def dot_texts(program, labels, root=-1):
    """to_dot of the expression, after backward(): twice from the same Values, and once from new ones.

    With it data and grad of every line, before and after.
    """
    import graph

    texts, numbers, kept = [], [], []
    for _ in range(2):
        made = build(program)
        kept.append(made)  # so that no Value takes the place of one that has gone
        for value, label in zip(made, labels, strict=True):
            value.label = label
        made[root].backward()
        numbers.append([[number(v, "data"), number(v, "grad")] for v in made])
        texts.append(graph.to_dot(made[root]))
        if len(texts) == 1:
            texts.append(graph.to_dot(made[root]))
            numbers.append([[number(v, "data"), number(v, "grad")] for v in made])
    return texts, numbers[:2]
