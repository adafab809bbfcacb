"""What is done with gradients: adding them up, shortening them."""

import torch
from torch.nn.functional import cross_entropy


def length(vectors):
    return sum(v.pow(2).sum() for v in vectors) ** 0.5


def shorten(vectors, longest):
    now = length(vectors)
    if now > longest:
        for v in vectors:
            v.data = v.data.mul(longest / now)
    return now


class Precision:
    """A context manager: the forward pass in this precision."""

    names = ("float32", "bfloat16")

    def __init__(self, device, name):
        if name not in self.names:
            raise ValueError(f"precision {name}: use one of {self.names}")
        self.inner = torch.autocast(device, torch.bfloat16, enabled=name != "float32")

    def __enter__(self):
        return self.inner.__enter__()

    def __exit__(self, *problem):
        return self.inner.__exit__(*problem)


class Adder:
    """Adds up loss and gradients of the parts of one batch."""

    def __init__(self, network, skip, precision):
        self.network, self.skip, self.precision = network, skip, precision
        self.nats = 0.0

    def run(self, parts):
        live = [int(answer.ne(self.skip).sum()) for _, answer in parts]
        if sum(live) == 0:
            raise ValueError("every target is skipped")
        for question, answer in parts:
            with Precision(question.device.type, self.precision):
                scores = self.network(question)[0]
            if scores.element_size() < 4:
                scores = scores.float()
            nats = cross_entropy(
                scores.flatten(0, -2), answer.flatten(), ignore_index=self.skip, reduction="sum"
            )
            part = nats * (1 / sum(live))
            part.backward()
            self.nats += float(part)
        return self.nats
