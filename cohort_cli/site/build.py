"""Builds the site with MkDocs, strict: a warning is a failure, and a failure leaves the last site alone."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cohort_cli.errors import BrokenManifest, EnvironmentTrouble, UsageError
from cohort_cli.site import deck, policy
from cohort_cli.site.inputs import MARK, digest, pages_if_unchanged, write_mark
from cohort_cli.site.stage import Addition, require_checkout, stage

EPOCH = "315532800"  # 1980: the day that the site's files carry, so that two builds give equal bytes


@dataclass(frozen=True)
class Site:
    folder: Path
    pages: int
    changed: bool = True  # False: it was there already


def build_site(
    kit: Path, out: Path, program: Any, also: Sequence[Addition] = (), *, force: bool = False
) -> Site:
    """Stage and build into `out`, which is replaced only when the build went through without a warning.

    Where nothing that goes in has changed and the site lies there whole, it stays as it is; force: build all the same.

    Raises EnvironmentTrouble (MkDocs missing, no checkout), UsageError (`out` is someone's own folder),
    BrokenManifest (a guide or mkdocs.yml has a mistake; the message lists every one).
    """
    require_site_extra()
    require_checkout(kit)
    refuse_strange_folder(out, "cohort site build --out DIR")
    inputs = digest(kit, [path for addition in also for path in addition.reads])
    if not force and (pages := pages_if_unchanged(out, inputs)) is not None:
        return Site(out, pages, changed=False)
    with _scratch(out) as scratch:
        staged = stage(kit, scratch / "docs", program, cache=kit / "build" / "labs", also=also)
        built = scratch / "site"
        _mkdocs(kit / "mkdocs.yml", staged.folder, built)
        policy.protect(built, alone=(policy.alone(deck.SCRIPT),))
        write_mark(built, inputs, len(staged.pages))
        _replace(out, built, scratch / "before")
    return Site(out, len(staged.pages))


def stage_site(kit: Path, out: Path, program: Any, also: Sequence[Addition] = ()) -> Site:
    """The tree that any builder can build: `out`/docs, and `out`/mkdocs.yml, which names it. See build_site."""
    require_site_extra()  # for equations and cards
    require_checkout(kit)
    refuse_strange_folder(out, "cohort site stage DIR")
    with _scratch(out) as scratch:
        made = scratch / "staged"
        made.mkdir()
        staged = stage(kit, made / "docs", program, cache=kit / "build" / "labs", also=also)
        shutil.copyfile(kit / "mkdocs.yml", made / "mkdocs.yml")
        write_mark(made, "", len(staged.pages))
        _replace(out, made, scratch / "before")
    return Site(out, len(staged.pages))


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """A folder beside `out`, so that what is made there takes its place by a rename, however large it is."""
    try:
        home = out.absolute().parent
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".cohort-site-", dir=home) as folder:
            yield Path(folder)
    except OSError as trouble:
        what = f" ({trouble.filename})" if trouble.filename else ""
        raise EnvironmentTrouble(
            f"The site cannot be written to {out}: {trouble.strerror or trouble}{what}.",
            "Is the disk full, or the folder another person's?",
        ) from None


def _replace(out: Path, made: Path, before: Path) -> None:
    """`made` becomes `out`. What was there goes away with the scratch folder."""
    try:
        if out.exists():
            out.rename(before)
        made.rename(out)
    except OSError:  # on Windows, where somebody has a file of it open; or `out` is the root of a disk
        if before.exists() and not out.exists():
            before.rename(out)
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(made, out, dirs_exist_ok=True)


def require_site_extra() -> None:
    for module in ("mkdocs", "material", "latex2mathml", "nh3", "rjsmin", "rcssmin"):
        if importlib.util.find_spec(module) is None:
            raise EnvironmentTrouble(
                f"Building the site needs {module}, which is not installed.", 'pip install "cohort-kit[site]"'
            )


def refuse_strange_folder(out: Path, command: str) -> None:
    if out.is_file():
        raise UsageError(f"{out} is a file.", f"Name a folder: {command}")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).exists():
        verb = command.rpartition(" --")[0] or command.rpartition(" ")[0]
        raise UsageError(
            f"{out} holds files that `{verb}` did not write, so it is left alone.",
            f"Name an empty or a new folder: {command}",
        )


def _mkdocs(config_file: Path, docs: Path, out: Path) -> None:
    """Run MkDocs in this process on the staged tree."""
    # Material's documented way to silence its end-of-life notice. It is a notice to us, not to members.
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import MkDocsException

    complaints = _Complaints()
    log = logging.getLogger("mkdocs")
    spoke = log.propagate
    log.propagate = False
    given = os.environ.get("SOURCE_DATE_EPOCH")
    os.environ["SOURCE_DATE_EPOCH"] = given or EPOCH
    log.addHandler(complaints)
    try:
        config = load_config(str(config_file), docs_dir=str(docs), site_dir=str(out), strict=True)
        config.plugins.on_startup(command="build", dirty=False)
        try:
            build(config)
        finally:
            config.plugins.on_shutdown()
    except MkDocsException as trouble:
        found = "\n".join(f"  {line}" for line in complaints.lines) or f"  {trouble}"
        raise BrokenManifest(
            f"MkDocs complains about the site:\n{found}", "Repair the guide and build again."
        ) from None
    finally:
        log.removeHandler(complaints)
        log.propagate = spoke
        if given is None:
            del os.environ["SOURCE_DATE_EPOCH"]


class _Complaints(logging.Handler):
    """Keeps what MkDocs warns about."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
