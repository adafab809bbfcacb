"""Builds assets/kernel.js from assets/kernel.wat:  python -m cohort_cli.showcase.kernel

The bytes are kept in the repository, so that nobody needs the compiler (`wasmtime`, in the extra `dev`). A test builds
them again and compares.
"""

from __future__ import annotations

import base64
import textwrap
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
SOURCE, BUILT = ASSETS / "kernel.wat", ASSETS / "kernel.js"
HEAD = """// Built from kernel.wat by `python -m cohort_cli.showcase.kernel`. Do not edit.
globalThis.cohort = globalThis.cohort || {};
globalThis.cohort.kernel = [
"""


def built(source: str) -> str:
    """The text of kernel.js: the WebAssembly module of `source` in base64."""
    from wasmtime import wat2wasm

    lines = textwrap.wrap(base64.b64encode(bytes(wat2wasm(source))).decode("ascii"), 100)
    return HEAD + "".join(f'  "{line}",\n' for line in lines) + '].join("");\n'


if __name__ == "__main__":
    BUILT.write_text(built(SOURCE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    print(f"{BUILT}: {BUILT.stat().st_size:,} bytes")
