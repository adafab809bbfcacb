"""The page's scripts in V8 (mini-racer), without a browser. V8 alone has no TextDecoder, TextEncoder and atob: here they
are, as small as the tests allow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from py_mini_racer import MiniRacer

from cohort_cli.showcase.kernel import ASSETS

SCRIPTS = ("kernel.js", "weights.js", "sampling.js", "engine.js", "tokenizer.js")
SHIMS = r"""
globalThis.TextEncoder = class {
  encode(text) {
    return Uint8Array.from(unescape(encodeURIComponent(text)), (letter) => letter.charCodeAt(0));
  }
};
globalThis.TextDecoder = class { // the standard's way: the longest beginning of a character becomes one U+FFFD
  constructor(name, { fatal = false } = {}) { this.fatal = fatal; }
  decode(bytes) {
    let text = "", at = 0;
    while (at < bytes.length) {
      const first = bytes[at++];
      let more = first < 0x80 ? 0 : first >= 0xc2 && first <= 0xdf ? 1 : first >= 0xe0 && first <= 0xef ? 2
        : first >= 0xf0 && first <= 0xf4 ? 3 : -1;
      let code = more > 0 ? first & (0x3f >> more) : first;
      let low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
      let high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
      for (; more > 0 && bytes[at] >= low && bytes[at] <= high; more--, low = 0x80, high = 0xbf)
        code = (code << 6) | (bytes[at++] & 0x3f);
      if (more && this.fatal) throw new TypeError("not UTF-8");
      text += more ? "\ufffd" : String.fromCodePoint(code);
    }
    return text;
  }
};
globalThis.atob = (text) => String.fromCharCode(...Uint8Array.fromBase64(text));
globalThis.tried = (work) => { try { return work(); } catch (error) { return `${error.name}: ${error.message}`; } };
"""


class Page:
    """Scripts that are loaded, and values that go in and out of them."""

    def __init__(self, racer: MiniRacer) -> None:
        self.racer = racer

    def run(self, code: str, **values: Any) -> Any:
        """What an expression gives, through JSON. `values` are known to it by their names."""
        names = "".join(f"const {name} = {json.dumps(value)};" for name, value in values.items())
        found = self.racer.eval(
            f"JSON.stringify((() => {{ {names} return {code}; }})()) ?? null", timeout_sec=60
        )
        return None if found is None else json.loads(str(found))

    def bytes(self, name: str, data: bytes) -> None:
        """A global Uint8Array with these bytes."""
        view = self.racer.eval(f"globalThis.{name} = new Uint8Array({len(data)}); {name}.buffer")
        if data:
            view[:] = data

    def floats(self, code: str, **values: Any) -> NDArray[np.float32]:
        """What an expression gives, a Float32Array."""
        names = "".join(f"const {name} = {json.dumps(value)};" for name, value in values.items())
        kept = f"globalThis.kept = Float32Array.from({code}).buffer"  # or it may be collected before it is copied
        view = self.racer.eval(f"(() => {{ {names} return {kept}; }})()", timeout_sec=60)
        return np.frombuffer(bytes(view), np.float32)

    def load(self, data: bytes, *, kernel: bool = True) -> None:
        """The global `model`."""
        self.bytes("file", data)
        self.run(f"void (globalThis.model = cohort.load(file, {{ kernel: {str(kernel).lower()} }}))")


@contextmanager
def page(*scripts: str) -> Iterator[Page]:
    racer = MiniRacer()
    try:
        racer.eval(SHIMS)
        for name in scripts or SCRIPTS:
            racer.eval((ASSETS / name).read_text(encoding="utf-8"))
        yield Page(racer)
    finally:
        racer.close()  # without it the interpreter may hang at its end
