"""report.html: complete, the same each time, and harmless whatever the run's folder holds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from cohort_cli.training import kept, report, svg
from cohort_cli.training.runs import RunFolder

EVIL = '</pre><script>alert(1)</script><img src=x onerror="x"> \x1b[2J \u202e &amp; \x00'
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """The tags, the text, and what would be fetched or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def run(make_run: Callable[..., RunFolder]) -> RunFolder:
    """A run with curves, as a training process would leave it."""
    folder = make_run("a")
    for step in range(1, 13):
        folder.append_metrics(
            {"step": step, "loss": 4.0 / step, "lr": 1e-3 * step, "grad_norm": 1.0, "seconds": float(step)}
        )
        if step % 6 == 0:
            folder.append_metrics({"step": step, "validation_loss": 3.0 / step, "perplexity": 1.5})
    folder.append_sample({"step": 12, "prompt": "The ", "text": "The cat", "seed": 1})
    folder.write_environment(device="cpu")
    folder.write_status("done", 12, 12, exit=0)
    return folder


def test_it_has_everything_and_is_the_same_each_time(run: RunFolder) -> None:
    path = report.write_report(run)
    assert path == run.root / "report.html"
    first = path.read_bytes()
    report.write_report(run)
    assert path.read_bytes() == first
    page = Page(first.decode())
    assert page.tags.count("svg") == 3
    for words in ("a very small job", "done, step 12 of 12", "0.2500", "optimizer.learning_rate", "the kit's",
                  "The cat", "nats per token", "No checkpoint is kept", "cpu"):  # fmt: skip
        assert words in page.text
    assert "The The" not in page.text
    labels = [value for name, value in page.attributes if name == "aria-label"]
    assert len(labels) == 3
    assert "the last validation loss is 0.2500" in str(labels[0])


def test_baselines_are_lines_of_the_loss(run: RunFolder) -> None:
    page = Page(report.page(run))
    assert re.search(r"bigram 2\.\d{3}", page.text)
    assert ("class", "base") in page.attributes


def test_nothing_runs_and_nothing_is_fetched(run: RunFolder) -> None:
    text = report.page(run)
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not {"src", "href", "srcset", "action"} & {name for name, _ in page.attributes}
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert "default-src 'none'" in text
    assert "@import" not in text
    assert "url(" not in text


def test_texts_of_a_run_are_only_text(run: RunFolder) -> None:
    run.append_sample({"step": 12, "prompt": EVIL, "text": EVIL, "seed": 1})
    run.append_sample({"step": 13, "prompt": None, "text": ["no", "text"]})
    (run.root / "environment.json").write_text(json.dumps({EVIL: EVIL}), encoding="utf-8")
    run.write_status("failed", 12, 12, message=EVIL, exit=7)
    text = report.page(run)
    page = Page(text)
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text
    assert "\\x1b[2J" in page.text
    assert not {"\x1b", "\u202e", "\x00"} & set(text)


def test_damaged_numbers_are_passed_over(run: RunFolder) -> None:
    with (run.root / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 13, "loss": "x", "validation_loss": true, "lr": null, "seconds": [1]}\n')
        file.write('{"step": 14, "loss": NaN, "grad_norm": Infinity}\n')
        file.write('[1, 2]\nnot json\n{"step": 15, "loss": 2.0')
    before = report.points(run.read_metrics(), "loss")
    assert [step for step, _ in before] == list(range(1, 13))
    Page(report.page(run))


def test_a_run_that_did_nothing_yet_has_a_report(make_run: Callable[..., RunFolder]) -> None:
    page = Page(report.page(make_run("a")))
    assert "Nothing was measured yet" in page.text
    assert "svg" not in page.tags


def test_a_real_run_with_its_checkpoints(
    make_run: Callable[..., RunFolder], train: Callable[..., list[dict[str, Any]]]
) -> None:
    folder = make_run("a")
    train(folder)
    found = kept.checkpoints(folder, checked=True)
    assert [one.step for one in found] == [12, 8]
    assert not any(one.problem for one in found)
    weights = found[1].path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    page = Page(report.page(folder))
    assert "model.safetensors is missing or has another size" in page.text
    assert "best" in page.text


def test_torch_is_not_loaded(run: RunFolder) -> None:
    code = (
        "import sys, pathlib; from cohort_cli.training import report, runs, live; "
        f"f = runs.RunFolder.open(pathlib.Path({str(run.root)!r})); report.write_report(f); live.summary(f); "
        "assert not {'torch', 'matplotlib', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


# --- drawings ---------------------------------------------------------------------------------------------------


def drawn(*points: tuple[float, float], lines: tuple[tuple[str, float], ...] = ()) -> ElementTree.Element:
    text = svg.alone(svg.chart("A & B", [svg.Series("<one>", points)], "x", "y", lines, 'says "it"'))
    return ElementTree.fromstring(text)


def test_a_chart_is_well_formed_and_inside_of_its_box() -> None:
    chart = drawn((0, 5.0), (50, 1.0), (100, 3.0), lines=(("base", 6.5),))
    circles = [element for element in chart.iter() if element.tag.endswith("circle")]
    places = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in circles]
    assert len(places) == 3
    assert places[0][0] < places[1][0] < places[2][0]
    assert places[0][1] < places[2][1] < places[1][1], "a higher value is drawn higher"
    assert all(svg.LEFT <= x <= 720 - svg.RIGHT and svg.TOP <= y <= 340 - svg.BOTTOM for x, y in places)
    base = next(e for e in chart.iter() if e.attrib.get("class") == "base")
    assert float(base.attrib["d"].split()[1].split("H")[0]) < places[0][1]


@pytest.mark.parametrize(
    "points", [[], [(1, 1.0)], [(1, 0.0), (2, 0.0)], [(0, 1e-9), (1, 3e-9)], [(0, -5), (1, 1e12)]]
)
def test_awkward_numbers_are_drawn(points: list[tuple[float, float]]) -> None:
    text = ElementTree.tostring(drawn(*points), encoding="unicode")
    assert "nan" not in text
    assert "inf" not in text


def test_long_curves_are_thinned_to_means() -> None:
    points = [(float(n), float(n % 2)) for n in range(6000)]
    thin = svg._thinned(points)
    assert len(thin) == svg.MOST_POINTS
    assert {y for _, y in thin} == {0.5}
