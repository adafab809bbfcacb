"""The Chromium, Chrome or Edge of this machine: found, and made to print a page. Nothing is downloaded."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cohort_cli.errors import EnvironmentTrouble
from cohort_cli.prose import clean

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
SECONDS = 120


def find() -> str | None:
    """The program's path, or None."""
    return next((found for name in (*BROWSERS, *APPLICATIONS) if (found := shutil.which(name))), None)


def flags() -> list[str]:
    """What every start needs. In containers there is no sandbox; the pages are ours and fetch nothing."""
    return ["--disable-gpu", *(["--no-sandbox"] if sys.platform.startswith("linux") else [])]


def print_page(page: Path, pdf: Path, by_hand: str, more: tuple[str, ...] = ()) -> None:
    """Print a file as a PDF. `by_hand`: the repair, where no browser can do it. Raises EnvironmentTrouble."""
    browser = find()
    if browser is None:
        raise EnvironmentTrouble("Printing needs Chromium, Chrome or Edge, and none was found.", by_hand)
    with tempfile.TemporaryDirectory(prefix="cohort-browser-", ignore_cleanup_errors=True) as profile:
        printed = Path(profile) / "printed.pdf"
        command = [browser, "--headless", *flags(), f"--user-data-dir={profile}", "--no-pdf-header-footer"]
        command += [*more, f"--print-to-pdf={printed}", page.absolute().as_uri()]
        try:
            ended = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
            said = ended.stderr.decode(errors="replace").strip()[-300:]
        except subprocess.TimeoutExpired:
            said = f"it took longer than {SECONDS} seconds"
        if not printed.is_file():
            raise EnvironmentTrouble(f"The browser could not print: {clean(said)}", by_hand)
        _keep(printed, pdf.absolute(), pdf)


def _keep(printed: Path, place: Path, named: Path) -> None:
    """Whole or not at all: a PDF that was there before stays where this one cannot be written."""
    aside = place.with_name(f".{place.name}.new")
    try:
        shutil.copyfile(printed, aside)
        aside.replace(place)
    except OSError as trouble:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise EnvironmentTrouble(
            f"{named} cannot be written: {trouble.strerror or trouble}.",
            "Name another file, or look at the folder's permissions and at the disk.",
        ) from None
