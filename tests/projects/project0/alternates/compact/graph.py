import shutil
import subprocess
from pathlib import Path

from engine import topological


def to_dot(root):
    order = topological(root)
    at = {id(v): i for i, v in enumerate(order)}
    esc = lambda s: "".join("\\" + c if c in '"\\' else c for c in s)
    nodes = (f'{i} [label="{esc(v.label)} | data {v.data:.6f} | grad {v.grad:.6f}"];' for i, v in enumerate(order))
    edges = (f"{at[id(u)]} -> {at[id(v)]};" for v in order for u, _ in v.uses)
    return f"digraph G {{ {' '.join(nodes)} {' '.join(edges)} }}"


def draw_graph(root, path):
    dot = Path(path).with_suffix(".dot")
    dot.write_text(to_dot(root), encoding="utf-8")
    if program := shutil.which("dot"):
        subprocess.run([program, "-Tsvg", str(dot), "-o", str(dot.with_suffix(".svg"))], check=True)
