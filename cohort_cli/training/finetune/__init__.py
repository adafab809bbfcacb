"""Fine-tuning: a model that can already continue text learns to do something with it.

    classify      a label for a text          (Project 3, step classify)
    instruct      an answer to an instruction (step instruct)
    dpo           the better of two answers   (step dpo)

How a batch is made and what its loss is comes from Project 3's own files: the member's, or else the reference's.
Any of them can train small updates beside frozen weights (LoRA) in place of all weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cohort_cli.training.config import Config
    from cohort_cli.training.data.tokenizer import Tokenizer
    from cohort_cli.training.parts import Parts
    from cohort_cli.training.tasks import Task


def make_task(config: Config, parts: Parts, tokenizer: Tokenizer | None) -> Task:
    """The task of a configuration. `tokenizer`: that of the run it starts from; None: the one that [data] names."""
    from cohort_cli.training.finetune.classify import Classify
    from cohort_cli.training.finetune.instruct import Instruct
    from cohort_cli.training.finetune.preferences import Preferences

    kinds: dict[str, type[Classify] | type[Instruct]]
    kinds = {"classify": Classify, "instruct": Instruct, "dpo": Preferences}
    return kinds[config.task](config, parts, tokenizer)
