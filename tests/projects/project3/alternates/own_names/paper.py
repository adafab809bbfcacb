"""The inventory of a GPT-2: what there is of each piece."""

from functools import cached_property


class Inventory:
    def __init__(self, shape):
        self.shape = shape

    @cached_property
    def hidden(self):
        return self.shape.d_model * 4 if self.shape.d_ff is None else self.shape.d_ff

    @cached_property
    def tables(self):
        heads = 1 if self.shape.tied else 2
        return self.shape.d_model * (heads * self.shape.vocab_size + self.shape.max_seq_len)

    @cached_property
    def weights_of_a_block(self):
        d = self.shape.d_model
        return d * (4 * d + 2 * self.hidden) + 2 * d

    @cached_property
    def biases_of_a_block(self):
        d = self.shape.d_model
        return 3 * d + d + self.hidden + d + 2 * d if self.shape.bias else 0

    @cached_property
    def size(self):
        last = self.shape.d_model * (2 if self.shape.bias else 1)
        return self.tables + self.shape.n_layers * (self.weights_of_a_block + self.biases_of_a_block) + last

    def kept_per_token(self, small):
        d = self.shape.d_model
        return self.shape.n_layers * (4 * 2 * d + small * (2 * d + 3 * d + d + 2 * self.hidden))
