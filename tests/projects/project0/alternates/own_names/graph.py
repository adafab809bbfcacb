import shutil
import subprocess
from pathlib import Path

from engine import topological


def trace(root):
    nodes = topological(root)
    edges = [(child, node) for node in nodes for child in node._prev]
    return nodes, edges


def record(text):
    for sign in '\\"{}|<>':
        text = text.replace(sign, "\\" + sign)
    return text


def to_dot(root):
    nodes, edges = trace(root)
    uid = {id(n): f'"node {i}"' for i, n in enumerate(nodes)}
    text = "digraph G {\n// made from Values\ngraph [rankdir=LR];\nnode [shape=record];\n"
    for n in nodes:
        text += '%s [label="{ %s | data %.4f | grad %.4f }", shape="record"];\n' % (
            uid[id(n)], record(n.label), n.data, n.grad)
    for n1, n2 in edges:
        text += f"{uid[id(n1)]} -> {uid[id(n2)]} [color=gray, tooltip=\"{n2._op}\"];\n"
    return text + "}"


def draw_graph(root, path):
    dot = Path(path).with_suffix(".dot")
    dot.write_text(to_dot(root), encoding="utf-8")
    program = shutil.which("dot")
    if program is not None:
        subprocess.run([program, "-Tsvg", str(dot), "-o", str(dot.with_suffix(".svg"))], check=True)
