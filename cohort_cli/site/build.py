"""Builds the site with MkDocs, strict: a warning is a failure, and a failure leaves the last site alone."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cohort_cli.errors import BrokenManifest, EnvironmentTrouble, UsageError
from cohort_cli.site import deck, policy
from cohort_cli.site.stage import stage

MARK = ".cohort-site"  # lies in every folder that we built, so that we never replace one that is not ours


@dataclass(frozen=True)
class Site:
    folder: Path
    pages: int


def build_site(kit: Path, out: Path, program: Any) -> Site:
    """Stage and build into `out`, which is replaced only when the build went through without a warning.

    Raises EnvironmentTrouble (MkDocs missing, no checkout), UsageError (`out` is someone's own folder),
    BrokenManifest (a guide or mkdocs.yml has a mistake; the message lists every one).
    """
    require_site_extra()
    _refuse_strange_folder(out)
    with tempfile.TemporaryDirectory(prefix="cohort-site-") as scratch:
        staged = stage(kit, Path(scratch) / "docs", program, cache=kit / "build" / "labs")
        built = Path(scratch) / "site"
        _mkdocs(kit / "mkdocs.yml", staged.folder, built)
        policy.protect(built, alone=(policy.alone(deck.SCRIPT),))
        (built / MARK).write_text(
            "Built by `cohort site build`, which replaces this folder.\n", encoding="utf-8"
        )
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(built, out, dirs_exist_ok=True)
    return Site(out, len(staged.pages))


def require_site_extra() -> None:
    for module in ("mkdocs", "material", "latex2mathml"):
        if importlib.util.find_spec(module) is None:
            raise EnvironmentTrouble(
                f"Building the site needs {module}, which is not installed.", 'pip install "cohort-kit[site]"'
            )


def _refuse_strange_folder(out: Path) -> None:
    if out.is_file():
        raise UsageError(f"{out} is a file.", "Name a folder: cohort site build --out DIR")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).exists():
        raise UsageError(
            f"{out} holds files that `cohort site build` did not write, so it is left alone.",
            "Name an empty or a new folder: cohort site build --out DIR",
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


class _Complaints(logging.Handler):
    """Keeps what MkDocs warns about."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
