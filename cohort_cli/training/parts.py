"""Which part of a job is the member's own, and how the engine takes it in.

A part is a piece of a project that the engine can do itself: the model (Project 2), the batches, what decays, the
learning rate and clipping (Project 3). With `--model mine` each of them that passes its checks takes the place of
the engine's. The engine's other duties, such as checkpoints, stay its own, so that a mistake in a part cannot lose
a run.

A run's config.json keeps the parts under their names with the folder that each comes from:
{"model": "…/project2_transformer_block", "rate": "…/project3_pretrain_finetune"}
"""

from __future__ import annotations

import contextlib
import importlib
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from cohort_cli.catalog import find_project
from cohort_cli.errors import CohortError, NoWorkspace, UsageError
from cohort_cli.training.config import Config, Model
from cohort_cli.workspace import find_workspace

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer


class Part(NamedTuple):
    """One piece that can be the member's: the project and the steps whose checks vouch for it."""

    project: str
    steps: tuple[str, ...]
    file: str
    says: str


PARTS = {
    "model": Part("project2", ("attention", "mask", "heads", "fused", "layers", "block", "model"), "model.py", "GPT"),
    "gpt2": Part("project4", ("config", "model"), "gpt.py", "GPT"),
    "batches": Part("project3", ("windows",), "data.py", "get_batch"),
    "optimizer": Part("project3", ("schedule",), "schedule.py", "configure_optimizers"),
    "rate": Part("project3", ("schedule",), "schedule.py", "lr_at"),
    "clip": Part("project3", ("loop",), "loop.py", "clip_grad_norm"),
    "classifier": Part("project3", ("classify",), "classify.py", "SequenceClassifier"),
    "instructions": Part("project3", ("instruct",), "instruct.py", "format_example and sft_collate"),
    "lora": Part("project3", ("lora",), "lora.py", "apply_lora"),
    "preferences": Part("project3", ("dpo",), "dpo.py", "sequence_logprob and dpo_loss"),
}  # fmt: skip


class PartFailed(CohortError):
    """A member's part raised, or gave what the engine cannot use."""

    exit_code = 1


def needed(config: Config, project: str = "") -> list[str]:
    """The parts that this job uses, the network first. Project 4 pre-trains its own GPT-2."""
    names = ["gpt2" if project == "project4" and config.task == "pretrain" else "model", "rate", "clip"]
    if config.optimizer.name == "adamw":
        names.append("optimizer")
    names += {"pretrain": ["batches"], "classify": ["classifier"], "instruct": ["instructions"],
              "dpo": ["preferences"]}[config.task]  # fmt: skip
    return names + (["lora"] if config.lora.r else [])


class Parts:
    """The modules that a job takes from project folders: the member's, and for what the engine has no twin of, the
    reference's. Files of one folder import each other, never those of another, although their names are the same.

    A run folder may come from somebody else. So it cannot name just any code: only that of the workspace we are in, and
    the kit's own. Raises UsageError for other folders.
    """

    def __init__(self, folders: Mapping[str, str]) -> None:
        for part, folder in folders.items():
            if part not in PARTS or not _is_ours(part, folder):
                raise UsageError(
                    f"The run's {part} comes from {folder}, which is no project of this workspace.",
                    "Go to the workspace that the run was started in, or train with: --model reference",
                )
        self.folders = dict(folders)
        self._modules: dict[tuple[str, str], ModuleType] = {}

    def take(self, part: str, name: str) -> Any:
        """`name` out of the file of this part, or None if the part is not the member's."""
        if part not in self.folders:
            return None
        return self._named(part, self.folders[part], name)

    def take_or_reference(self, part: str, name: str) -> Any:
        """The same, but the reference's where the part is not the member's."""
        project = find_project(PARTS[part].project)
        return self._named(part, self.folders.get(part, str(project.reference)), name)

    def _named(self, part: str, folder: str, name: str) -> Any:
        file = PARTS[part].file
        try:
            return getattr(self._module(folder, file.removesuffix(".py")), name)
        except (ImportError, AttributeError, SyntaxError) as trouble:
            raise PartFailed(
                f"{Path(folder) / file} has no {name} that can be used: {trouble}.",
                f"cohort check {PARTS[part].project} {PARTS[part].steps[-1]}",
            ) from trouble

    def _module(self, folder: str, module: str) -> ModuleType:
        """The module, imported with this folder first on the path and no other folder's files of the same names."""
        if (folder, module) not in self._modules:
            names = {path.stem for path in Path(folder).glob("*.py")}
            others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
            mine = {name: m for (where, name), m in self._modules.items() if where == folder}
            sys.modules.update(mine)
            sys.path.insert(0, folder)
            try:
                importlib.import_module(module)
            finally:
                sys.path.remove(folder)
                for name in names & sys.modules.keys():
                    self._modules[folder, name] = sys.modules.pop(name)
                sys.modules.update(others)
        return self._modules[folder, module]


def _is_ours(part: str, folder: str) -> bool:
    project = find_project(PARTS[part].project)
    known = [project.reference]
    with contextlib.suppress(NoWorkspace):
        known.append(find_workspace().project_folder(project))
    return Path(folder).resolve() in [path.resolve() for path in known]


def wrong(part: str, gave: Any, wanted: str) -> PartFailed:
    """A part gave something that the engine cannot use."""
    its = PARTS[part]
    shape = f" of shape {tuple(gave.shape)}" if hasattr(gave, "shape") else ""
    shown = f"{gave!r}" if isinstance(gave, int | float | str | None) else f"a {type(gave).__name__}{shape}"
    return PartFailed(
        f"Your {its.says} ({its.file}) gave {shown[:80]}; it should give {wanted}.",
        f"cohort check {its.project} {its.steps[-1]}    or train with: --model reference",
    )


def network(parts: Parts) -> str:
    """Which part is the network, if it is the member's: that of Project 4, or that of Project 2."""
    return "gpt2" if "gpt2" in parts.folders else "model"


def model_of(parts: Parts, model: Model, vocab_size: int) -> nn.Module | None:
    """The member's GPT with this shape, or None.

    Raises UsageError for a switch that the GPT of Project 2 or 4 does not have.
    """
    part = network(parts)
    gpt, config = parts.take(part, "GPT"), parts.take(part, "GPTConfig")
    if gpt is None:
        return None
    beyond = {
        "model.positions": model.positions != "learned",
        "model.qk_norm": model.qk_norm != "no",
        "model.activation": model.activation != "gelu",
        "model.init": model.init != "gpt2",
        "model.tied": not model.tied,
        "model.norm": part == "gpt2" and model.norm != "layernorm",
        "model.d_ff": part == "gpt2" and model.d_ff != 4 * model.d_model,
    }
    for key, wanted in beyond.items():
        if wanted:
            raise UsageError(
                f"The GPT of {PARTS[part].project} has no switch for {key}, which this preset sets.",
                "Train the recipe gpt2 (--set model.recipe=gpt2), or use: --model reference",
            )
    shape = {
        "vocab_size": vocab_size, "n_layers": model.n_layers, "d_model": model.d_model, "n_heads": model.n_heads,
        "max_seq_len": model.context, "dropout": model.dropout, "bias": model.bias, "d_ff": model.d_ff,
        "norm": model.norm,
    }  # fmt: skip
    if part == "gpt2":
        shape = {
            "vocab_size": vocab_size, "n_layer": model.n_layers, "n_embd": model.d_model, "n_head": model.n_heads,
            "block_size": model.context, "dropout": model.dropout, "bias": model.bias,
        }  # fmt: skip
    made: nn.Module = gpt(config(**shape))
    return made


def optimizer_of(parts: Parts, model: nn.Module, config: Config) -> Optimizer | None:
    """The member's optimizer, each group with its "peak", or None."""
    configure = parts.take("optimizer", "configure_optimizers")
    if configure is None:
        return None
    given = config.optimizer
    optimizer: Optimizer = configure(
        model, lr=given.learning_rate, weight_decay=given.weight_decay, betas=(given.beta1, given.beta2)
    )
    if not hasattr(optimizer, "param_groups"):
        raise wrong("optimizer", optimizer, "a torch.optim.Optimizer")
    for group in optimizer.param_groups:
        group["peak"] = given.learning_rate
    return optimizer


def rate_of(parts: Parts, config: Config) -> Callable[[int], float] | None:
    """The member's schedule as a share of the peak, or None. It is a cosine; other shapes are the engine's."""
    lr_at = parts.take("rate", "lr_at")
    schedule = config.schedule
    if lr_at is None or schedule.shape != "cosine":
        return None

    def share(step: int) -> float:
        rate: float = lr_at(
            step,
            max_lr=1.0,
            min_lr=schedule.final_share,
            warmup_steps=schedule.warmup_steps,
            max_steps=schedule.steps,
        )
        if not isinstance(rate, int | float) or not 0 <= rate < math.inf:
            raise wrong("rate", rate, f"a learning rate of 0 or more (step {step})")
        return rate

    return share


def clip_of(parts: Parts) -> Callable[[list[nn.Parameter], float], Tensor] | None:
    clip = parts.take("clip", "clip_grad_norm")
    if clip is None:
        return None
    import torch

    def clipped(parameters: list[nn.Parameter], limit: float) -> Tensor:
        norm: Tensor = clip(parameters, limit or float("inf"))
        if not isinstance(norm, int | float) and not (isinstance(norm, torch.Tensor) and norm.numel() == 1):
            raise wrong("clip", norm, "one number, the norm before clipping")
        if not math.isfinite(float(norm)) and all(
            p.grad is None or p.grad.isfinite().all() for p in parameters
        ):
            raise wrong("clip", norm, "the norm of gradients that are all finite")
        return torch.as_tensor(norm)

    return clipped


def where(error: BaseException, folders: Mapping[str, str]) -> str:
    """The innermost line of the member's own code that led to this error, such as "model.py:12", or nothing."""
    import traceback

    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if any(path.is_relative_to(folder) for folder in folders.values()):
            return f"{path.name}:{frame.lineno}"
    return ""
