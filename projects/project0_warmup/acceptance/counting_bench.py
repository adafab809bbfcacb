"""Brought to the member's code by the checks of `sampling` and `batches`: many draws in one call."""

import torch


def drawn(probs, times, seed):
    """(times,): ids drawn one after the other with one generator."""
    import sample

    generator = torch.Generator().manual_seed(seed)
    return torch.tensor([int(sample.draw(probs, generator)) for _ in range(times)])


def written(probs, start, length, times, seed):
    """(times, length): the new ids of texts written one after the other with one generator."""
    import sample

    generator = torch.Generator().manual_seed(seed)
    texts = [list(sample.generate(probs, list(start), length, generator)) for _ in range(times)]
    return torch.tensor([[int(id) for id in text[len(start) :]] for text in texts])


def windows(ids, batch_size, block_size, times, seed):
    """(times, batch_size, block_size): x of batches drawn one after the other with one generator."""
    import batches

    generator = torch.Generator().manual_seed(seed)
    found = [batches.get_batch(ids, batch_size, block_size, generator)[0] for _ in range(times)]
    return torch.stack([x.clone() for x in found])
