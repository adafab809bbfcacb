"""The page "Commands", from the command line's own help: it cannot name an option that is not there."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

_INTRO = """# Commands

This page is made from the program's own help, when the site is built. In a terminal,
`cohort --help` lists the verbs and `cohort VERB --help` shows one.
"""


def reference_page(program: Any) -> str:
    """Markdown for every visible verb. `program` is the click command that typer makes of an app."""
    sections = [_INTRO]
    for words, command in verbs(program):
        heading = "## " if len(words) == 1 else "### "
        name = " ".join(["cohort", *words])
        sections += [
            f"{heading}`{name}`",
            f"```text\n{usage(name, command)}\n```",
            help_as_markdown(command.help),
        ]
        if rows := list(_rows(command)):
            table = ["| word | meaning |", "|---|---|", *rows]
            sections.append("\n".join(table))
    return "\n\n".join(section.strip("\n") for section in sections if section.strip()) + "\n"


def verbs(program: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every visible verb with its words: (("check",), …), (("site",), …), (("site", "build"), …)."""
    for name, command in program.commands.items():
        if not command.hidden:
            yield (*above, name), command
            if hasattr(command, "commands"):
                yield from verbs(command, (*above, name))


def usage(name: str, command: Any) -> str:
    words = [name]
    if any(param.param_type_name == "option" for param in command.params):
        words.append("[OPTIONS]")
    if hasattr(command, "commands"):
        words.append("VERB")
    words += [_metavar(param) for param in command.params if param.param_type_name == "argument"]
    return " ".join(words)


def help_as_markdown(help: str | None) -> str:
    """Prose stays prose; from a line that begins with `$ ` on, a block is a terminal's."""
    blocks = re.split(r"\n\s*\n", inspect.cleandoc((help or "").replace("\b", "").replace("\f", "")))
    out: list[str] = []
    for block in blocks:
        lines = block.splitlines()
        start = next((n for n, line in enumerate(lines) if line.lstrip().startswith("$ ")), len(lines))
        if start:
            out.append("\n".join(line.strip() for line in lines[:start]))
        if start < len(lines):
            terminal = inspect.cleandoc("\n".join(["", *lines[start:]]))
            out.append(f"```console\n{terminal}\n```")
    return "\n\n".join(out)


def _rows(command: Any) -> Iterator[str]:
    for param in command.params:
        if getattr(param, "hidden", False) or param.name == "help":
            continue
        if param.param_type_name == "argument":
            word = _metavar(param)
        else:
            word = ", ".join([*param.opts, *param.secondary_opts])
            if not param.is_flag:
                word += f" {_type_name(param)}"
        meaning = (getattr(param, "help", None) or "").replace("|", "\\|").replace("\n", " ")
        yield f"| `{word}` | {meaning} |"


def _metavar(param: Any) -> str:
    word = param.metavar or param.name.upper()
    if param.nargs == -1 and not word.endswith("…"):
        word += "…"
    return word if param.required or word.startswith("[") else f"[{word}]"


def _type_name(param: Any) -> str:
    name = str(param.metavar or getattr(param.type, "name", "text")).upper().removesuffix(" RANGE")
    return {"STR": "TEXT", "INT": "NUMBER", "INTEGER": "NUMBER"}.get(name, name)
