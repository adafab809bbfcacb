"""The doors of writer.py, chances.py and hypotheses.py."""

from chances import rules_for
from hypotheses import search
from writer import Borrowed, Dice, Writer, dice_for


def next_token_probs(logits, *, temperature=1.0, top_k=None, top_p=None):
    return Dice(rules_for(temperature, top_k, top_p), None).odds(logits)


def generate(
    model, idx, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None, use_cache=False
):
    dice = dice_for(temperature, top_k, top_p, generator)
    with Borrowed(model) as network:
        return Writer(network, dice, eos_id, use_cache).write(idx, max_new_tokens)


def generate_batch(
    model, prompts, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    longest = max((len(prompt) for prompt in prompts), default=0)
    if any(len(prompt) == 0 for prompt in prompts):
        raise ValueError("an empty prompt")
    if longest + max_new_tokens > model.config.block_size and prompts:
        raise ValueError(f"{longest} and {max_new_tokens} do not fit")
    dice = dice_for(temperature, top_k, top_p, generator)
    with Borrowed(model) as network:
        return Writer(network, dice, eos_id).write_ragged(prompts, max_new_tokens)


def beam_search(model, idx, *, beam_width, max_new_tokens, length_penalty=0.0, eos_id=None):
    if beam_width < 1 or idx.ndim != 2 or idx.shape[0] != 1:
        raise ValueError("one row, and a width of at least 1")
    with Borrowed(model) as network:
        return search(network, idx[0].tolist(), beam_width, max_new_tokens, length_penalty, eos_id)
