"""The ladder: the counted rungs exactly, the learned ones within an interval, and what is no rung of one's own yet."""

from __future__ import annotations

import json
import math
import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

import pytest

from cohort_cli.catalog import find_project
from cohort_cli.errors import CohortError
from cohort_cli.evaluating import ladder, ladder_page
from cohort_cli.evaluating.ladder import Climbing, Rung, Store, Text

REFERENCE = find_project("project0").reference
ABOUT = ladder.text()
# Python 3.11.7's text; another Python may carry another one, and then the values differ
KNOWN = {
    "7d42": {"uniform": 4.634729, "unigram": 3.237638, "bigram": 2.316048, "trigram": 1.730129},
}


def quiet(what: str, done: int, of: int) -> None:
    pass


def counted_again(n: int) -> float:
    """Without Counter and slices: one dictionary of dictionaries, the characters one after the other."""
    follows: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    before = ""
    for letter in ABOUT.train:
        if len(before) == n - 1:
            follows[before][letter] += 1
        before = (before + letter)[-(n - 1) :] if n > 1 else ""
    alphabet = {*ABOUT.train, *ABOUT.validation}
    losses = []
    before = ""
    for letter in ABOUT.validation:
        if len(before) == n - 1:
            row = follows[before]
            losses.append(-math.log((row[letter] + 0.1) / (sum(row.values()) + 0.1 * len(alphabet))))
        before = (before + letter)[-(n - 1) :] if n > 1 else ""
    return math.fsum(losses) / len(losses)


@pytest.fixture(scope="module")
def rungs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rung]:
    """The kit's own climb, which keeps what it has reached."""
    store = Store(tmp_path_factory.mktemp("ladder") / "ladder.json")
    who = Climbing(REFERENCE, False, lambda step: "")
    return {rung.name: rung for rung in ladder.climb(who, ABOUT, store, quiet)}


def test_the_counted_rungs_are_exact(rungs: dict[str, Rung]) -> None:
    assert rungs["uniform"].nats == math.log(len({*ABOUT.train, *ABOUT.validation}))
    for name, n in (("unigram", 1), ("bigram", 2), ("trigram", 3)):
        assert rungs[name].nats == pytest.approx(counted_again(n), abs=1e-9), name


def test_the_counted_rungs_are_those_of_the_pages(rungs: dict[str, Rung]) -> None:
    known = KNOWN.get(ABOUT.identity[:4])
    if known is None:
        pytest.skip("this Python carries another text of documentation")
    assert {name: pytest.approx(rungs[name].nats, abs=1e-6) for name in known} == known


def test_the_mlp_is_better_than_the_trigram(rungs: dict[str, Rung]) -> None:
    """Seeds 1, 2 and 3 gave 1.609, 1.596 and 1.605."""
    assert rungs["MLP"].nats is not None
    assert 1.55 < rungs["MLP"].nats < 1.66


def test_the_guide_says_what_was_measured(rungs: dict[str, Rung]) -> None:
    guide = find_project("project0").guide.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\w+) \| [^|]+ \| (\d\.\d{3}) \| \d\.\d{3} \|$", guide, re.MULTILINE))
    bits = dict(re.findall(r"^\| (\w+) \| [^|]+ \| \d\.\d{3} \| (\d\.\d{3}) \|$", guide, re.MULTILINE))
    assert list(rows) == [*rungs, "GPT"]
    for name, said in rows.items():
        assert float(bits[name]) == pytest.approx(
            ladder.bits_per_byte(float(said), ABOUT.validation), abs=0.002
        )
    for name, value in KNOWN["7d42"].items():
        assert rows[name] == f"{value:.3f}"
    assert float(rows["MLP"]) == pytest.approx(rungs["MLP"].nats, abs=0.05)


def test_bits_per_byte_count_bytes(rungs: dict[str, Rung]) -> None:
    assert ladder.bits_per_byte(math.log(2), "abcd") == 1.0
    assert ladder.bits_per_byte(math.log(2), "\u00e4\u00e4") == 0.5  # two bytes each


def test_a_rung_that_is_not_climbed_says_what_leads_there() -> None:
    to_do = {"counts": "", "nll": "", "modules": "cohort check project0 modules"}
    found = list(ladder.climb(Climbing(REFERENCE, True, to_do.__getitem__), ABOUT, Store(None), quiet))
    assert [rung.name for rung in found if rung.nats is None] == ["MLP"]
    assert found[-1].says == "cohort check project0 modules"
    assert [rung.mine for rung in found] == [False, True, True, True, False]


def folder_with(tmp_path: Path, file: str, find: str, replace: str) -> Path:
    folder = tmp_path / "mine"
    shutil.copytree(REFERENCE, folder)
    text = (folder / file).read_text(encoding="utf-8")
    assert text.count(find) >= 1
    (folder / file).write_text(text.replace(find, replace), encoding="utf-8")
    return folder


def climbed(folder: Path, store: Store | None = None, *, mlp: bool = False) -> list[Rung]:
    to_do = {"counts": "", "nll": "", "modules": "" if mlp else "later"}
    return list(ladder.climb(Climbing(folder, True, to_do.__getitem__), ABOUT, store or Store(None), quiet))


def test_a_count_that_is_wrong_is_refused_with_both_numbers(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "ngrams.py", "alpha: float = 0.1", "alpha: float = 1.0")
    with pytest.raises(
        CohortError, match=r"heldout_nll gives 3\.\d+ nats for the unigram model; counting gives 3\."
    ) as trouble:
        climbed(folder)
    assert trouble.value.repair == "cohort check project0 counts nll"


@pytest.mark.parametrize("value", ["float('nan')", "float('inf')", "1e30", "-1.0"])
def test_a_loss_that_is_none_is_said(tmp_path: Path, value: str) -> None:
    folder = folder_with(tmp_path, "ngrams.py", "def heldout_nll(", "def other(")
    with (folder / "ngrams.py").open("a", encoding="utf-8") as file:
        file.write(f"\n\ndef heldout_nll(train, validation, n, vocab_size, alpha=0.1):\n    return {value}\n")
    with pytest.raises(CohortError, match=r"the loss of the unigram is .*; that is no loss"):
        climbed(folder)


def test_a_question_to_the_keyboard_does_not_wait_for_ever(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "ngrams.py", "def heldout_nll(", "input('now? ')\n\n\ndef heldout_nll(")
    with pytest.raises(CohortError, match=r"ngrams\.py:\d+: EOFError"):
        climbed(folder)


def test_a_rung_waits_for_each_of_its_steps() -> None:
    to_do = {"counts": "", "nll": "cohort check project0 nll", "modules": "later"}
    found = list(ladder.climb(Climbing(REFERENCE, True, to_do.__getitem__), ABOUT, Store(None), quiet))
    assert [rung.says for rung in found[1:4]] == ["cohort check project0 nll"] * 3


def test_a_store_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "ladder.json").mkdir()
    store = Store(tmp_path / "ladder.json")
    store.put("x", 1.0)
    assert store.get("x") == 1.0


def test_what_the_code_raises_is_placed(tmp_path: Path) -> None:
    folder = folder_with(
        tmp_path, "ngrams.py", "def heldout_nll(", "raise KeyError('gone')\n\n\ndef heldout_nll("
    )
    with pytest.raises(CohortError, match=r"ngrams\.py:\d+: KeyError: 'gone'"):
        climbed(folder)


@pytest.mark.slow
def test_the_mlp_is_scored_by_the_kit_not_by_the_code(tmp_path: Path, rungs: dict[str, Rung]) -> None:
    folder = folder_with(tmp_path, "modules.py", "return total / len(y)", "return 0.0")
    with (folder / "modules.py").open("a", encoding="utf-8") as file:
        file.write("\n\ndef train(model, ids, steps, batch_size, lr, generator):\n    return [0.0] * steps\n")
    nats = climbed(folder, mlp=True)[-1].nats
    assert nats is not None
    assert nats > 4  # it has learned nothing


def test_a_value_is_kept_for_exactly_this_code(tmp_path: Path) -> None:
    path = tmp_path / "ladder.json"
    folder = folder_with(tmp_path, "ngrams.py", "import torch\n", "import torch  # mine\n")
    first = climbed(folder, Store(path))
    table = json.loads(path.read_text(encoding="utf-8"))
    assert table["schema"] == "cohort.ladder/1"
    assert len(table["values"]) == 3
    for key in table["values"]:
        table["values"][key] += 5e-7  # less than two ways of counting may differ by
    path.write_text(json.dumps(table), encoding="utf-8")
    again = climbed(folder, Store(path))
    assert again[1].nats == first[1].nats + 5e-7  # type: ignore[operator]
    table["values"] = dict.fromkeys(table["values"], -5.0)
    path.write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(CohortError, match="that is no loss"):
        climbed(folder, Store(path))
    (folder / "ngrams.py").write_text(
        (folder / "ngrams.py").read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8"
    )
    assert climbed(folder, Store(path))[1].nats == first[1].nats


@pytest.mark.parametrize(
    "text", ["", "[]", '{"schema": "cohort.ladder/1"}', '{"schema": "x", "values": {"a": 1}}', "\xff"]
)
def test_a_damaged_store_is_an_empty_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ladder.json"
    path.write_bytes(text.encode("latin-1"))
    assert Store(path).values == {}


# --- the picture and the page ----------------------------------------------------------------------------------

SOME = [
    Rung("uniform", 4.0, "all alike"),
    Rung("bigram", 2.0, "your <ngrams.py>", True),
    Rung("GPT", None, "cohort train project3 --smoke"),
]
TINY = Text("abab" * 10, "abab")


def test_the_picture_has_a_bar_as_long_as_its_value() -> None:
    svg = ElementTree.fromstring(ladder_page.picture(SOME, TINY))
    bars = [float(bar.attrib["width"]) for bar in svg.iter("{http://www.w3.org/2000/svg}rect")]
    assert len(bars) == 2
    assert bars[0] == pytest.approx(2 * bars[1], abs=0.2)
    assert svg.attrib["aria-label"].endswith("uniform 4.000; bigram 2.000; GPT not climbed yet")


def test_a_loss_beyond_every_axis_ends_at_the_edge() -> None:
    svg = ladder_page.picture([SOME[0], Rung("MLP", 9e5, "lost", True)], TINY)
    assert len(svg) < 6000
    assert "900000.000" in svg


def test_the_page_grows_with_the_rungs_and_holds_no_markup_of_others() -> None:
    before = ladder_page.page(SOME, TINY)
    after = ladder_page.page([*SOME[:2], Rung("GPT", 1.5, "run, step 3", True)], TINY)
    assert before.count(ladder_page.OPEN) > after.count(ladder_page.OPEN) == 0
    assert "<code>cohort train project3 --smoke</code>" in before
    assert "your &lt;ngrams.py&gt;" in before
    assert re.findall(r"<script|https?://(?!www\.w3\.org/2000/svg)", before) == []
    assert "1.5000" in after
