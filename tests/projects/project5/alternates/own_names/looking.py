"""A file of the member's own: entries of attention maps, one query at a time."""

import torch


def entries(maps, queries, back):
    return torch.stack([maps[..., query, query - back] for query in queries])


def average(values):
    """(queries, layers, batch, heads) -> (layers, heads)."""
    return values.mean(0).mean(1)
