import html
import json
import shutil
import string
import subprocess
from pathlib import Path

PAGE = string.Template("digraph { { rank=same; rankdir=TB }\n$lines}\n")


def to_dot(root):
    order, seen = [], {}

    def walk(node):
        """graphlib gives the parents in no fixed order; this is fixed."""
        if node not in seen:
            seen[node] = None
            for parent, _ in node.partials:
                walk(parent)
            seen[node] = len(order)
            order.append(node)

    walk(root)
    lines = []
    for n, node in enumerate(order):
        rows = [html.escape(node.label), f"data {node.data:.4f}", f"grad {node.grad:.4f}"]
        if n % 2:  # a label that looks like HTML
            label = "<<b>" + "</b><br/><b>".join(rows) + "</b>>"
        else:
            label = json.dumps("\n".join([node.label, *rows[1:]]), ensure_ascii=False)
        lines.append(f"  {n} [shape=plain label={label}]\n")
        if node.partials:
            lines += [f"  {{ {seen[parent]} }} -> {n}:w\n" for parent, _ in node.partials]
    return PAGE.substitute(lines="".join(lines))


def draw_graph(root, path):
    dot = Path(path).with_suffix(".dot")
    dot.write_text(to_dot(root), encoding="utf-8")
    if program := shutil.which("dot"):
        subprocess.run([program, "-Tsvg", str(dot), "-o", str(dot.with_suffix(".svg"))], check=True)
