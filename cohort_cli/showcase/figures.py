"""Figures of an entry: PNG files figure-NAME.png, each with a text that says what is to be seen.

    inspect(data)                 (width, height). Raises Refused for all that is not one whole, plain picture
    drawn_again(data)             the same pixels in a file of our own; whatever else was in it is gone
    plain(files)                  the files of an entry with every figure drawn again

`inspect` needs no library and looks at every entry, wherever it is read. It allows the parts of a PNG that hold pixels
and colours, so a file that is also a page, an animation, or a note of where it was made is refused. `drawn_again` makes
such files out of what members draw, and does it once more where entries are collected.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

from cohort_cli.errors import EnvironmentTrouble
from cohort_cli.showcase import strict
from cohort_cli.showcase.strict import Refused

NAME = re.compile(r"figure-[a-z0-9-]{1,40}\.png", re.ASCII)
MOST = 8
MOST_BYTES = 1024 * 1024
MOST_SOURCE = 16 * 1024 * 1024  # of a picture that is not plain yet
WIDEST = 4096  # pixels, in either direction
LONGEST_TEXT = 300
SIGNATURE = b"\x89PNG\r\n\x1a\n"
PARTS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# (kind of colour, bits) -> bits of a pixel
PIXELS = {(0, 1): 1, (0, 2): 2, (0, 4): 4, (0, 8): 8, (2, 8): 24, (3, 1): 1, (3, 2): 2, (3, 4): 4, (3, 8): 8,
          (4, 8): 16, (6, 8): 32}  # fmt: skip


def table(found: Any) -> dict[str, str]:
    """The "figures" of entry.json: file -> what is to be seen in it, for those who do not see it."""
    if not isinstance(found, dict) or len(found) > MOST:
        raise Refused(f"figures is no object of at most {MOST}")
    for name, says in found.items():
        strict.words(name, "a figure", NAME.pattern)
        if not strict.words(says, f"what {name} shows", longest=LONGEST_TEXT).strip() or "\n" in says:
            raise Refused(f"what {name} shows is not one line of text")
    return found


# --- the format ------------------------------------------------------------------------------------------------


def inspect(data: bytes) -> tuple[int, int]:
    if not data.startswith(SIGNATURE):
        raise Refused("it is no PNG")
    parts = _parts(data)
    if parts[0][0] != b"IHDR" or len(parts[0][1]) != 13 or parts[-1] != (b"IEND", b""):
        raise Refused("it does not begin or end as a PNG does")
    kinds = [kind for kind, _ in parts]
    if len(kinds) - kinds.count(b"IDAT") != len(set(kinds) - {b"IDAT"}):
        raise Refused("it has a part twice")
    order = [kind for number, kind in enumerate(kinds) if number == 0 or kind != kinds[number - 1]]
    if order != [kind for kind in PARTS if kind in kinds] or b"IDAT" not in kinds:
        raise Refused("its parts are not in their order")
    head = parts[0][1]
    width, height = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    if not (1 <= width <= WIDEST and 1 <= height <= WIDEST):
        raise Refused(f"it has {width} x {height} pixels; {WIDEST} x {WIDEST} are allowed")
    bits = PIXELS.get((head[9], head[8]))
    if bits is None or head[10:] != b"\0\0\0":
        raise Refused("its colours are of another kind, or it is interlaced")
    if (head[9] == 3) != (b"PLTE" in kinds) and head[9] in (0, 3, 4):
        raise Refused("it has no list of its colours, or one that it does not need")
    _require_pixels((body for kind, body in parts if kind == b"IDAT"), height * (1 + (width * bits + 7) // 8))
    return width, height


def _parts(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], len(SIGNATURE)
    while at < len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body, check = data[at + 8 : at + 8 + length], data[at + 8 + length : at + 12 + length]
        if kind not in PARTS:
            raise Refused(f"it has a part {kind[:4].decode('latin-1')!r}, or bytes behind its end")
        if len(check) < 4 or zlib.crc32(kind + body) != int.from_bytes(check, "big"):
            raise Refused("it is cut off, or damaged")
        found.append((kind, body))
        at += 12 + length
        if kind == b"IEND" and at < len(data):
            raise Refused("it has bytes behind its end")
    if not found:
        raise Refused("it is cut off, or damaged")
    return found


def _require_pixels(bodies: Any, size: int) -> None:
    """They unpack to exactly so many bytes, which are never held all at once."""
    unpacker, seen = zlib.decompressobj(), 0
    try:
        for body in bodies:
            while body and seen <= size:
                seen += len(unpacker.decompress(body, 1 << 16))
                if unpacker.eof and (unpacker.unused_data or unpacker.unconsumed_tail):
                    raise Refused("it has bytes behind its pixels")
                body = unpacker.unconsumed_tail
        while not unpacker.eof and seen <= size and (more := unpacker.decompress(b"", 1 << 16)):
            seen += len(more)
    except zlib.error:
        raise Refused("its pixels cannot be unpacked") from None
    if seen != size or not unpacker.eof:
        raise Refused("it has more or fewer pixels than it says")


# --- drawn again -----------------------------------------------------------------------------------------------


def drawn_again(data: bytes) -> bytes:
    try:
        from PIL import Image
    except ImportError:
        raise EnvironmentTrouble(
            "Figures need the library `Pillow`, which is not installed.", 'pip install "cohort-kit[site]"'
        ) from None
    if not data.startswith(SIGNATURE):
        raise Refused("it is no PNG")
    if len(data) > MOST_SOURCE:
        raise Refused(f"it is larger than {MOST_SOURCE // 1024**2} MiB")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if max(picture.size) > WIDEST or min(picture.size) < 1:
                raise Refused(
                    f"it has {picture.width} x {picture.height} pixels; {WIDEST} x {WIDEST} are allowed"
                )
            if getattr(picture, "n_frames", 1) > 1:
                raise Refused("it moves; a figure is one picture")
            kept = {"1": "L", "L": "L", "RGB": "RGB", "P": "RGB"}.get(picture.mode, "RGBA")
            if picture.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
                raise Refused("its colours are of another kind; save it with 8 bits a colour")
            pixels = picture.convert("RGBA" if "transparency" in picture.info else kept)
    except Refused:
        raise
    except Exception as trouble:  # whatever a library may raise for a file that somebody broke on purpose
        raise Refused(f"it cannot be read as a picture ({type(trouble).__name__})") from None
    pixels.info.clear()
    file = io.BytesIO()
    pixels.save(file, "PNG", compress_level=9)
    found = file.getvalue()
    if len(found) > MOST_BYTES:
        raise Refused(f"it is larger than {MOST_BYTES // 1024:,} KiB as a plain picture")
    return found


def plain(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same files where nothing changes; else with an entry.json that names the new sizes and checksums."""
    found = dict(files)
    for name in files:
        if NAME.fullmatch(name):
            try:
                found[name] = drawn_again(files[name])
            except (Refused, EnvironmentTrouble) as trouble:
                raise Refused(f"{name}: {getattr(trouble, 'message', trouble)}") from None
    changed = {name: data for name, data in found.items() if data != files[name]}
    if changed:
        head = json.loads(files["entry.json"])
        for name, data in changed.items():
            head["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        found["entry.json"] = (json.dumps(head, indent=1) + "\n").encode("ascii")
    return found


def name_for(stem: str) -> str:
    """figure-NAME.png for a file of this name."""
    word = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:40].strip("-")
    return f"figure-{(word or 'a').removeprefix('figure-') or 'a'}.png"
