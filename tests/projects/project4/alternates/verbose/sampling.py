"""Step by step, with loops and plain Python numbers."""

import math

import torch
from cache import KVCache


def check_settings(temperature, top_k, top_p):
    if temperature < 0.0:
        raise ValueError("the temperature is negative")
    if math.isinf(temperature):
        raise ValueError("the temperature is infinite")
    if top_k is not None:
        if top_k < 1:
            raise ValueError("top_k must be at least 1")
    if top_p is not None:
        if top_p <= 0.0:
            raise ValueError("top_p must be above 0")
        if top_p > 1.0:
            raise ValueError("top_p must not be above 1")


def first_of_the_largest(numbers):
    best = 0
    for place in range(1, len(numbers)):
        if numbers[place] > numbers[best]:
            best = place
    return best


def ranking(numbers):
    """Places, that of the largest number first; of equal numbers the first one first."""
    places = list(range(len(numbers)))
    places.sort(key=lambda place: numbers[place], reverse=True)
    return places


def to_one(weights):
    whole = sum(weights)
    return [weight / whole for weight in weights]


def probabilities_of_one_row(row, temperature, top_k, top_p):
    if temperature == 0.0:
        result = [0.0] * len(row)
        result[first_of_the_largest(row)] = 1.0
        return result
    largest = max(row)
    probabilities = to_one([math.exp((number - largest) / temperature) for number in row])
    ranked = ranking(row)
    if top_k is not None:
        for place in ranked[top_k:]:
            probabilities[place] = 0.0
        probabilities = to_one(probabilities)
    if top_p is not None:
        together = 0.0
        for place in ranked:
            if together >= top_p:
                probabilities[place] = 0.0
            else:
                together = together + probabilities[place]
        probabilities = to_one(probabilities)
    return probabilities


def next_token_probs(logits, *, temperature=1.0, top_k=None, top_p=None):
    check_settings(temperature, top_k, top_p)
    rows = []
    for row in logits.tolist():
        rows.append(probabilities_of_one_row(row, temperature, top_k, top_p))
    return torch.tensor(rows, dtype=logits.dtype)


def draw_one(probabilities, chance):
    """The token in whose part of the line from 0 to 1 the number `chance` lies."""
    until_here = 0.0
    last_possible = 0
    for token in range(len(probabilities)):
        if probabilities[token] > 0.0:
            until_here = until_here + probabilities[token]
            last_possible = token
            if chance < until_here:
                return token
    return last_possible  # the sum was a little below 1


def draw(probabilities, generator):
    chances = torch.rand(probabilities.size(0), generator=generator, dtype=torch.float64).tolist()
    tokens = []
    for row, chance in zip(probabilities.tolist(), chances):
        tokens.append(draw_one(row, chance))
    return tokens


def generate(
    model,
    idx,
    max_new_tokens,
    *,
    temperature=1.0,
    top_k=None,
    top_p=None,
    eos_id=None,
    generator=None,
    use_cache=False,
):
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            texts = idx.tolist()
            ended = [False] * len(texts)
            cache = None
            for step in range(max_new_tokens):
                length = len(texts[0])
                if not use_cache or length > model.config.block_size:
                    window = [text[-model.config.block_size :] for text in texts]
                    logits, _ = model(torch.tensor(window))
                elif cache is None:
                    dtype = list(model.parameters())[0].dtype
                    cache = KVCache(model.config, len(texts), dtype=dtype)
                    logits, _ = model(torch.tensor(texts), kv_cache=cache)
                else:
                    newest = [[text[-1]] for text in texts]
                    logits, _ = model(torch.tensor(newest), kv_cache=cache)
                probabilities = next_token_probs(logits[:, -1, :], temperature=temperature, top_k=top_k, top_p=top_p)
                tokens = draw(probabilities, generator)
                for number, token in enumerate(tokens):
                    if ended[number]:
                        texts[number].append(eos_id)
                    else:
                        texts[number].append(token)
                        if eos_id is not None and token == eos_id:
                            ended[number] = True
                if all(ended):
                    break
            return torch.tensor(texts, dtype=torch.int64)
    finally:
        model.train(was_training)


def generate_batch(
    model,
    prompts,
    max_new_tokens,
    *,
    temperature=1.0,
    top_k=None,
    top_p=None,
    eos_id=None,
    generator=None,
):
    texts = [prompt.tolist() for prompt in prompts]
    for text in texts:
        if len(text) == 0:
            raise ValueError("an empty prompt")
        if len(text) + max_new_tokens > model.config.block_size:
            raise ValueError("a text would be too long")
    ended = [False for text in texts]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for step in range(max_new_tokens):
                if all(ended):
                    break
                width = max(len(text) for text in texts)
                filled = []
                for text in texts:
                    filling = [1] * (width - len(text))
                    filled.append(text + filling)
                logits, _ = model(torch.tensor(filled))
                own = []
                for number, text in enumerate(texts):
                    own.append(logits[number, len(text) - 1])
                probabilities = next_token_probs(torch.stack(own), temperature=temperature, top_k=top_k, top_p=top_p)
                tokens = draw(probabilities, generator)
                for number, token in enumerate(tokens):
                    if not ended[number]:
                        texts[number].append(token)
                        if eos_id is not None and token == eos_id:
                            ended[number] = True
    finally:
        model.train(was_training)
    return [torch.tensor(text, dtype=torch.int64) for text in texts]


class Beam:
    def __init__(self, tokens, new, total, ended):
        self.tokens = tokens
        self.new = new
        self.total = total
        self.ended = ended

    def score(self, length_penalty):
        if self.new == 0:
            return 0.0
        return self.total / self.new**length_penalty


def comes_before(one, other, length_penalty):
    return one.score(length_penalty) > other.score(length_penalty)


def insert_sorted(beams, beam, length_penalty):
    """Behind all that are better or equal."""
    place = len(beams)
    while place > 0 and comes_before(beam, beams[place - 1], length_penalty):
        place = place - 1
    beams.insert(place, beam)


def beam_search(model, idx, *, beam_width, max_new_tokens, length_penalty=0.0, eos_id=None):
    if beam_width < 1:
        raise ValueError("the beam must be at least 1 wide")
    if idx.size(0) != 1:
        raise ValueError("one row only")
    beams = [Beam(idx[0].tolist(), 0, 0.0, False)]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for step in range(max_new_tokens):
                if all(beam.ended for beam in beams):
                    break
                candidates = []
                for beam in beams:
                    if beam.ended:
                        insert_sorted(candidates, beam, length_penalty)
                        continue
                    window = torch.tensor([beam.tokens[-model.config.block_size :]])
                    logits, _ = model(window)
                    logprobs = torch.log_softmax(logits[0, -1], dim=-1).tolist()
                    for token in range(len(logprobs)):
                        ended = eos_id is not None and token == eos_id
                        longer = Beam(beam.tokens + [token], beam.new + 1, beam.total + logprobs[token], ended)
                        insert_sorted(candidates, longer, length_penalty)
                beams = candidates[:beam_width]
    finally:
        model.train(was_training)
    return [(torch.tensor(beam.tokens), beam.score(length_penalty)) for beam in beams]
