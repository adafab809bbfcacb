"""How fast does the engine of the showcase's pages write, beside onnxruntime-web in the same Chromium?

    python benchmarks/browser.py [--turns 7] [--quick] [--no-onnx]

GPT-2's architecture with random weights at 0.9 and 11 million parameters. A prompt of 32 tokens, then 64 tokens one by
one, on one thread. Contenders take turns, each in a fresh page of one browser, and each warms up first. A ratio is the
median of the ratios of the turns; the other numbers are the best of the turns, because others may use the machine.

    kernel        int8 weights, products in WebAssembly: what a page does
    JavaScript    the same file where a page may not use WebAssembly
    float32       the same network with its weights as they are, in JavaScript: only to see that logits are right
    ONNX float32  onnxruntime-web with a cache of keys and values
    ONNX int8     the same after onnxruntime's quantize_dynamic

"ready" is from the weights' bytes to a model that can be asked; for ONNX that is with fetching and compiling its own
14 MB, from this machine. "off" is the largest difference to torch's logits: of the same file for the engine's int8,
of the network in float32 for all others.

Exits with 1 when a goal is missed. Against the better of ONNX's two: at least 2 times the tokens per second at 0.9
million parameters, 1.4 times at 11 million, and a first token in at most twice the time. Alone: a first token within
100 ms at 11 million parameters, the kernel at least twice as fast as JavaScript, float32 logits within 1e-4 of torch's
and int8 within 1e-3, and scripts of at most 60 kB. onnx_web.py says what ONNX needs to be installed.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import onnx_web
import torch
from safetensors.torch import save

from cohort_cli.showcase.kernel import ASSETS
from cohort_cli.showcase.quantised import Flags, flags_of, load, network, quantise
from cohort_cli.training.config import Model

SCRIPTS = ("kernel.js", "weights.js", "sampling.js", "engine.js", "tokenizer.js")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
VOCABULARY, PROMPT, NEW, QUICK = 1024, 32, 64, 16
SHAPES = {"0.9 M": Model(4, 128, 4, 128), "11 M": Model(6, 384, 6, 256)}
GPT2 = {"positions": "learned", "norm": "layernorm", "qk_norm": "no", "activation": "gelu", "init": "gpt2"}
RATE_GOAL, PREFILL_GOAL, KERNEL_GOAL = {"0.9 M": 2.0, "11 M": 1.4}, 2.0, 2.0  # times
FIRST_GOAL, WEIGHT_GOAL = 100.0, 60_000  # ms, bytes
OURS, PLAIN, FLOAT, ONNX = "kernel", "JavaScript", "float32", ("ONNX float32", "ONNX int8")
# contender -> (file, how a page makes a model of it; largest difference of its logits that is allowed)
ENGINE = "cohort.load(bytes, {{ kernel: {} }})"
CONTENDERS = {
    OURS: ("int8.safetensors", ENGINE.format("true"), 1e-3),
    PLAIN: ("int8.safetensors", ENGINE.format("false"), 1e-3),
    FLOAT: ("float32.safetensors", ENGINE.format("true"), 1e-4),
    ONNX[0]: ("float32.onnx", "onnx(bytes, sizes)", 1e-4),
    ONNX[1]: ("int8.onnx", "onnx(bytes, sizes)", 1.0),
}
MEASURE = """
globalThis.onnx = async (bytes, [L, H, D]) => { // onnxruntime-web behind the engine's names
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = "./";
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  const empty = new ort.Tensor("float32", new Float32Array(0), [L, 2, 1, H, 0, D]);
  let past = empty;
  return {
    reset() { past = empty; },
    async feed(ids) {
      const given = new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]);
      const { logits, kept } = await session.run({ ids: given, past });
      past = kept;
      return logits.data;
    },
  };
};
globalThis.measure = async (file, make, sizes, prompt, count) => {
  const bytes = new Uint8Array(await (await fetch(file)).arrayBuffer());
  const began = performance.now(), model = await make(bytes, sizes), ready = performance.now() - began;
  const logits = [...await model.feed(prompt)];
  const prefill = async () => {
    model.reset();
    const start = performance.now();
    await model.feed(prompt);
    return performance.now() - start;
  };
  const write = async () => {
    await prefill();
    const start = performance.now();
    for (let n = 0; n < count; n++) await model.feed([(7 * n) % 1024]);
    return (1000 * count) / (performance.now() - start);
  };
  await write(), await write(); // to warm up
  const firsts = [];
  for (let n = 0; n < 7; n++) firsts.push(await prefill());
  return { ready, first: firsts.sort((a, b) => a - b)[3], rate: await write(), logits };
};
"""


class Row(NamedTuple):
    ready: float  # ms
    first: float  # ms from the prompt to the first token's logits
    rate: float  # tokens per second behind it
    off: float


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server for these files, on this machine only."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextmanager
def browser(address: str) -> Iterator[Callable[..., dict[str, Any]]]:
    """Asks a fresh page of a Chromium to measure a contender."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        raise SystemExit(f"There is no Chromium on the PATH ({', '.join(CHROMIUM)}).")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        program = playwright.chromium.launch(
            executable_path=path, args=["--disable-gpu", *(["--no-sandbox"] if root else [])]
        )

        def ask(contender: str, *given: Any) -> dict[str, Any]:
            file, make, _ = CONTENDERS[contender]
            page = program.new_page()
            page.goto(f"{address}index.html")
            call = f"(given) => measure('{file}', async (bytes, sizes) => {make}, ...given)"
            found: dict[str, Any] = page.evaluate(call, list(given))
            page.close()
            return found

        yield ask
        program.close()


def put_models(shape: Model, folder: Path, with_onnx: bool) -> tuple[Flags, dict[str, torch.Tensor]]:
    """One network in each contender's format."""
    torch.manual_seed(1)
    flags = flags_of(shape, VOCABULARY)
    tensors = {
        name: torch.randn(tensor.shape) * 0.02 + (1.0 if name.split(".")[-2].startswith("ln") else 0.0)
        for name, tensor in network(flags).state_dict().items()
        if name != "lm_head.weight"
    }
    (folder / "int8.safetensors").write_bytes(quantise(flags, tensors))
    (folder / "float32.safetensors").write_bytes(save(tensors, flags))
    if with_onnx:
        onnx_web.export(network(flags, tensors), folder)
    return flags, tensors


def put_page(folder: Path, with_onnx: bool) -> None:
    for name in SCRIPTS:
        shutil.copyfile(ASSETS / name, folder / name)
    if with_onnx:
        onnx_web.put_scripts(folder)
    (folder / "measure.js").write_text(MEASURE, encoding="utf-8")
    names = (*SCRIPTS, *onnx_web.SCRIPTS[: 1 if with_onnx else 0], "measure.js")
    tags = "".join(f'<script src="{name}"></script>' for name in names)
    (folder / "index.html").write_text(f"<!doctype html><title>engines</title>{tags}", encoding="utf-8")


@torch.no_grad()
def measured(shape: Model, folder: Path, turns: int, count: int, with_onnx: bool) -> dict[str, list[Row]]:
    """contender -> a row a turn"""
    flags, tensors = put_models(shape, folder, with_onnx)
    prompt = torch.randint(VOCABULARY, (1, PROMPT))
    exact = network(flags, tensors)(prompt)[0][0, -1]
    rough = load(folder / "int8.safetensors")(prompt)[0][0, -1]
    sizes = [shape.n_layers, shape.n_heads, shape.d_model // shape.n_heads]
    names = [name for name in CONTENDERS if with_onnx or name not in ONNX]
    rows: dict[str, list[Row]] = {name: [] for name in names}
    with served(folder) as address, browser(address) as ask:
        for turn in range(turns):
            start = turn % len(names)
            for name in names[start:] + names[:start]:
                if name == FLOAT and turn > 0:
                    continue  # it is slow, and its logits do not change
                found = ask(name, sizes, prompt[0].tolist(), count)
                expected = rough if name in (OURS, PLAIN) else exact
                off = float((torch.tensor(found["logits"]) - expected).abs().max())
                rows[name].append(Row(found["ready"], found["first"], found["rate"], off))
    return rows


def missed_in(name: str, rows: dict[str, list[Row]]) -> Iterator[str]:
    """Prints the ratios; yields what misses a goal."""
    ours = rows[OURS]
    for contender, found in rows.items():
        if (off := max(row.off for row in found)) > CONTENDERS[contender][2]:
            yield f"the logits of {contender} are off by {off:.1e} at {name}"
    first = min(row.first for row in ours)
    if first > FIRST_GOAL:
        yield f"the first token takes {first:.0f} ms at {name}"
    times = median(us.rate / them.rate for us, them in zip(ours, rows[PLAIN], strict=True))
    print(f"tokens/s: {times:.1f} times JavaScript's", end="")
    if times < KERNEL_GOAL:
        yield f"the kernel is {times:.1f} times as fast as JavaScript at {name}"
    if ONNX[0] in rows:
        both = list(zip(rows[ONNX[0]], rows[ONNX[1]], strict=True))
        times = median(us.rate / max(a.rate, b.rate) for us, (a, b) in zip(ours, both, strict=True))
        waits = median(us.first / min(a.first, b.first) for us, (a, b) in zip(ours, both, strict=True))
        print(f", {times:.2f} times ONNX's (goal {RATE_GOAL[name]}); ", end="")
        print(f"first token: {waits:.2f} times as long as ONNX (at most {PREFILL_GOAL})", end="")
        if times < RATE_GOAL[name]:
            yield f"{times:.2f} times ONNX's tokens per second at {name}"
        if waits > PREFILL_GOAL:
            yield f"the first token takes {waits:.2f} times as long as ONNX's at {name}"
    print("\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help=f"one turn of {QUICK} tokens")
    parser.add_argument("--no-onnx", action="store_true", help="the engine alone, with nothing to install")
    asked = parser.parse_args()
    with_onnx = not asked.no_onnx
    if with_onnx and (lacks := onnx_web.missing()):
        print(f"To compare with ONNX: pip install {' '.join(lacks)}. Without: --no-onnx", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    missed = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        put_page(folder, with_onnx)
        weight = sum((folder / name).stat().st_size for name in SCRIPTS)
        print(f"page without weights: {weight / 1000:,.1f} kB", end="")
        if with_onnx:
            theirs = sum((folder / name).stat().st_size for name in onnx_web.SCRIPTS)
            print(f"; onnxruntime-web {onnx_web.VERSION}: {theirs / 1000:,.1f} kB", end="")
        print("\n")
        if weight > WEIGHT_GOAL:
            missed.append(f"scripts of {weight} bytes")
        for name, shape in SHAPES.items():
            shape = shape._replace(**GPT2, d_ff=4 * shape.d_model)
            turns, count = (1, QUICK) if asked.quick else (asked.turns, NEW)
            rows = measured(shape, folder, turns, count, with_onnx)
            total = sum(tensor.numel() for tensor in network(flags_of(shape, VOCABULARY)).parameters())
            print(
                f"{f'{total:,} parameters':<22} {'file':>9} {'ready':>9} {'first token':>12} {'tokens/s':>9} {'off':>8}"
            )
            for contender, found in rows.items():
                size = (folder / CONTENDERS[contender][0]).stat().st_size / 1e6
                ready, first = min(row.ready for row in found), min(row.first for row in found)
                rate = max(row.rate for row in found)
                print(
                    f"{contender:<22} {size:>6.2f} MB {ready:>6.0f} ms {first:>9.1f} ms {rate:>9,.0f}", end=""
                )
                print(f" {max(row.off for row in found):>8.1e}")
            missed += missed_in(name, rows)
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
