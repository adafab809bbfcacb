"""What a training job is made of: a preset in TOML, read into typed records that refuse unknown keys.

    Config ── model        the network: a recipe, its shape, its switches, and where its weights start from
           ── data         which text, cut into tokens by what
           ── batch        how many sequences make one optimizer step
           ── optimizer, schedule
           ── lora, dpo    only for fine-tuning
           ── hardware     device, number format, processes
           ── run          how often to measure, sample and save

Each number's unit stands beside it. This file imports no torch: `plan`, `runs` and `--help` read presets too.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from cohort_cli.errors import BrokenManifest, UsageError
from cohort_cli.manifest import WrongType, build, convert, did_you_mean, line_of, load_toml, require_schema

SCHEMA = "cohort.preset/1"
TASKS = ("pretrain", "classify", "instruct", "dpo")
AUTO = "auto"


class Model(NamedTuple):
    """The network. `recipe` sets the switches below it that a preset leaves at "auto" (see RECIPES)."""

    n_layers: int
    d_model: int
    n_heads: int
    context: int  # tokens; GPT-2 calls it n_positions, Project 2 max_seq_len
    recipe: str = "gpt2"  # or "modern"
    vocab_size: int = 0  # tokens; 0: as many as the data's tokenizer has, which `padded_to` rounds up
    padded_to: int = (
        1  # the vocabulary is rounded up to a multiple of this: matrix units like multiples of 64
    )
    d_ff: int = 0  # width of the MLP; 0: 4 * d_model
    dropout: float = 0.0
    bias: bool = True  # of linear layers and norms
    tied: bool = True  # one matrix for embedding and head
    start_from: str = ""  # "": random; "run:NAME", a checkpoint's folder, or "hf:gpt2-xl" for public weights
    train_blocks: int = 0  # fine-tuning: only the last so many blocks learn, and the last norm; 0: everything
    # The switches. "auto" is what the recipe says; each can be set alone, to see what it buys.
    positions: str = AUTO  # "learned" or "rope"
    norm: str = AUTO  # "layernorm" or "rmsnorm"
    qk_norm: str = AUTO  # "no" or "yes": normalise queries and keys of each head
    activation: str = AUTO  # "gelu" (tanh form, as GPT-2) or "relu2" (squared ReLU)
    init: str = AUTO  # "gpt2" or "zero": projections back into the residual stream start at 0


class Data(NamedTuple):
    source: str = "embedded"  # "embedded", a name from `cohort data list`, "hf:OWNER/NAME", or a local file
    tokenizer: str = "characters"  # or "gpt2", "mine" (Project 1's), or a tokenizer.json
    shard_tokens: int = 100_000_000  # tokens per shard file
    validation_share: float = 0.1  # of the tokens of a source that has no validation split
    max_tokens: int = 0  # stop preparing after this many tokens; 0: all
    text_field: str = "text"  # the column of a data set that holds the text


class Batch(NamedTuple):
    sequences: int  # per optimizer step, over all processes and micro-batches
    micro_sequences: int = 0  # per forward pass and process; 0: as many as fit into one pass
    length: int = 0  # tokens per sequence; 0: model.context


class Optimizer(NamedTuple):
    name: str = AUTO  # "adamw" or "muon" (Muon for matrices inside blocks, AdamW for the rest)
    learning_rate: float = 3e-4  # peak, of AdamW
    muon_learning_rate: float = 0.02  # peak, of Muon
    weight_decay: float = 0.1  # of matrices and embeddings; biases and gains do not decay
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-8
    clip_norm: float = 1.0  # largest L2 norm of the whole gradient; 0: no clipping


class Schedule(NamedTuple):
    steps: int  # optimizer steps
    warmup_steps: int = 0
    shape: str = AUTO  # "cosine", "linear" or "constant"
    final_share: float = 0.1  # of the peak, at the last step


class Lora(NamedTuple):
    r: int = 0  # rank; 0: all weights are trained
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ("c_attn",)  # last parts of the names of the linear layers


class Dpo(NamedTuple):
    beta: float = 0.1  # strength of the pull towards the reference model


class Hardware(NamedTuple):
    device: str = AUTO  # "cpu", "cuda", "mps"
    precision: str = AUTO  # "float32" or "bfloat16" (autocast); auto: bfloat16 only where the units exist
    compile: bool = False  # torch.compile; costs 15 to 100 s before the first step
    parallel: str = AUTO  # with several processes: "ddp" or "fsdp" (FSDP2, shards weights and optimizer)
    activation_checkpointing: bool = False  # compute each block again in the backward pass, to save memory
    threads: int = 0  # CPU threads per process; 0: all cores, shared by the processes


class Run(NamedTuple):
    log_every: int = 1  # steps
    eval_every: int = 100  # steps; the last step is always evaluated
    eval_tokens: int = 0  # tokens of the validation text to score; 0: all of it
    sample_every: int = 0  # steps; 0: only at the end
    sample_prompt: str = "The "
    sample_tokens: int = 200
    checkpoint_every: int = 100  # steps; the last step is always saved
    checkpoint_minutes: float = 15.0  # and after this many minutes, whichever comes first
    keep: int = 2  # newest checkpoints that stay, beside the best one
    seed: int = 1
    tensorboard: bool = False


class Config(NamedTuple):
    """One job, whole. `preset` is the name that it came from."""

    preset: str
    title: str
    task: str
    model: Model
    data: Data
    batch: Batch
    optimizer: Optimizer
    schedule: Schedule
    lora: Lora
    dpo: Dpo
    hardware: Hardware
    run: Run


RECIPES: dict[str, dict[str, dict[str, str]]] = {
    "gpt2": {
        "model": {"positions": "learned", "norm": "layernorm", "qk_norm": "no", "activation": "gelu", "init": "gpt2"},
        "optimizer": {"name": "adamw"},
        "schedule": {"shape": "cosine"},
    },
    "modern": {
        "model": {"positions": "rope", "norm": "rmsnorm", "qk_norm": "yes", "activation": "relu2", "init": "zero"},
        "optimizer": {"name": "muon"},
        "schedule": {"shape": "linear"},
    },
}  # fmt: skip
CHOICES = {
    "task": TASKS,
    "model.recipe": tuple(RECIPES),
    "model.positions": ("learned", "rope"),
    "model.norm": ("layernorm", "rmsnorm"),
    "model.qk_norm": ("no", "yes"),
    "model.activation": ("gelu", "relu2"),
    "model.init": ("gpt2", "zero"),
    "optimizer.name": ("adamw", "muon"),
    "schedule.shape": ("cosine", "linear", "constant"),
    "hardware.device": (AUTO, "cpu", "cuda", "mps"),
    "hardware.precision": (AUTO, "float32", "bfloat16"),
    "hardware.parallel": (AUTO, "ddp", "fsdp"),
}
SECTIONS: dict[str, Any] = {
    "model": Model, "data": Data, "batch": Batch, "optimizer": Optimizer, "schedule": Schedule,
    "lora": Lora, "dpo": Dpo, "hardware": Hardware, "run": Run,
}  # fmt: skip
# Keys, what their values must be, and the same in words. Infinity and "not a number" are refused everywhere.
LIMITS: tuple[tuple[str, Callable[[float], bool], str], ...] = (
    (
        "model.n_layers model.d_model model.n_heads model.context model.d_ff model.padded_to batch.sequences "
        "batch.micro_sequences batch.length schedule.steps run.log_every run.eval_every run.checkpoint_every "
        "run.keep data.shard_tokens",
        lambda value: value >= 1,
        "at least 1",
    ),
    (
        "model.vocab_size model.train_blocks data.max_tokens schedule.warmup_steps optimizer.weight_decay "
        "optimizer.clip_norm lora.r run.eval_tokens run.sample_every",
        lambda value: value >= 0,
        "0 or more",
    ),
    ("run.seed", lambda value: 0 <= value < 2**63, "from 0 to below 2^63"),
    ("run.sample_tokens", lambda value: 0 <= value <= 10_000, "from 0 to 10,000"),
    ("hardware.threads", lambda value: 0 <= value <= 1024, "from 0 to 1,024"),
    (
        "optimizer.learning_rate optimizer.muon_learning_rate optimizer.eps lora.alpha dpo.beta run.checkpoint_minutes",
        lambda value: value > 0,
        "above 0",
    ),
    (
        "model.dropout lora.dropout optimizer.beta1 optimizer.beta2",
        lambda value: 0 <= value < 1,
        "from 0 to below 1",
    ),
    ("schedule.final_share", lambda value: 0 <= value <= 1, "from 0 to 1"),
    ("data.validation_share", lambda value: 0 < value < 1, "between 0 and 1"),
)


def load_preset(path: Path, settings: Iterable[str] = ()) -> Config:
    """Read jobs/NAME.toml, with `settings` such as "schedule.steps=200" on top.

    Raises BrokenManifest (file, line, key and what was probably meant) or UsageError (for a setting).
    """
    table = load_toml(path)
    require_schema(table, SCHEMA, path)
    _checked(_config(path, table), str(path), path)
    changed = [_apply(table, setting) for setting in settings]
    config = _config(path, table)
    if trouble := _first_trouble(config):
        if trouble.key in changed:
            raise UsageError(f"--set {trouble.key}: {trouble.says}.", "Give it another value.")
        raise UsageError(
            f"With these settings, {trouble.key} of {path.name} {trouble.says}.",
            f"Set it too: --set {trouble.key}=…",
        )
    return config


def apply_settings(config: Config, settings: Iterable[str]) -> Config:
    """A configuration with settings on top. Raises UsageError for one that does not fit."""
    table = json.loads(json.dumps(to_dict(config)))
    table.pop("preset")
    for setting in settings:
        _apply(table, setting)
    changed = _config(Path(f"{config.preset}.toml"), table)
    if trouble := _first_trouble(changed):
        raise UsageError(f"--set {trouble.key}: {trouble.says}.", "Give it another value.")
    return changed


def _config(path: Path, table: dict[str, Any]) -> Config:
    """The records of a preset's tables, resolved but not checked yet."""
    known = ["schema", "title", "task", *SECTIONS]
    for key, value in table.items():
        if key not in known:
            raise BrokenManifest(f"{path}{line_of(path, key)}: unknown key {key!r}.", _meant(key, known))
        if key in SECTIONS and isinstance(value, dict):
            own = list(SECTIONS[key]._fields)
            for name in value:
                if name not in own:
                    line = line_of(path, name, f"[{key}]")
                    raise BrokenManifest(f"{path}{line}: unknown key {name!r} in [{key}].", _meant(name, own))
        elif key not in SECTIONS and not isinstance(value, str):
            raise BrokenManifest(f"{path}{line_of(path, key)}: {key!r} must be text in quotes.")
    parts = {name: build(cls, table.get(name, {}), path, f"[{name}]") for name, cls in SECTIONS.items()}
    title, task = table.get("title", path.stem), table.get("task", "pretrain")
    return resolve(Config(path.stem, title, task, **parts))


def _meant(key: str, own: list[str]) -> str:
    """What a key that is unknown in its section was probably meant to be: first of all, the same word elsewhere."""
    homes = [f"[{name}]" for name, record in SECTIONS.items() if key in record._fields]
    if homes:
        return f"{key} belongs under {' or '.join(homes)}."
    return did_you_mean(key, own)


def resolve(config: Config) -> Config:
    """The recipe's answer in place of each "auto" that is its to give; derived numbers in place of each 0."""
    recipe = RECIPES.get(config.model.recipe, {})
    parts = {}
    for section, answers in recipe.items():
        record = getattr(config, section)
        parts[section] = record._replace(
            **{key: answer for key, answer in answers.items() if getattr(record, key) == AUTO}
        )
    config = config._replace(**parts)
    model = config.model
    length = config.batch.length or model.context
    micro = config.batch.micro_sequences or config.batch.sequences
    return config._replace(
        model=model._replace(d_ff=model.d_ff or 4 * model.d_model),
        batch=config.batch._replace(length=length, micro_sequences=micro),
    )


class Trouble(NamedTuple):
    key: str  # "batch.micro_sequences"
    says: str  # "is 7, which does not divide 12"


def check(config: Config, place: str) -> Config:
    """The same config, or BrokenManifest that says which number of `place` does not fit."""
    return _checked(config, place, None)


def _checked(config: Config, place: str, path: Path | None) -> Config:
    if trouble := _first_trouble(config):
        section, _, key = trouble.key.rpartition(".")
        line = line_of(path, key, f"[{section}]") if path else ""
        raise BrokenManifest(
            f"{place}{line}: {trouble.key} {trouble.says}.",
            f"Change that line, or use: --set {trouble.key}=…",
        )
    return config


def _get(config: Config, key: str) -> Any:
    section, _, name = key.rpartition(".")
    return getattr(getattr(config, section) if section else config, name)


def _first_trouble(config: Config) -> Trouble | None:
    """The first value that cannot be, or does not fit the others."""
    for key, choices in CHOICES.items():
        if (value := _get(config, key)) not in choices:
            return Trouble(key, f"is {value!r}; it must be one of {', '.join(choices)}")
    for keys, fits, says in LIMITS:
        for key in keys.split():
            if not math.isfinite(value := _get(config, key)) or not fits(value):
                return Trouble(key, f"is {value}; it must be {says}")
    model, batch = config.model, config.batch
    if model.d_model % model.n_heads:
        return Trouble(
            "model.n_heads", f"is {model.n_heads}, which does not divide d_model = {model.d_model}"
        )
    head = model.d_model // model.n_heads
    if model.positions == "rope" and head % 2:
        return Trouble("model.n_heads", f"gives heads of {head} numbers; RoPE turns pairs")
    if batch.sequences % batch.micro_sequences:
        return Trouble(
            "batch.micro_sequences",
            f"is {batch.micro_sequences}, which does not divide batch.sequences = {batch.sequences}",
        )
    if batch.length > model.context:
        return Trouble("batch.length", f"is {batch.length}; model.context is {model.context}")
    if config.lora.r and "lm_head" in config.lora.targets:
        return Trouble("lora.targets", "has lm_head, whose matrix is the token embedding's")
    if not config.run.sample_prompt:
        return Trouble("run.sample_prompt", "is empty, so nothing predicts the first token")
    if config.schedule.warmup_steps > config.schedule.steps:
        return Trouble("schedule.warmup_steps", f"is {config.schedule.warmup_steps}; there are fewer steps")
    return None


def _apply(table: dict[str, Any], setting: str) -> str:
    """One "section.key=value" into the table; returns the key. The value is TOML; what is not, is a text."""
    key, equals, value = setting.partition("=")
    key = key.strip()
    section, dot, name = key.partition(".")
    if not equals or (dot and section not in SECTIONS) or (not dot and section not in ("title", "task")):
        raise UsageError(
            f"--set {setting!r} is not SECTION.KEY=VALUE.",
            f"For example: --set schedule.steps=200    Sections: {', '.join(SECTIONS)}",
        )
    if dot and name not in SECTIONS[section]._fields:
        raise UsageError(
            f"--set {setting!r}: [{section}] has no key {name!r}.",
            _meant(name, list(SECTIONS[section]._fields)),
        )
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    try:
        wanted = get_type_hints(SECTIONS[section])[name] if dot else str
        if wanted is str and not isinstance(parsed, str):
            parsed = value.strip()  # "1" and "true" are fine names
        elif wanted == tuple[str, ...] and isinstance(parsed, str):
            parsed = [part.strip() for part in parsed.split(",")]  # as one types a list in a shell
        convert(parsed, wanted)
    except WrongType as wrong:
        raise UsageError(f"--set {key} must be {wrong}.") from None
    target = table.setdefault(section, {}) if dot else table
    target[name if dot else section] = parsed
    return key


def to_dict(config: Config) -> dict[str, Any]:
    """As plain tables, for JSON. `from_dict` reads it back."""
    return {
        "schema": SCHEMA,
        "preset": config.preset,
        "title": config.title,
        "task": config.task,
        **{
            name: {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in getattr(config, name)._asdict().items()
            }
            for name in SECTIONS
        },
    }


def from_dict(table: dict[str, Any], place: Path) -> Config:
    """What `to_dict` wrote. Raises BrokenManifest for anything that it would not write."""
    require_schema(table, SCHEMA, place)
    parts = {name: build(cls, table.get(name, {}), place, name) for name, cls in SECTIONS.items()}
    config = Config(str(table.get("preset")), str(table.get("title")), str(table.get("task")), **parts)
    return check(config, str(place))
