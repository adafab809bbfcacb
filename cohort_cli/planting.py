"""Puts files into a workspace: a new one (`create`), or a project's scaffold (`start`). Nothing is overwritten."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cohort_cli import __version__, history
from cohort_cli.catalog import Project, kit_root
from cohort_cli.errors import BrokenManifest, EnvironmentTrouble, UsageError
from cohort_cli.workspace import GROUP_SCHEMA, MANIFEST, SCHEMA, Workspace, is_of, open_workspace


@dataclass
class Copied:
    """What was written into a folder, and what was already there and kept."""

    folder: Path
    new: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def write(self, name: str, content: bytes) -> None:
        (self.new if write_new(self.folder / name, content) else self.kept).append(name)


@dataclass
class Created(Copied):
    """A new workspace, with what there is to say about it (such as "git is missing")."""

    notes: list[str] = field(default_factory=list)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder)


def create(folder: Path) -> Created:
    """Make a workspace: a git repository with no remote. Every file that exists is kept as it is."""
    folder = folder.expanduser().absolute()
    _refuse_bad_place(folder)
    fresh = not (folder / ".git").exists()
    created = Created(folder)
    for name, template in _FILES.items():
        created.write(name, template.replace("{kit}", __version__).encode())
    open_workspace(folder)  # a cohort.toml that was kept must be one of ours
    if fresh:
        created.notes += history.begin(folder, created.new)
    return created


def _refuse_bad_place(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder.", "Choose another name: cohort init my-llm")
    real, kit = folder.resolve(), kit_root().resolve()
    if real == kit or kit in real.parents:
        raise UsageError(
            f"{folder} lies inside the kit ({kit}). Your work lives in a folder of its own.",
            "Choose a place outside it, such as: cohort init ~/my-llm",
        )
    for parent in (real, *real.parents):
        if is_of(parent / MANIFEST, GROUP_SCHEMA):
            raise UsageError(
                f"{parent} is a group's folder, which everybody shares. Your work lives in a folder of your own.",
                "Choose a place outside it, such as: cohort init ~/my-llm",
            )
        if parent != real and (parent / MANIFEST).is_file():
            raise UsageError(
                f"{parent} is a workspace already, and one inside another would confuse you both.",
                f'Use it (cd "{parent}"), or choose a place outside it.',
            )


def start(space: Workspace, project: Project) -> Copied:
    """Copy the scaffold's files that are not here yet. Every file that is here stays as it is."""
    folder = space.project_folder(project)
    copied = Copied(folder)
    sources = [path for path in sorted(project.scaffold.rglob("*")) if path.is_file()]
    sources = [path for path in sources if "__pycache__" not in path.parts]
    if not sources:
        raise BrokenManifest(f"{project.scaffold} holds no files to copy.", "Install the kit again.")
    for source in sources:
        copied.write(source.relative_to(project.scaffold).as_posix(), source.read_bytes())
    return copied


def write_new(path: Path, content: bytes) -> bool:
    """Write a file whole or not at all. False if there is one of that name already; it stays as it is."""
    if os.path.lexists(path):
        return False
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        try:
            os.link(partial, path)  # unlike a rename, refuses when somebody was faster
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            os.rename(partial, path)
            return True
        return True
    except OSError as trouble:
        raise EnvironmentTrouble(
            f"{path} cannot be written: {trouble.strerror or trouble}.",
            "Check the folder's permissions and the free space of the disk.",
        ) from None
    finally:
        with suppress(OSError):
            partial.unlink()


# --- the files of a new workspace -----------------------------------------------------------------

_FILES = {
    MANIFEST: f'schema = "{SCHEMA}"\nkit = "{{kit}}"\n',
    ".gitignore": ".cohort/\n__pycache__/\n*.pyc\n.venv/\n/data/\n/runs/\n",
    ".editorconfig": """\
root = true

[*]
charset = utf-8
end_of_line = lf
insert_final_newline = true
trim_trailing_whitespace = true

[*.py]
indent_style = space
indent_size = 4
""",
    # Inline completion is off here, because it would write the exercise. Word completion and help stay.
    ".vscode/settings.json": """\
{
    "editor.inlineSuggest.enabled": false,
    "editor.rulers": [110],
    "files.eol": "\\n",
    "files.exclude": {"**/__pycache__": true, ".cohort": true},
    "jupyter.notebookFileRoot": "${fileDirname}",
    "python.terminal.executeInFileDir": true,
    "[python]": {"editor.tabSize": 4, "editor.insertSpaces": true}
}
""",
    ".vscode/extensions.json": """\
{
    "recommendations": [
        "ms-python.python",
        "ms-python.vscode-pylance",
        "ms-toolsai.jupyter",
        "charliermarsh.ruff",
        "editorconfig.editorconfig",
        "tamasfe.even-better-toml"
    ]
}
""",
    "README.md": """\
# My language model

My work for the study group. The kit gave me the skeletons; the code in them is mine.

    cohort                    what to do next
    cohort start project1     copy a project's files here
    cohort check project1     which checks pass, and why the others do not
    cohort hint project1 bytes

New to this? `cohort self-check` asks eight questions, and the warm-up begins with: cohort start project0

VS Code finds its settings in `.vscode/` and proposes extensions. Inline completion is off here, since it would write the
exercise; the first line of `settings.json` turns it on again. `.editorconfig` is for other editors.

This is a git repository without a remote: nothing leaves this machine unless I push it somewhere myself.
Please do not publish complete answers where other groups would find them before they have tried.
""",
    "AGENTS.md": """\
# For coding assistants: please tutor, do not solve

The person who works here is learning how a language model works by writing one. The code is worth
something to them only if they wrote it. They chose this; help them keep to it.

Do:

- Ask what they expect to happen before you say what happens.
- Run `cohort check` and point to the first failing check. Its message says what was expected and what
  came back.
- Point to `cohort hint PROJECT STEP` and let them take one rung at a time. `cohort explain PROJECT CHECK`
  says what a check is about.
- Explain error messages, shapes and Python or PyTorch features with small examples that are not the
  exercise itself.
- Cite the reading that the step names, and say which section.
- Review code that they wrote, and ask about the line that looks wrong.

Do not:

- Write a complete function, class or file of a project folder, or finish one for them.
- Paste code from the kit's reference answers, acceptance tests or mistake files, or look them up.
- Change the checks, the results log in `.cohort/`, or anything else so that a check turns ok.

If they ask for the answer outright, offer the next hint first. If they still want it, that is theirs to
decide: give the smallest piece that unblocks them, and explain every line.

Everything outside the project folders (git, Python environments, plotting, their notes) is ordinary work:
help freely.
""",
}
