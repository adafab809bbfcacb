"""What the rules find in a member's source."""

from __future__ import annotations

from pathlib import Path

import pytest

from cohort_cli.catalog import Rule
from cohort_cli.checking.judge.rules import name_in_source

RULE = Rule("optim.AdamW", ops=(), names=("AdamW", "adamw"), says="Write it yourself.")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch\n\nclass AdamW(torch.optim.AdamW):\n    pass\n", ("optim.py:3", "torch.optim.AdamW")),
        ("from torch.optim import AdamW as A\n\nclass AdamW(A):\n    pass\n", ("optim.py:3", "A")),
        ("from torch.optim import AdamW\n", ("optim.py", "torch.optim.AdamW")),
        (
            "import torch\n\nclass AdamW(torch.optim.Optimizer):\n    def step(self):\n"
            "        torch.optim.adamw.adamw(1)\n",
            ("optim.py:5", "torch.optim.adamw.adamw"),
        ),
        (
            "import torch\n\nclass AdamW(torch.optim.Optimizer):\n    def __init__(self):\n"
            "        super(AdamW, self).__init__()\n",
            None,
        ),
        ("class Base:\n    pass\n\nclass AdamW(Base):\n    pass\n", None),
        ("from mine import AdamW\n", None),
    ],
)
def test_torchs_own_class_is_found_where_it_is_called_inherited_or_imported(
    tmp_path: Path, source: str, found: tuple[str, str] | None
) -> None:
    (tmp_path / "optim.py").write_text(source, encoding="utf-8")
    assert name_in_source(RULE, tmp_path) == found
