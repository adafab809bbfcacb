import shutil
import subprocess
from pathlib import Path

from engine import topological


def quoted(text):
    result = '"'
    for character in text:
        if character == '"' or character == "\\":
            result = result + "\\"
        result = result + character
    return result + '"'


def to_dot(root):
    values = topological(root)
    text = "digraph expression {\n"
    for i in range(len(values)):
        value = values[i]
        # each line of the label, and a real line break between them
        label = value.op + ": " + value.label + "\ndata = " + "%.5f" % value.data + "\ngrad = " + "%.5f" % value.grad
        for k in range(len(values)):
            for parent in value.parents():
                if values[k] is parent:
                    text = text + "v" + str(k) + " -> v" + str(i) + ";\n"
        text = text + "v" + str(i) + " [label=" + quoted(label) + ", color=blue];\n"
    return text + "}\n"


def draw_graph(root, path):
    dot = Path(path).with_suffix(".dot")
    dot.write_text(to_dot(root), encoding="utf-8")
    program = shutil.which("dot")
    if program is not None:
        subprocess.run([program, "-Tsvg", str(dot), "-o", str(dot.with_suffix(".svg"))], check=True)
