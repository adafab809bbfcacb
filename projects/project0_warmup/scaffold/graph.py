"""The graph of an expression as DOT text, the language of Graphviz. Pure Python.    Step: graph

It uses your own engine.py. You may add helper functions, files and attributes as you like.

Source: the DOT language, as in Karpathy, building micrograd, https://www.youtube.com/watch?v=VMj-3S1tku0
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from engine import Value, topological


def to_dot(root: Value) -> str:
    r"""The graph below root as one text:  digraph { … }

    One node for each Value, and no others: an operation has none of its own. The node's label attribute holds
    the Value's label (and its operation, if you like), the word data and its number, the word grad and its number.
    Numbers have four digits after the point: "loss\ndata 0.2500\ngrad 1.0000", where \n starts a new line.

    One edge for each use, from the parent to what was computed from it: parent -> result. A Value that an operation uses
    twice, as in a * a, has two edges to the result.

    A Value's label may hold any characters. Between the quotes of a DOT text, " is written \" and \ is written \\.
    The same expression, made again from new Values, gives exactly the same text: so no id() in it.
    """
    raise NotImplementedError("graph: to_dot")


# --- given: a picture, if Graphviz is there -----------------------------------------------------------------------


def draw_graph(root: Value, path: str | Path) -> None:
    """Write the graph to path, which ends in .dot; and beside it an .svg, if Graphviz's program `dot` is there."""
    dot = Path(path).with_suffix(".dot")
    dot.write_text(to_dot(root), encoding="utf-8")
    program = shutil.which("dot")
    if program is None:
        print(f"{dot} is written. There is no Graphviz here; any viewer of DOT files shows it.")
        return
    svg = dot.with_suffix(".svg")
    subprocess.run([program, "-Tsvg", str(dot), "-o", str(svg)], check=True)
    print(f"{dot} and {svg} are written.")
