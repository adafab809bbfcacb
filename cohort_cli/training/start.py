"""Where the weights of a fine-tuning job start: a run of one's own, a checkpoint, or GPT-2's public weights.

"run:NAME"         the best checkpoint of that run (the newest where none was measured)
"path/to/step-…"   one checkpoint; its run's folder lies two levels above
"hf:gpt2-xl"       public weights, through `transformers`
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cohort_cli.errors import UsageError
from cohort_cli.training import kept
from cohort_cli.training.config import Config, Model
from cohort_cli.training.places import runs_home
from cohort_cli.training.runs import RunFolder, find_run

if TYPE_CHECKING:
    from torch import nn

    from cohort_cli.training.data.tokenizer import Tokenizer

RUN, HUB = "run:", "hf:"
TAKEN_OVER = (
    "n_layers", "d_model", "n_heads", "context", "recipe", "vocab_size", "padded_to", "d_ff", "bias", "tied",
    "positions", "norm", "qk_norm", "activation", "init",
)  # fmt: skip


def run_of(start_from: str) -> RunFolder | None:
    """The run that these words name, or None if they name none."""
    if not start_from or start_from.startswith(HUB):
        return None
    if start_from.startswith(RUN):
        return find_run(runs_home(), start_from.removeprefix(RUN))
    return RunFolder.open(Path(start_from).expanduser().absolute().parent.parent)


def chosen(start_from: str) -> Path | None:
    """The checkpoint that these words name now; None for none, and for public weights."""
    run = run_of(start_from)
    if run is None:
        return None
    if start_from.startswith(RUN):
        return kept.choose(run, "best").path
    return Path(start_from).expanduser().absolute()


def adopt(config: Config) -> Config:
    """The config with the shape of the network that it starts from, where that is a run."""
    run = run_of(config.model.start_from)
    if run is None:
        return config
    theirs = run.config().model
    model = config.model._replace(**{key: getattr(theirs, key) for key in TAKEN_OVER})
    batch = config.batch._replace(length=min(config.batch.length, model.context))
    return config._replace(model=model, batch=batch)


def tokenizer_of(start_from: str) -> Tokenizer | None:
    """The tokenizer that goes with these weights; None: the configuration names it."""
    from cohort_cli.training.data import tokenizer

    run = run_of(start_from)
    if run is not None:
        return tokenizer.load(run.tokenizer_path)
    return tokenizer.gpt2() if start_from.startswith(HUB) else None


def load_weights(model: nn.Module, shape: Model, vocab_size: int) -> None:
    """Put the weights that `shape.start_from` names into the model. Raises UsageError if there are none."""
    if not shape.start_from:
        return
    from cohort_cli.training import saving

    if shape.start_from.startswith(HUB):
        from cohort_cli.training.models.public import load_public

        public = saving.model_tensors(load_public(shape.start_from))
        saving.load_model(model, public, shape.start_from)
        return
    loaded = load_checkpoint(shape.start_from)
    saving.load_model(model, loaded.tensors["model"], str(loaded.path))


def load_checkpoint(start_from: str) -> Any:
    """The checkpoint that these words name: that of a run, or one folder."""
    from cohort_cli.training import checkpoint

    if not start_from.startswith(RUN):
        return checkpoint.load(Path(start_from).expanduser().absolute())
    run = run_of(start_from)
    assert run is not None
    best = checkpoint.best(run.checkpoints)
    loaded = checkpoint.load(best) if best else checkpoint.load_newest(run.checkpoints, lambda text: None)
    if loaded is None:
        raise UsageError(f"The run {run.root.name} has no checkpoint yet.", "cohort runs list")
    return loaded
