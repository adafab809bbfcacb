"""The graph of an expression as DOT text. Step: graph. Pure Python."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from engine import Value, topological


def to_dot(root: Value) -> str:
    """One node for each Value, one edge for each use."""
    nodes = topological(root)
    names = {node: f"n{number}" for number, node in enumerate(nodes)}
    lines = ["digraph {", "  rankdir=LR", "  node [shape=box]"]
    for node in nodes:
        first = " = ".join(part for part in (node.label, node.op) if part)
        text = f"{first}\ndata {node.data:.4f}\ngrad {node.grad:.4f}"
        lines.append(f'  {names[node]} [label="{_escaped(text)}"]')
    for node in nodes:
        lines += [f"  {names[parent]} -> {names[node]}" for parent in node.parents]
    return "\n".join([*lines, "}"]) + "\n"


def _escaped(text: str) -> str:
    """As it must stand between the quotes of a DOT string."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


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
