"""How fast does a GPT-2 of 124M parameters write, beside transformers' generate with the same weights?

    python benchmarks/generation.py [--turns 5] [--threads 1] [--quick]

Batch 1, greedy, float32, random weights of GPT-2's own shape. Contenders take turns; each ratio is the median of the
ratios of the turns. All write the same tokens, or this ends with an error. Exits with 1 when a goal is missed: at least
1.5 times transformers, and a token at the end of a full context costs at most 1.2 times one at its beginning.

    ours           the kit's network, as `cohort generate` uses it
    project 4      the reference of Project 4, with its key-value cache
    no cache       the kit's network, which sees the whole text again for each token
    transformers   GPT2LMHeadModel.generate, with its cache
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cohort_cli.catalog import find_project
from cohort_cli.training.config import Hardware
from cohort_cli.training.device import set_up_torch
from cohort_cli.training.models import gpt, linear, public

GOAL, FLAT = 1.5, 1.2
PROMPT, NEW, QUICK = 32, 64, 16  # tokens
EDGE = 64  # tokens at either end of the context, whose cost is compared
Writer = Callable[[Tensor, int], Tensor]  # (1, T) and how many more -> (1, T + more)


def models(folder: Path) -> tuple[Any, gpt.GPT, Any]:
    """transformers' model, ours, and that of Project 4's reference, with the same weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(1)
    theirs = GPT2LMHeadModel(GPT2Config()).eval()
    theirs.save_pretrained(folder)
    ours = public.load_public(str(folder)).eval()
    linear.lay_out_for_rows(ours)
    sys.path.insert(0, str(find_project("project4").reference))
    from weights import from_hf  # type: ignore[import-not-found]

    return theirs, ours, from_hf(folder).eval()


def contenders(theirs: Any, ours: gpt.GPT, project4: Any) -> dict[str, Writer]:
    from sampling import generate  # type: ignore[import-not-found]

    def no_cache(ids: Tensor, new: int) -> Tensor:
        for _ in range(new):
            logits = ours.lm_head(ours.hidden(ids)[:, -1])  # (1, V)
            ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
        return ids

    def transformers(ids: Tensor, new: int) -> Tensor:
        out: Tensor = theirs.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=new,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
        return out

    return {
        "ours": lambda ids, new: ours.generate(ids, new, temperature=0),
        "project 4": lambda ids, new: generate(project4, ids, new, temperature=0.0, use_cache=True),
        "no cache": no_cache,
        "transformers": transformers,
    }


def race(writers: dict[str, Writer], turns: int, new: int) -> bool:
    """All contenders in turn, in one run. Prints a table; returns whether the goal is met."""
    ids = torch.randint(50_257, (1, PROMPT), generator=torch.Generator().manual_seed(2))
    seconds: dict[str, list[float]] = {name: [] for name in writers}
    for turn in range(turns + 1):
        written = {}
        for name, write in writers.items():
            began = time.process_time()
            written[name] = write(ids, new)
            if turn:  # the first turn warms up
                seconds[name].append(time.process_time() - began)
        for name, text in written.items():
            if not torch.equal(text, written["transformers"]):
                sys.exit(f"{name} writes other tokens than transformers")
        if sys.stderr.isatty():
            print(f"turn {turn} of {turns}", file=sys.stderr)
    print(
        f"{PROMPT} tokens of prompt, {new} new ones\n{'':14}{'ms/token':>10}{'tokens/s':>10}   speed (transformers: 1)"
    )
    for name, found in seconds.items():
        cost = statistics.median(found) / new
        ratio = statistics.median(t / o for t, o in zip(seconds["transformers"], found, strict=True))
        print(f"{name:14}{cost * 1e3:10.1f}{1 / cost:10.1f}{ratio:8.2f}")
    ratio = statistics.median(t / o for t, o in zip(seconds["transformers"], seconds["ours"], strict=True))
    met = ratio >= GOAL
    print(f"ours over transformers {ratio:.2f}, goal at least {GOAL}: {'met' if met else 'MISSED'}")
    return met


def flat(ours: gpt.GPT, turns: int) -> bool:
    """The cost of a token where the context begins, and where it is nearly full; both in each turn."""
    ratios = []
    for _ in range(turns):
        costs = []
        ids = torch.randint(50_257, (1, EDGE), generator=torch.Generator().manual_seed(3))
        began = time.process_time()
        for count, _token in enumerate(ours.stream(ids, ours.context - 2 * EDGE, temperature=0), 1):
            if count % EDGE == 0:
                costs.append((time.process_time() - began) / EDGE)
                began = time.process_time()
        ratios.append(costs[-1] / costs[1])  # the first holds the prompt
    ratio = statistics.median(ratios)
    met = ratio <= FLAT
    print(f"a token near {ours.context:,} costs {ratio:.2f} of one near {2 * EDGE}, goal at most {FLAT}: "
          f"{'met' if met else 'MISSED'}")  # fmt: skip
    return met


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few tokens, and no full context")
    options = parser.parse_args()
    set_up_torch(Hardware(threads=options.threads))
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(prefix="cohort-") as folder, torch.no_grad():
        theirs, ours, project4 = models(Path(folder))
        print(
            f"torch {torch.__version__}, {options.threads} threads, medians of {options.turns} turns, CPU time"
        )
        good = [race(contenders(theirs, ours, project4), options.turns, QUICK if options.quick else NEW)]
        if not options.quick:
            good.append(flat(ours, max(1, options.turns // 2)))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
