"""The program `cohort`: registers the verbs, and is the one place that prints an error and picks an exit code.

Each verb is a thin file in `commands/`. A file is imported when its verb is the one that was typed, or when help lists
them all. None of them imports torch, and each imports what it needs only when it runs.
"""

from __future__ import annotations

import errno
import importlib
import keyword
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import cohort_cli
from cohort_cli.errors import CohortError, EnvironmentTrouble, KitBug

# In the order of help. commands/NAME.py (with "_" for "-", and "_" behind a word of Python's own) holds the function
# NAME, or `app`, a group of verbs.
VERBS = ("init", "start", "status", "check", "hint", "explain", "doctor", "self-check", "demo", "tokens", "tokenizer",
         "data", "plan", "train", "sweep", "runs", "generate", "chat", "demo-app", "trace", "evaluate", "ladder",
         "break", "export", "new", "schedule", "roles", "post", "meeting", "present", "lab", "share", "board",
         "showcase", "site", "kit")  # fmt: skip
# typer's and click's own "usage" errors, wherever this version of typer keeps them.
CommandLineError: Any = typer.BadParameter.__mro__[2]
# What the machine, and not the kit, is to blame for.
MACHINE = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM)


class Interrupted(CohortError):
    exit_code = 130


class OutputClosed(CohortError):
    """The reader went away, as in `cohort status | head`. 141 is what a shell reports for it."""

    exit_code = 141


class Program(TyperGroup):
    """The group of all verbs."""

    def invoke(self, context: Any) -> Any:
        """Run a verb. Ctrl-C and a closed pipe become our own errors before click makes something of them."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            raise Interrupted("Interrupted. What was finished before is kept.") from None
        except BrokenPipeError:
            raise OutputClosed("") from None


def examples_last(command: Any) -> Any:
    """Help ends with what a docstring has from a line that begins with "$ " on, shown as it is written."""
    command.help, found, example = (command.help or "").partition("\n\n$ ")
    command.epilog = f"\b\n$ {example}".replace("\n\n", "\n\n\b\n") if found else None
    for verb in getattr(command, "commands", {}).values():
        examples_last(verb)
    return command


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cohort {cohort_cli.__version__}")
        raise typer.Exit


def cohort(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Build a language model from first principles, and know whether each part is right.

    Without a verb: what to do next.

    $ cohort
    There is no workspace here. It will hold the code that you write.
    next: cohort init my-llm      (or see what this is: cohort demo)
    """
    if context.invoked_subcommand is None:
        from cohort_cli.commands.home import home

        home()


def build(verbs: Sequence[str] = VERBS) -> typer.Typer:
    """The program with these verbs."""
    app = typer.Typer(
        cls=Program,
        add_completion=False,
        rich_markup_mode=None,  # rich costs more time than everything else together
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback(invoke_without_command=True)(cohort)
    for name in verbs:
        python_name = name.replace("-", "_") + "_" * keyword.iskeyword(name)
        module = importlib.import_module(f"cohort_cli.commands.{python_name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, python_name))
    return app


def program(words: Sequence[str] = ()) -> Any:
    """The command that runs these words: with the one verb that they name, or with all of them."""
    typed = next((word for word in words if not word.startswith("-")), "")
    return examples_last(typer.main.get_command(build([typed] if typed in VERBS else VERBS)))


def main() -> None:
    """Run the command line and end the process with the right exit code."""
    sys.exit(run(sys.argv[1:]))


def run(words: list[str]) -> int:
    """Run one command line and return its exit code. Every error is printed here."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # an old console that lacks a character shows "?"
    try:
        code = program(words).main(words, prog_name="cohort", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except Exception as error:
        trouble = understand(error)
    if isinstance(trouble, OutputClosed):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains once more as it ends
    else:
        _say(trouble)
    return trouble.exit_code


def understand(error: Exception) -> CohortError:
    """The error in our own words, with its exit code and what to do."""
    if isinstance(error, CohortError):
        return error
    if isinstance(error, CommandLineError):
        trouble = CohortError(error.format_message(), _help_for(error))
        trouble.exit_code = error.exit_code
        return trouble
    if isinstance(error, BrokenPipeError):
        return OutputClosed("")
    if isinstance(error, OSError) and error.errno in MACHINE:
        where = f"{error.filename}: " if error.filename else ""
        return EnvironmentTrouble(f"{where}{error.strerror}.", "Look at that place, then run: cohort doctor")
    return _bug(error)


def _help_for(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else 'cohort'} --help"


def _bug(error: Exception) -> KitBug:
    import tempfile
    import traceback

    repair = "Please report it where you got the kit, and say what you did."
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="cohort-bug-", suffix=".txt", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.write(
                f"cohort {cohort_cli.__version__}, Python {sys.version}, {sys.platform}\n{sys.argv}\n\n"
            )
            file.write("".join(traceback.format_exception(error)))
        repair += f" Please add this file: {file.name}"
    except OSError:
        pass  # no room even for that; the sentence alone must do
    return KitBug(f"This is a bug of the kit, not of your code: {type(error).__name__}: {error}", repair)


def _say(trouble: CohortError) -> None:
    from cohort_cli.prose import clean  # a file's name, or a line of it, may hold what steers a terminal

    print(f"cohort: {clean(trouble.message)}", file=sys.stderr)
    if trouble.repair:
        print(f"  {clean(trouble.repair)}", file=sys.stderr)
