"""The page of one entry. Headings are ours; everything of the member's lies in raw HTML, made by safe.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cohort_cli.showcase.entry import MODEL, Entry
from cohort_cli.showcase.gallery import curves, results, scripts
from cohort_cli.showcase.gallery.measured import Known
from cohort_cli.showcase.gallery.safe import card, plain, text

SHOWN, FOLDED = 3, 3  # samples: so many open, and so many more behind a fold
LONGEST = 350  # characters of a sample or a prompt; all of it is in samples.jsonl
WIDEST = 200  # characters of the prompt that the page begins with
GPT2_VOCABULARY = 50_257
UP = "../"  # from a page's final address to gallery/


def title(one: Entry) -> str:
    """For the head of the page, menus and search."""
    return f"{one.head['handle']}: {plain(one.head['title'], one.head['name'])}"


def page(one: Entry, known: Known, guides: Mapping[str, tuple[str, str]]) -> str:
    """guides: project -> its title, and its page from the root of the site ("projects/project2/")."""
    is_run = one.head["kind"] == "run"
    sections = [
        ("Talk to it", _talk(one) if is_run else ""),
        ("What its maker says", _card(one)),
        ("Numbers", results.numbers(one, known)),
        ("Curves", curves.figures(one.parsed["metrics.jsonl"], vocabulary(one)) if is_run else ""),
        ("Figures", _figures(one)),
        ("Samples", _samples(one.parsed["samples.jsonl"]) if is_run else ""),
        ("How it cuts text", _merges(one)),
        ("What its heads look at", _attention(one)),
        ("Scores", results.evaluation(one.parsed["evaluation.json"]) if is_run else ""),
        ("Checks", results.verdicts(one)),
        ("Files", results.files(one)),
    ]  # fmt: skip
    body = [
        block(f"{scripts.styles(UP)}<h1><bdi>{text(one.head['title'])}</bdi></h1>{_facts(one, guides)}"),
        *(f"## {heading}\n\n{block(made)}" for heading, made in sections if made),
    ]
    if set(MODEL) <= one.files.keys() or _has_merges(one):
        body.append(block(scripts.of_entry(UP)))
    return front(title(one)) + "\n\n".join(body) + "\n"


def front(words: str) -> str:
    """A page's head. Texts of members are not searched for: an index is read by scripts that are not ours."""
    return f"---\ntitle: {json.dumps(words)}\n---\n\n"


def block(made: str) -> str:
    """Raw HTML: one line, so that no reader of Markdown looks into it. Not searched for: see `front`.

    Material ends what it excludes with the first end of an element of the same name, so there is no other section in it.
    """
    assert "\n" not in made
    assert "<section" not in made
    return f'<section class="cohort-entry" data-search-exclude>{made}</section>'


# --- sections --------------------------------------------------------------------------------------------------


def _facts(one: Entry, guides: Mapping[str, tuple[str, str]]) -> str:
    head, project = one.head, one.head["project"]
    name, address = guides.get(project, (project, ""))
    about = f'<a href="{UP}../{address}">{text(name)}</a>' if address else text(name)
    facts = [("By", text(head["handle"])), ("Project", about), ("Made on", text(head["created"]))]
    facts.append(("With the kit", text(head["kit"])))
    if head["kind"] == "run":
        mine = one.parsed["config.json"]["source"] == "mine"
        facts.append(("Code", "the member’s own" if mine else "the kit’s reference"))
        facts.append(("Preset", text(one.parsed["config.json"]["config"]["preset"])))
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{value}</dd>' for name, value in facts)}</dl>"


def _card(one: Entry) -> str:
    """Marked as somebody's words from its first line to its last: a table in it may look like one of ours."""
    said = f'<div class="cohort-card" dir="auto">{card(one.card, one.head["title"])}</div>'
    return f"<p>In its maker’s own words; nobody has checked them.</p>{said}"


def _figures(one: Entry) -> str:
    """What the maker drew. The words below each are its alternative text, too."""
    return "".join(
        f'<figure><img src="./{text(made.name)}" alt="{text(made.says)}" width="{made.width}" height="{made.height}" '
        f'loading="lazy"><figcaption>{text(made.says)}</figcaption></figure>'
        for made in one.figures
    )


def _talk(one: Entry) -> str:
    if not set(MODEL) <= one.files.keys():
        return (
            "<p>No live demo: this entry has no model for the page. It has none where the page’s engine would compute "
            "something else than the run’s own network.</p>"
        )
    size = len(one.files["model.safetensors"]) / 1e6
    fallback = (
        f"With JavaScript, the model itself answers here: it runs in this page, and nothing that you write leaves "
        f"your machine. To load: {size:.1f} MB."
    )
    return _element("talk", fallback, prompt=_first_prompt(one))


def _merges(one: Entry) -> str:
    if not _has_merges(one):
        return ""
    count = len(one.parsed["tokenizer.json"]["model"]["merges"])
    fallback = f"Its tokenizer has {count:,} merges. With JavaScript, a slider shows what each of them does to a text."
    return _element("merges", fallback, text=_first_prompt(one))


def _has_merges(one: Entry) -> bool:
    content = one.parsed.get("tokenizer.json")
    return isinstance(content, dict) and isinstance(content.get("model"), dict)


def _attention(one: Entry) -> str:
    if not set(MODEL) <= one.files.keys():
        return ""
    fallback = "With JavaScript, a table shows for any layer and head which token looks at which."
    return _element("attention", fallback, prompt=_first_prompt(one))


def _element(kind: str, fallback: str, **data: str) -> str:
    """What a script fills. Without scripts the words inside stay."""
    given = "".join(f' data-{key}="{text(value)}"' for key, value in data.items())
    return f'<div data-cohort="{kind}" data-files="./"{given}><p>{fallback}</p></div>'


def _first_prompt(one: Entry) -> str:
    rows = one.parsed.get("samples.jsonl") or [{"prompt": ""}]
    return rows[-1]["prompt"][:WIDEST] or "The "


def _samples(rows: list[dict[str, Any]]) -> str:
    """The newest first."""
    newest = rows[::-1][: SHOWN + FOLDED]
    shown = "".join(map(_sample, newest[:SHOWN]))
    if older := newest[SHOWN:]:
        shown += (
            f"<details><summary>{len(older)} older ones</summary>{''.join(map(_sample, older))}</details>"
        )
    if len(rows) > len(newest):
        shown += f"<p>All {len(rows)} are in samples.jsonl, below.</p>"
    return shown


def _sample(row: dict[str, Any]) -> str:
    """Some tasks write the prompt into the text as well."""
    seed = f", seed {row['seed']}" if "seed" in row else ""
    return (
        f'<figure class="cohort-sample"><figcaption>Step {row["step"]:,}{seed}</figcaption>'
        f'<p dir="auto"><b><span class="cohort-hidden">Prompt: </span>{_cut(row["prompt"])}</b>'
        f'<span class="cohort-hidden"> The model: </span>{_cut(row["text"].removeprefix(row["prompt"]))}</p></figure>'
    )


def _cut(words: str) -> str:
    return text(words) if len(words) <= LONGEST else f"{text(words[:LONGEST])} … (cut here)"


def vocabulary(one: Entry) -> int | None:
    """How many tokens there are; None where the entry does not say."""
    content = one.parsed.get("tokenizer.json")
    if content is None:
        return None
    if "schema" in content:
        return len(content["alphabet"]) if content["kind"] == "characters" else GPT2_VOCABULARY
    ids = {*content["model"]["vocab"].values(), *(token["id"] for token in content.get("added_tokens") or ())}
    return len(ids)
