"""What does one training step cost, beside the loops that people use?

    python benchmarks/training_step.py [--turns 9] [--threads 1] [--quick]

The same model (recipe gpt2, float32) on the same tokens, at three shapes. Each contender is a process of its own; they
take turns, a few steps each, and never compute at the same time. A ratio is the median of the ratios of the turns, in
CPU seconds, user and system, of all threads together: a busy machine changes little. A goal stands beside its ratio;
exits with 1 when one is missed. --quick: few and short turns, no large vocabulary, no memory; its ratios are rough.

Memory is the peak of a whole process, with the libraries that it loads. At batch 4 weights, gradients, Adam's averages
and torch itself are most of it, for everybody alike; so it is measured at batch 32 too (8,192 tokens), and there the
goal is judged.

    ours        cohort_cli.training: models/gpt.py, optim.py, device.py, and torch's clipping; as for nanogpt, without
                what the loop does besides (metrics, events, asking whether to stop)
    nanogpt     its model and loop, written anew from its description (nanogpt.py); not compiled
    trainer     Hugging Face's GPT2LMHeadModel and Trainer, with its whole loop
    floor       the matrix products of one step, by the faster library, and nothing else
    ours mkl    ours with torch's usual library for products, as the others; only where ours takes another
    ours bf16   ours under bfloat16 autocast; only where the CPU has units for it

The last two are compared with no goal. The first says how much of our speed is the library's (models/linear.py).
"""

from __future__ import annotations

import argparse
import json
import os
import resource  # Linux and macOS
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import nanogpt
import torch
from torch import Tensor


class Shape(NamedTuple):
    n_layers: int
    d_model: int
    n_heads: int
    context: int
    batch: int
    vocab_size: int
    steps: int  # of each contender in a turn

    def __str__(self) -> str:
        return f"{self.n_layers} x {self.d_model}, context {self.context}, batch {self.batch}, V = {self.vocab_size:,}"


SHAPES = [
    Shape(4, 128, 4, 64, 12, 65, 20),
    Shape(6, 384, 6, 256, 4, 512, 3),
    Shape(6, 384, 6, 256, 4, 50304, 1),
]
LARGE = 10_000  # tokens: a vocabulary from here on is large
GOAL_NANOGPT = 1.00  # times its speed, at every shape
GOAL_NANOGPT_LARGE = 1.30  # with the large vocabulary
GOAL_TRAINER = 1.20
GOAL_MEMORY = 0.40  # of nanoGPT's, with the large vocabulary
LEARNING_RATE = 1e-3

Step = Callable[[], Any]


# --- the contenders: each gives a function that makes one step -------------------------------------------------


def batches(shape: Shape) -> Iterator[tuple[Tensor, Tensor]]:
    """The same random tokens for everybody: x and y (B, T)."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randint(shape.vocab_size, (8, shape.batch, shape.context + 1), generator=generator)
    while True:
        for row in rows:
            yield row[:, :-1], row[:, 1:]


def ours(shape: Shape, precision: str = "float32") -> Step:
    from cohort_cli.training.config import Model, Optimizer, Schedule
    from cohort_cli.training.models.gpt import build
    from cohort_cli.training.optim import build_optimizers, lr_share

    preset = Model(shape.n_layers, shape.d_model, shape.n_heads, shape.context)
    schedule = Schedule(steps=10_000, warmup_steps=100, shape="cosine")
    model = build(preset, shape.vocab_size)
    optimizers = build_optimizers(model, Optimizer(name="adamw", learning_rate=LEARNING_RATE))
    data, done = batches(shape), 0

    def step() -> None:
        nonlocal done
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * lr_share(done, schedule)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            _, loss = model(*next(data))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        loss.item()
        done += 1

    return step


def nano(shape: Shape) -> Step:
    model = nanogpt.GPT(
        shape.vocab_size, shape.n_layers, shape.d_model, shape.n_heads, shape.context, bias=True
    )
    optimizer = nanogpt.optimizer_of(model, LEARNING_RATE, beta2=0.95)
    data, done = batches(shape), 0

    def step() -> None:
        nonlocal done
        nanogpt.step(model, optimizer, *next(data), nanogpt.rate_at(done, LEARNING_RATE, 1e-4, 100, 10_000))
        done += 1

    return step


def trainer(shape: Shape) -> Step:
    """The Trainer has its own loop, so it runs in a thread of its own and is let go on step by step."""
    import threading

    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

    go, stopped = threading.Semaphore(0), threading.Semaphore(0)

    class Gate(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            stopped.release()
            go.acquire()

    data = batches(shape)
    rows = [row for _ in range(8) for row in next(data)[0]]
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=shape.vocab_size, n_positions=shape.context, n_embd=shape.d_model, n_layer=shape.n_layers,
            n_head=shape.n_heads, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
            bos_token_id=0, eos_token_id=0, use_cache=False,
        )
    )  # fmt: skip
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(), per_device_train_batch_size=shape.batch, max_steps=10**6, use_cpu=True,
        learning_rate=LEARNING_RATE, weight_decay=0.1, adam_beta2=0.95, warmup_steps=100, lr_scheduler_type="cosine",
        report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    loop = Trainer(
        model=model,
        args=arguments,
        train_dataset=[{"input_ids": row, "labels": row} for row in rows],
        callbacks=[Gate()],
    )
    threading.Thread(target=loop.train, daemon=True).start()
    stopped.acquire()

    def step() -> None:
        go.release()
        stopped.acquire()

    return step


@torch.no_grad()
def floor(shape: Shape) -> Step:
    """Three products for each matrix (forward, gradient of the input, gradient of the matrix) and, for attention, two
    forward and four backward, each over the half of the keys that a causal query may see."""
    from cohort_cli.training.models.linear import linear as product

    N, C, B, H, T = (
        shape.batch * shape.context, shape.d_model, shape.batch, shape.n_heads, shape.context,
    )  # fmt: skip
    linear = []
    for rows, columns in ((3 * C, C), (C, C), (4 * C, C), (C, 4 * C)):
        linear.append((torch.randn(N, columns), torch.randn(rows, columns), torch.randn(N, rows)))
    head = torch.randn(N, C), torch.randn(shape.vocab_size, C), torch.randn(N, shape.vocab_size)
    q, k, weights = (
        torch.randn(B * H, T, C // H), torch.randn(B * H, T // 2, C // H), torch.randn(B * H, T, T // 2),
    )  # fmt: skip
    out_q, out_k, out_weights = torch.empty_like(q), torch.empty_like(k), torch.empty_like(weights)

    def three(x: Tensor, w: Tensor, y: Tensor) -> None:
        product(x, w)
        product(y, w.T)
        product(y.T, x.T)

    def step() -> None:
        for _ in range(shape.n_layers):
            for group in linear:
                three(*group)
            for _ in range(2):
                torch.bmm(q, k.mT, out=out_weights)  # the scores; the gradient of the weights
                torch.bmm(weights, k, out=out_q)  # the output; the gradient of the queries
                torch.bmm(weights.mT, q, out=out_k)  # the gradients of keys and of values
        three(*head)

    return step


def ours_mkl(shape: Shape) -> Step:
    from cohort_cli.training.models import linear

    linear.onednn_is_faster = lambda: False  # type: ignore[assignment]
    return ours(shape)


CONTENDERS: dict[str, Callable[[Shape], Step]] = {
    "ours": ours,
    "nanogpt": nano,
    "trainer": trainer,
    "floor": floor,
    "ours mkl": ours_mkl,
    "ours bf16": lambda shape: ours(shape, "bfloat16"),
}


# --- processes ------------------------------------------------------------------------------------------------


def child(name: str, shape: Shape, threads: int) -> None:
    """Make as many steps as each line on standard input says, and tell what they cost."""
    torch.set_num_threads(threads)
    if name.startswith(("ours", "floor")):
        from cohort_cli.training.config import Hardware
        from cohort_cli.training.device import set_up_torch

        set_up_torch(Hardware(threads=threads))
    torch.manual_seed(1)
    step = CONTENDERS[name](shape)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            step()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        print(json.dumps({"cpu": cpu / int(line), "wall": wall / int(line), "peak": peak}), flush=True)
    os._exit(0)  # the Trainer's thread waits for ever


class Contender:
    def __init__(self, name: str, shape: Shape, threads: int) -> None:
        self.seconds: list[float] = []  # CPU, per step, of each turn
        self.wall: list[float] = []
        self.peak = 0.0  # bytes
        command = [sys.executable, __file__, "--child", name, "--shape", json.dumps(shape)]
        self.process = subprocess.Popen(
            [*command, "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"},
        )

    def turn(self, steps: int, counts: bool = True) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(steps, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        while line and not line.startswith('{"cpu"'):
            line = self.process.stdout.readline()  # a library said something
        if not line:
            sys.exit(f"{self.process.args[3]} ended early, with exit code {self.process.wait()}")  # type: ignore[index]
        said = json.loads(line)
        self.peak = said["peak"]
        if counts:
            self.seconds.append(said["cpu"])
            self.wall.append(said["wall"])

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(shape: Shape, names: list[str], turns: int, threads: int) -> dict[str, Contender]:
    contenders = {name: Contender(name, shape, threads) for name in names}
    try:
        for contender in contenders.values():
            contender.turn(2, counts=False)  # to warm up
        for number in range(turns):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                contenders[name].turn(shape.steps)
    finally:
        for contender in contenders.values():
            contender.close()
    return contenders


def ratio(a: list[float], b: list[float]) -> float:
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


# --- the report -----------------------------------------------------------------------------------------------


def report(shape: Shape, found: dict[str, Contender]) -> bool:
    """Print the table of one shape and its goals. Returns whether all are met."""
    base, mine = found["nanogpt"], found["ours"]
    print(f"\n{shape}\n{'':12}{'CPU ms':>9}{'wall ms':>9}{'speed':>8}{'peak MB':>9}   (speed: nanoGPT = 1)")
    for name, one in found.items():
        cpu, wall = statistics.median(one.seconds) * 1e3, statistics.median(one.wall) * 1e3
        print(f"{name:12}{cpu:9.1f}{wall:9.1f}{ratio(base.seconds, one.seconds):8.2f}{one.peak / 1e6:9.0f}")
    large = shape.vocab_size >= LARGE
    goals = [
        (
            "speed of ours, nanoGPT's = 1",
            ratio(base.seconds, mine.seconds),
            ">=",
            GOAL_NANOGPT_LARGE if large else GOAL_NANOGPT,
        ),
        (
            "speed of ours, the Trainer's = 1",
            ratio(found["trainer"].seconds, mine.seconds),
            ">=",
            GOAL_TRAINER,
        ),
    ]
    return judge(goals)


def memory(shape: Shape, threads: int) -> bool:
    """Peak memory of two steps, one contender after the other."""
    found = {}
    for name in ("ours", "nanogpt"):
        found[name] = Contender(name, shape, threads)
        found[name].turn(2)
        found[name].close()
    print(f"\n{shape}\n{'':12}{'peak MB':>9}")
    for name, one in found.items():
        print(f"{name:12}{one.peak / 1e6:9.0f}")
    share = found["ours"].peak / found["nanogpt"].peak
    return judge([("peak memory of ours, nanoGPT's = 1", share, "<=", GOAL_MEMORY)])


def judge(goals: list[tuple[str, float, str, float]]) -> bool:
    """Print each (what, value, >= or <=, goal). Returns whether all are met."""
    good = True
    for says, value, sign, goal in goals:
        met = value >= goal if sign == ">=" else value <= goal
        good = good and met
        print(f"  {says:38}{value:6.2f}   goal {sign} {goal:.2f}   {'met' if met else 'MISSED'}", flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=9, help="of each contender")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each contender")
    parser.add_argument("--quick", action="store_true", help="3 turns, no large vocabulary")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--shape", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, Shape(*json.loads(options.shape)), options.threads)
    from cohort_cli.training.device import bfloat16_is_fast
    from cohort_cli.training.models.linear import onednn_is_faster

    shapes = [shape for shape in SHAPES if shape.vocab_size < LARGE] if options.quick else SHAPES
    turns = 3 if options.quick else options.turns
    names = list(CONTENDERS)
    if not bfloat16_is_fast(torch.device("cpu")):
        names.remove("ours bf16")
    if not onednn_is_faster():
        names.remove("ours mkl")
    print(f"torch {torch.__version__}, {options.threads} threads, medians of {turns} turns")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = folder  # the Trainer wants a place to write
        good = [report(shape, measure(shape, names, turns, options.threads)) for shape in shapes]
        if not options.quick:
            good.append(memory(SHAPES[-1]._replace(batch=32), options.threads))
    print(f"\n{'all goals met' if all(good) else 'a goal was missed'}")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
