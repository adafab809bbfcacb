def total(x, dim):
    raise NotImplementedError("sums: total")


def normalise(x, dim):
    raise NotImplementedError("sums: normalise")


def count(n):
    raise NotImplementedError("sums: count")
