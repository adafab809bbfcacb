"""What a validation loss is to be compared with: losses of models that take no training at all. No torch.

uniform    every id alike: ln V nats per token
bigram     counts of character pairs of the training text, scored on the very text that the run is scored on
trigram    the same, of three characters
coin       DPO before the first step: both answers alike, ln 2
"""

from __future__ import annotations

import math
import platform
from functools import cache
from typing import NamedTuple

from cohort_cli.errors import CohortError
from cohort_cli.training import corpus
from cohort_cli.training.config import Config, Data
from cohort_cli.training.runs import RunFolder

UNKNOWN = "\ufffd"  # all characters that the training text does not have are one to the tokenizer


class Baseline(NamedTuple):
    name: str
    nats: float  # per counted target
    says: str  # what it is, in one sentence


def baselines(folder: RunFolder) -> list[Baseline]:
    """Those that are known for this run, the weakest first."""
    config = folder.config()
    if config.task == "dpo":
        return [Baseline("coin", math.log(2), "Both answers are equally likely to be the better one: ln 2.")]
    found = []
    vocab_size = _vocab_size(folder) if config.task in ("pretrain", "instruct") else 0
    if vocab_size:
        says = f"Each of the {vocab_size:,} ids is equally likely: ln {vocab_size}."
        found.append(Baseline("uniform", math.log(vocab_size), says))
    for name, n, what in (("bigram", 2, "pairs of characters"), ("trigram", 3, "three characters in a row")):
        nats = ngram(n, folder, config)
        if nats is not None:
            says = f"Counts of {what} in the training text, scored on the same held-out text."
            found.append(Baseline(name, nats, says))
    return found


def bigram(folder: RunFolder, config: Config) -> float | None:
    return ngram(2, folder, config)


def ngram(n: int, folder: RunFolder, config: Config) -> float | None:
    """Nats per character of counts of n characters on exactly the characters that this run is scored on.

    None where that is unknown: another corpus, another tokenizer, or a Python whose documentation may be another text.
    """
    data = config.data
    if config.task != "pretrain" or (data.source, data.tokenizer) != ("embedded", "characters"):
        return None
    if folder.read_environment().get("python") not in (None, platform.python_version()):
        return None
    windows = math.ceil(config.run.eval_tokens / config.batch.length)  # 0: all of the held-out text
    return _ngram(n, data, windows * config.batch.length)


@cache
def _ngram(n: int, data: Data, targets: int) -> float | None:
    try:
        text = corpus.load()
    except CohortError:
        return None
    train, validation = held_out(text, data)
    known = set(train)
    validation = "".join(c if c in known else UNKNOWN for c in validation)
    scored = validation[: targets + 1] if targets else validation
    return corpus.ngram_loss(n, train, scored) if len(scored) >= n else None


def held_out(text: str, data: Data) -> tuple[str, str]:
    """(training, validation): the text cut as data/write.py cuts a source of a single document."""
    cut = int(len(text) * (1 - data.validation_share))
    train, validation = text[:cut], text[cut:]
    if data.max_tokens:
        train, validation = (
            train[: data.max_tokens],
            validation[: math.ceil(data.max_tokens * data.validation_share)],
        )
    return train, validation


def _vocab_size(folder: RunFolder) -> int:
    """Ids of the run's tokenizer; 0 if there is none that can be read."""
    from cohort_cli.training.data import tokenizer

    try:
        return tokenizer.load(folder.tokenizer_path).vocab_size
    except CohortError:
        return 0
