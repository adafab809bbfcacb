"""What does `cohort --help` cost, against a typer program of two commands?

    python benchmarks/startup.py [--pairs 15]

Measures the CPU time (user and system) of child processes, not the time on the clock, so that a busy machine
changes little. The two programs run in turn, and each row is the median of the ratios of the pairs. Prints a
table; exits with 1 when a verb of ours costs more than 1.5 times the two-command program.
"""

from __future__ import annotations

import argparse
import resource  # Linux and macOS; Windows does not count the CPU time of children
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BAR = 1.5
KIT = Path(__file__).resolve().parent.parent
TWO_COMMANDS = """\
import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def greet(name: str, times: int = 1) -> None:
    '''Greet someone.'''


@app.command()
def part(name: str) -> None:
    '''Say goodbye.'''


app()
"""


def cpu_seconds(command: list[str], folder: Path) -> float:
    """User and system time of one child process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure(ours: list[str], theirs: list[str], folder: Path, pairs: int) -> tuple[float, float, float]:
    """(our median, their median, median of the ratios); one warm-up pair is thrown away."""
    mine, other = [], []
    for _ in range(pairs + 1):
        mine.append(cpu_seconds(ours, folder))
        other.append(cpu_seconds(theirs, folder))
    mine, other = mine[1:], other[1:]
    ratios = [a / b for a, b in zip(mine, other, strict=True)]
    return statistics.median(mine), statistics.median(other), statistics.median(ratios)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what `cohort` costs to start.")
    parser.add_argument("--pairs", type=int, default=15)
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = folder / "two_commands.py"
        program.write_text(TWO_COMMANDS, encoding="utf-8")
        cohort = [sys.executable, "-m", "cohort_cli"]
        subprocess.run([*cohort, "init", "my-llm"], cwd=folder, stdout=subprocess.DEVNULL, check=True)
        workspace = folder / "my-llm"
        subprocess.run([*cohort, "start", "project2"], cwd=workspace, stdout=subprocess.DEVNULL, check=True)
        # A log of verdicts to read; the scaffold is not done, so this ends with 1.
        subprocess.run([*cohort, "check", "project2"], cwd=workspace, stdout=subprocess.DEVNULL, check=False)
        theirs = [sys.executable, str(program), "--help"]
        print(f"{'command':<28} {'CPU ms':>8} {'two-command app':>16} {'ratio':>7}")
        worst = 0.0
        for words in (
            ["--version"],
            ["--help"],
            ["check", "--help"],
            ["hint", "project2", "mask"],
            ["status"],
        ):
            ours, other, ratio = measure([*cohort, *words], theirs, workspace, pairs)
            print(f"cohort {' '.join(words):<21} {ours * 1000:8.0f} {other * 1000:16.0f} {ratio:7.2f}")
            worst = max(worst, ratio)
    print(f"starting costs at most {worst:.2f} times a two-command app; the bar is {BAR}")
    return 0 if worst <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
