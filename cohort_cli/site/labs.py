"""A meeting's lab as a page: its words, its code, and what the code printed and drew when the site was built."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cohort_cli
from cohort_cli import labs
from cohort_cli.catalog import kit_root
from cohort_cli.errors import BrokenManifest, EnvironmentTrouble
from cohort_cli.site import figures
from cohort_cli.site.markdown import Place, convert

SECONDS = 300  # for one cell
STOPPED = "_async_cleanup_kernel_future"  # what nbclient sets when it was interrupted
Output = tuple[str, str, str, str]  # "text" or "figure", the text, alt, caption

REMARK = """<div class="box" markdown="1">
Each section stands alone: `cohort lab {number} SECTION`. All of it as a notebook:
`cohort lab {number} --notebook lab.ipynb`. What is printed below came from the kit itself, when this site was built.
</div>"""


def page(path: Path, kit: Path, number: int, link: Callable[[str, Place], str], cache: Path | None) -> str:
    """Markdown. Runs the lab in a kernel, unless the cache knows what exactly this lab gave."""
    lines: list[str] = []
    drawn: list[Output] = []
    for cell, given in zip(labs.read_cells(path), run(path, cache), strict=True):
        if cell.kind == "markdown":
            if cell.section and not any(f'<a id="{cell.section}"></a>' in line for line in lines):
                lines.append(f'<a id="{cell.section}"></a>')
            lines.append(cell.text)
            if len(lines) == 1:
                lines.append(REMARK.format(number=number))
            continue
        lines.append(f"```python\n{cell.text}\n```")
        for output in given:
            if output[0] == "text":
                lines.append(f"```text\n{output[1].rstrip()}\n```")
            else:
                drawn.append(output)
                lines.append(f"FIGURE-{len(drawn) - 1}-OF-THE-LAB")
    text = convert("\n\n".join(lines) + "\n", path, kit, link)
    for count, (_, svg, alt, caption) in enumerate(drawn):
        inline = figures.inline_text(svg, f"lab{number}-{count}", alt, caption, Place(path, 1))
        text = text.replace(f"FIGURE-{count}-OF-THE-LAB", inline)
    return text


def run(path: Path, cache: Path | None = None) -> list[list[Output]]:
    """What each cell gave. Raises BrokenManifest with the cell's line, EnvironmentTrouble where a kernel is missing.

    With a cache, a lab runs once for each of its versions, and a second process waits for the first.
    """
    if cache is None:
        return _fresh(path)
    import filelock

    kept = cache / f"lab-{_key(path)}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(kept.with_suffix(".lock")):
        if kept.is_file():
            return [
                [(kind, text, alt, caption) for kind, text, alt, caption in cell]
                for cell in json.loads(kept.read_bytes())
            ]
        found = _fresh(path)
        kept.write_text(json.dumps(found), encoding="utf-8")
    return found


def _fresh(path: Path) -> list[list[Output]]:
    cells = labs.read_cells(path)
    return _execute(path) if any(cell.kind == "code" for cell in cells) else [[] for _ in cells]


def _key(path: Path) -> str:
    """Changes with the lab, with Python, and with whatever code of the kit's a lab may call."""
    found = hashlib.sha256(path.read_bytes() + sys.version.encode())
    for folder in (Path(cohort_cli.__file__).parent, kit_root() / "projects"):
        for file in sorted(folder.rglob("*.py")):
            if "scaffold" not in file.parts:
                found.update(file.read_bytes())
    return found.hexdigest()[:16]


def _execute(path: Path) -> list[list[Output]]:
    try:
        import jupytext
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
    except ImportError as missing:
        trouble = f"Labs are run with jupytext and nbclient: {missing}."
        raise EnvironmentTrouble(trouble, 'pip install "cohort-kit[site]"') from None
    notebook = jupytext.read(path, fmt="py:percent")
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    client = NotebookClient(notebook, timeout=SECONDS, kernel_name="python3")
    try:
        with _interruptible(client):
            client.execute(stderr=subprocess.DEVNULL)
    except CellExecutionError as error:
        number = next(n for n, cell in enumerate(notebook.cells) if _failed(cell))
        line = labs.read_cells(path)[number].line
        raise BrokenManifest(f"{path}:{line}: this cell fails. {error.ename}: {error.evalue}") from None
    return [_outputs(cell) for cell in notebook.cells]


@contextlib.contextmanager
def _interruptible(client: object) -> Iterator[None]:
    """nbclient takes Ctrl-C for itself: it ends the kernel, and then fails in one of many ways. Ctrl-C is Ctrl-C."""
    try:
        yield
    except Exception:
        if not hasattr(client, STOPPED):
            raise
    if hasattr(client, STOPPED):
        raise KeyboardInterrupt


def _failed(cell: object) -> bool:
    return any(output.output_type == "error" for output in getattr(cell, "outputs", ()))


def _outputs(cell: object) -> list[Output]:
    found: list[Output] = []
    for output in getattr(cell, "outputs", ()):
        data = output.get("data", {})
        if output.output_type == "stream" and output.name == "stdout":
            if found and found[-1][0] == "text":
                found[-1] = ("text", found[-1][1] + output.text, "", "")
            else:
                found.append(("text", output.text, "", ""))
        elif "image/svg+xml" in data:
            said = output.metadata["image/svg+xml"]
            found.append(("figure", data["image/svg+xml"], said["alt"], said["caption"]))
        elif "text/plain" in data:
            found.append(("text", data["text/plain"], "", ""))
    return found
