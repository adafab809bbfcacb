import shutil
import subprocess
from functools import reduce
from itertools import chain
from pathlib import Path

from engine import topological

ESCAPES = {ord("\\"): "\\\\", ord('"'): '\\"', ord("\n"): "\\n"}


def to_dot(root):
    """First each edge, in groups, then the names."""
    nodes = topological(root)
    place = dict(zip(nodes, range(len(nodes))))
    edges = chain.from_iterable(([place[s], place[n]] for s in n._sources) for n in nodes)
    named = map(
        lambda n: f'"{place[n]}" [label="{n.label.translate(ESCAPES)}\\ldata: {n.data:+.4f}\\lgrad: {n.grad:+.4f}\\l"]',
        nodes,
    )
    return reduce(
        lambda text, line: f"{text}\t{line}\n",
        chain((f'"{a}" -> "{b}"' for a, b in edges), named),
        "DiGraph {\n",
    ) + "}"


def draw_graph(root, path):
    dot = Path(path).with_suffix(".dot")
    dot.write_text(to_dot(root), encoding="utf-8")
    if (program := shutil.which("dot")) is not None:
        subprocess.run([program, "-Tsvg", str(dot), "-o", str(dot.with_suffix(".svg"))], check=True)
