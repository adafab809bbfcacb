"""Three ways to a vocabulary: BPE, WordPiece and Unigram, and our BPE beside another one.

Hugging Face's `tokenizers` trains the other three. WordPiece and Unigram begin with the characters of the text, so a
character that did not occur is unknown to them; a byte never is. All four cut the text into the same words first.
"""

from __future__ import annotations

from typing import Any

from cohort_cli.tokens.experiments.lab import Lab, require, split
from cohort_cli.tokens.experiments.result import Cell, Result, Table, bars
from cohort_cli.tokens.formats import GPT2_SPLIT_PATTERN, printable

CORPORA = ("english", "german")
SIZE = 2048
UNKNOWN = "[UNK]"


def run(lab: Lab, corpora: dict[str, str]) -> Result:
    require("tokenizers")
    first = next(iter(corpora))
    learned, _ = split(first, corpora[first])
    used = {name: split(name, text)[1] for name, text in corpora.items()}
    lab.tell(f"{first}: our BPE")
    ours = set(lab.train([learned], SIZE).vocab.values())
    rows: list[list[Cell]] = []
    series: dict[str, list[float]] = {name: [] for name in used}
    for name, text in used.items():
        rate = lab.bytes_per_token(text)
        rows.append(["BPE (ours)", name, rate, 0.0, len(ours), len(ours)])
        series[name].append(rate)
    labels = ["BPE\n(ours)"]
    for label, build in {"BPE": _bpe, "WordPiece": _word_piece, "Unigram": _unigram}.items():
        lab.tell(f"{first}: {label} of tokenizers")
        other = build(learned)
        unknown = other.token_to_id(UNKNOWN)
        vocab = {_as_bytes(label, token) for token in other.get_vocab() if token != UNKNOWN}
        for name, text in used.items():
            ids = other.encode(text).ids
            rate = len(text.encode("utf-8")) / len(ids)
            rows.append(
                [
                    label,
                    name,
                    rate,
                    100 * ids.count(unknown) / len(ids),
                    other.get_vocab_size(),
                    len(ours & vocab),
                ]
            )
            series[name].append(rate)
        labels.append(label)
    columns = ["algorithm", "used on", "bytes per token", "% unknown", "vocabulary", "as in ours"]
    notes = [
        f"Learned from {first}, used on the last tenth of each text, which was not learned from.",
        "All cut the text into the same words first. as in ours: tokens that our BPE has too.",
        "WordPiece makes one token of a word that it does not know, so its bytes per token say less there.",
    ]
    table = Table("BPE, WordPiece and Unigram", columns, rows, notes)
    return Result(table, lambda figure: bars(figure, labels, series, "bytes per token, held-out text"))


def _bpe(text: str) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=SIZE, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def _word_piece(text: str) -> Any:
    from tokenizers import Tokenizer, models, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN, max_input_chars_per_word=len(text)))
    trainer = trainers.WordPieceTrainer(vocab_size=SIZE, special_tokens=[UNKNOWN], show_progress=False)
    return _train(tokenizer, trainer, text)


def _unigram(text: str) -> Any:
    from tokenizers import Tokenizer, models, trainers

    trainer = trainers.UnigramTrainer(
        vocab_size=SIZE, special_tokens=[UNKNOWN], unk_token=UNKNOWN, show_progress=False
    )
    return _train(Tokenizer(models.Unigram()), trainer, text)


def _train(tokenizer: Any, trainer: Any, text: str) -> Any:
    """Over the same words as ours."""
    from tokenizers import Regex, pre_tokenizers

    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(GPT2_SPLIT_PATTERN), "isolated")
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


_PRINTABLE = {printable(bytes([byte])): bytes([byte]) for byte in range(256)}


def _as_bytes(label: str, token: str) -> bytes:
    """What a token stands for."""
    if label == "BPE":
        return b"".join(_PRINTABLE[character] for character in token)
    return (token.removeprefix("##") if label == "WordPiece" else token).encode("utf-8")
