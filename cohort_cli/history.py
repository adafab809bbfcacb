"""git, as far as a workspace needs it: a repository without a remote, and a first commit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

GIT_SECONDS = 20  # a git that waits longer than this waits for something we cannot give


def begin(folder: Path, new: list[str]) -> list[str]:
    """Make the folder a git repository and commit our files. Returns what the user should know."""
    try:
        done = _git(folder, "-c", "init.defaultBranch=main", "init", "--quiet")
    except FileNotFoundError:
        return ["git was not found, so your work has no history yet. Install git, then run: git init"]
    except subprocess.TimeoutExpired:
        return [f"git init did not answer within {GIT_SECONDS} seconds, so your work has no history yet."]
    if done.returncode:
        return [f"git init failed, so your work has no history yet: {done.stderr.strip()}"]
    who = [_git(folder, "config", key).stdout.strip() for key in ("user.name", "user.email")]
    if not all(who):
        return [
            "git does not know your name, so nothing is committed yet. Tell it once:\n"
            '  git config --global user.name "Your Name"\n'
            "  git config --global user.email you@example.org"
        ]
    _git(folder, "add", "--", *new)
    commit = ["-c", "commit.gpgsign=false", "commit", "--quiet", "--no-verify"]
    done = _git(folder, *commit, "-m", "Start of my workspace")
    return [] if done.returncode == 0 else [f"The first commit did not work: {done.stderr.strip()}"]


def _git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run git in the folder. GIT_* variables (as in a git hook) would make it act on another repository."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env["GIT_TERMINAL_PROMPT"] = "0"
    return subprocess.run(
        ["git", *words],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=GIT_SECONDS,
        check=False,
    )
