"""The staged tree: every guide at its place, links that lead there, and the commands' page."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from cohort_cli.errors import BrokenManifest, EnvironmentTrouble
from cohort_cli.site.reference import reference_page
from cohort_cli.site.stage import stage

PROGRAM = typer.Typer()
SUB = typer.Typer(help="Build or show.")


@PROGRAM.command()
def check(
    project: str = typer.Argument(help="Which | where."), fast: bool = typer.Option(False, help="Hurry.")
) -> None:
    """Check things.

    $ cohort check project2
    ok   scale
    """


@PROGRAM.command(hidden=True)
def secret() -> None:
    """Never shown."""


@SUB.command()
def build(out: str | None = typer.Option(None, help="Where to.")) -> None:
    """Build it."""


PROGRAM.add_typer(SUB, name="site")


MEETING = {
    "guide.md": """\
+++
schema = "cohort.meeting/1"
number = 2
title = "Sums"
question = "What is a sum?"
minutes = { short = 1, core = 2, deep = 3 }
+++

## The idea

See [the project](../../projects/project9_adding/guide.md).
""",
    "prompts.md": """\
+++
schema = "cohort.prompts/1"

[[prompt]]
ask = "Is 1 + 1 always 2?"
kind = "idea"
minutes = 5
format = "together"
touches = ["of what"]
silence = "And of drops?"
misconception = "'Sums are easy.'"
try_it = "cohort doctor"
+++
""",
    "facilitator.md": """\
+++
schema = "cohort.sheet/1"

[[block]]
title = "First"
minutes = 20
who = "host"
do = "Say | hello."

[[block]]
title = "Then"
minutes = 100
who = "clock"
do = "Add."
+++

## When nobody has read
""",
    "slides.md": """\
+++
schema = "cohort.slides/1"
+++

# Sums

$1 + 1 = 2$

Note: slowly
""",
    "lab.py": """\
# %% [markdown]
# # A lab

# %% [markdown] section="words"
# ## Only words
""",
}


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    kit = tmp_path / "kit"
    files = {
        "mkdocs.yml": "site_name: X\n",
        "docs/index.md": "# Start\n\nSee [the project](../projects/project9_adding/guide.md#plus).\n",
        "docs/assets/x.css": "p {}\n",
        "projects/project9_adding/guide.md": "# Adding\n",
        "projects/project9_adding/scaffold/plus.py": "x = 1\n",
        "projects/project9_adding/data/sums.md": "# Sums to practise\n\n[The guide](../guide.md)\n",
        **{f"meetings/2_sums/{name}": text for name, text in MEETING.items()},
        "meetings/README.md": "not a page\n",
    }
    for name, text in files.items():
        path = kit / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return kit


def staged(kit: Path) -> Path:
    folder = kit.parent / "staged"
    stage(kit, folder, typer.main.get_command(PROGRAM))
    return folder


def test_every_guide_has_its_place(kit: Path) -> None:
    folder = stage(kit, kit.parent / "staged", typer.main.get_command(PROGRAM)).folder
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    pages = {
        "index.md",
        "projects/project9.md",
        "projects/project9/sums.md",
        "meetings/2_sums.md",
        *(f"meetings/2_sums/{name}" for name in ("prompts.md", "facilitator.md", "lab.md", "slides.html")),
        "reference/cli.md",
    }
    assert found == {*pages, "assets/x.css"}


def test_a_meeting_becomes_its_pages(kit: Path) -> None:
    folder = staged(kit) / "meetings"
    guide = (folder / "2_sums.md").read_text()
    assert guide.startswith(
        "# Meeting 2: Sums\n\n**What is a sum?**\n\n[What to talk about](2_sums/prompts.md)"
    )
    assert "[the slides](2_sums/slides.html)" in guide
    assert "[the project](../projects/project9.md)" in guide
    prompts = (folder / "2_sums/prompts.md").read_text()
    assert "## 1. Is 1 + 1 always 2?\n\nidea, 5 minutes, together" in prompts
    assert "$ cohort doctor" in prompts
    sheet = (folder / "2_sums/facilitator.md").read_text()
    assert "| 0-20 | First | host | Say \\| hello. |\n| 20-120 | Then | clock | Add. |" in sheet
    assert '<a id="words"></a>' in (folder / "2_sums/lab.md").read_text()
    slides = (folder / "2_sums/slides.html").read_text()
    assert "<math" in slides
    assert "<aside><p>slowly</p></aside>" in slides


def test_links_between_guides_follow_the_staged_paths(kit: Path) -> None:
    guide = kit / "projects/project9_adding/guide.md"
    guide.write_text(
        "# Adding\n\n[a meeting](../../meetings/2_sums/guide.md#idea), [home](../../docs/index.md), "
        "[`cohort`](../../docs/reference/cli.md), [here](#adding), [there](https://example.org/a.md)\n"
    )
    folder = staged(kit)
    page = (folder / "projects/project9.md").read_text()
    assert "[a meeting](../meetings/2_sums.md#idea)" in page
    assert "[home](../index.md)" in page
    assert "[`cohort`](../reference/cli.md)" in page
    assert "[here](#adding)" in page
    assert "[there](https://example.org/a.md)" in page
    assert "(projects/project9.md#plus)" in (folder / "index.md").read_text()


def test_the_card_of_a_data_set_is_a_page_that_its_guide_leads_to(kit: Path) -> None:
    guide = kit / "projects/project9_adding/guide.md"
    guide.write_text("Look at [its card](data/sums.md#licence).\n")
    folder = staged(kit)
    assert (folder / "projects/project9.md").read_text() == "Look at [its card](project9/sums.md#licence).\n"
    assert "[The guide](../project9.md)" in (folder / "projects/project9/sums.md").read_text()


def test_a_link_to_a_source_file_becomes_its_name_in_code(kit: Path) -> None:
    guide = kit / "projects/project9_adding/guide.md"
    guide.write_text(
        "Open [plus.py](scaffold/plus.py) or [`it`](scaffold/plus.py) in [scaffold](scaffold/).\n"
    )
    page = (staged(kit) / "projects/project9.md").read_text()
    assert page == "Open `plus.py` or `it` in `scaffold`.\n"


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("[x](scaffold/minus.py)", "leads nowhere"),
        ("[x](../../../outside.md)", "out of the kit"),
        ("see ![x](https://example.org/x.png)", "fetched from elsewhere"),
        ("see ![x](scaffold/plus.py)", "not on the site"),
    ],
)
def test_a_bad_link_is_named_with_file_and_line(link: str, says: str, kit: Path) -> None:
    guide = kit / "projects/project9_adding/guide.md"
    guide.write_text(f"# Adding\n\n{link}\n")
    with pytest.raises(BrokenManifest, match=says) as trouble:
        staged(kit)
    assert f"{guide}:3: " in trouble.value.message


def test_links_in_code_stay(kit: Path) -> None:
    text = "Write `[x](nowhere.md)`.\n\n```md\n[x](nowhere.md)\n```\n"
    (kit / "projects/project9_adding/guide.md").write_text(text)
    assert (staged(kit) / "projects/project9.md").read_text() == text


def test_outside_a_checkout_the_site_says_so(kit: Path) -> None:
    (kit / "mkdocs.yml").unlink()
    with pytest.raises(EnvironmentTrouble, match="built from a checkout"):
        staged(kit)


def test_the_commands_page_comes_from_the_programs_own_help() -> None:
    page = reference_page(typer.main.get_command(PROGRAM))
    assert "## `cohort check`" in page
    assert "cohort check [OPTIONS] PROJECT" in page
    assert "```console\n$ cohort check project2\nok   scale\n```" in page
    assert "| `PROJECT` | Which \\| where. |" in page
    assert "| `--fast, --no-fast` | Hurry. |" in page
    assert "## `cohort site`" in page
    assert "### `cohort site build`" in page
    assert "| `--out TEXT` | Where to. |" in page
    assert "secret" not in page
