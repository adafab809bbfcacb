"""Figures: what a member draws becomes a file with nothing but pixels, once at `add` and once more at `collect`."""

from __future__ import annotations

import io
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from entries import FIGURE, SAYS, lay, png, project, sealed, with_file, with_head
from PIL import Image, PngImagePlugin
from support import Cohort

from cohort_cli.showcase import entry, figures, sources
from cohort_cli.showcase.collect import PUBLISHED, THERE, collect
from cohort_cli.showcase.strict import Refused


def saved(picture: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


def noise(mode: str) -> Image.Image:
    return Image.effect_noise((9, 7), 90).convert(mode)


def with_texts() -> bytes:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "<script>secret</script>")
    notes.add_itxt("Author", "secret", zip=True)
    return saved(noise("RGB"), pnginfo=notes, exif=b"MM\0*\0\0\0\x08secret", icc_profile=b"secret" * 30)


DRAWN = {mode: saved(noise(mode)) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")}
DRAWN |= {
    "transparent palette": saved(noise("P"), transparency=3),
    "transparent colour": saved(noise("RGB"), transparency=(1, 2, 3)),
    "texts": with_texts(),
    "page behind it": png() + b"<script>secret</script>",
    "private part": png((b"seCr", b"secret")),
}


@pytest.mark.parametrize("name", DRAWN)
def test_only_pixels_stay(name: str) -> None:
    plain = figures.drawn_again(DRAWN[name])
    with Image.open(io.BytesIO(DRAWN[name])) as before, Image.open(io.BytesIO(plain)) as after:
        assert figures.inspect(plain) == after.size == before.size
        assert before.convert("RGBA").tobytes() == after.convert("RGBA").tobytes()
        assert not after.info
    assert b"secret" not in plain
    assert figures.drawn_again(plain) == plain, "collecting would change it again"


def animated() -> bytes:
    return saved(noise("L"), save_all=True, append_images=[noise("L"), noise("L")])


REFUSED = {
    "moves": (animated(), "it moves"),
    "wide": (saved(Image.new("1", (4097, 1))), "4097 x 1 pixels"),
    "jpeg": (b"\xff\xd8\xff\xe0" + bytes(100), "it is no PNG"),
    "16 bits": (saved(Image.new("I;16", (2, 2))), "8 bits"),
    "cut off": (DRAWN["RGB"][:-30], "cannot be read"),
    "text bomb": (png((b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 26)))), "cannot be read"),
    "huge": (figures.SIGNATURE + bytes(figures.MOST_SOURCE), "larger than 16 MiB"),
    "noise": (saved(Image.effect_noise((1200, 1200), 90)), "larger than 1,024 KiB as a plain picture"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_figure_is_refused(name: str) -> None:
    data, says = REFUSED[name]
    with pytest.raises(Refused, match=says):
        figures.drawn_again(data)


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda self: pytest.fail("it was unpacked"))
    with pytest.raises(Refused, match="pixels"):
        figures.drawn_again(saved(Image.new("1", (8192, 8192))))


def test_reading_does_not_hold_more_than_the_picture_says() -> None:
    """32 MiB of zeros behind a picture of 3 x 2 pixels: unpacking ends soon after those."""
    packed = zlib.compress(bytes(1 << 25))
    seen = []

    class Watched:
        def __init__(self) -> None:
            self.real = real()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def decompress(self, data: bytes, most: int) -> bytes:
            seen.append(self.real.decompress(data, most))
            return seen[-1]

    real = zlib.decompressobj
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures.zlib, "decompressobj", Watched)
        with pytest.raises(Refused, match="more or fewer"):
            figures._require_pixels([packed], 8)
    assert sum(map(len, seen)) <= 1 << 16


# --- through the commands --------------------------------------------------------------------------------------


def test_figures_are_added_read_and_collected(runs: Path, cohort: Cohort, tmp_path: Path) -> None:
    (tmp_path / "My Loss.png").write_bytes(with_texts())
    words = ["showcase", "add", "small", "--handle", "ada"]
    added = cohort(*words, "--figure", f"{tmp_path / 'My Loss.png'}=The loss falls.")
    assert added.code == 0, added.err
    assert "figure-my-loss.png" in added.out
    (figure,) = entry.load(Path("showcase/ada-small")).figures
    assert figure == ("figure-my-loss.png", "The loss falls.", 9, 7)
    collected = cohort("showcase", "collect", "showcase", "--into", "all")
    assert "published      ada-small" in collected.out, collected.err
    assert entry.load(Path("all/ada-small")).figures == [figure]
    again = cohort(*words)
    assert "figure-my-loss.png is no longer in it" in " ".join(again.out.split())
    assert entry.load(Path("showcase/ada-small")).figures == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["a.png"], "does not say what is to be seen"),
        (["a.png= "], "does not say what is to be seen"),
        (["b.png=There is none"], "cannot be read"),
        (["a.svg=A curve"], "it is no PNG"),
        (["a.png=" + "x" * 301], "longer than 300"),
        (["a.png=One", "A.png=Two"], "Two figures would be figure-a.png"),
        ([f"{letter}.png=x" for letter in "abcdefghi"], "9 figures are too many"),
    ],
)
def test_a_figure_that_cannot_be_one(
    given: list[str], says: str, runs: Path, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for letter in "acdefghiA" if "b.png=There is none" in given else "abcdefghiA":
        Path(f"{letter}.png").write_bytes(png())
    Path("a.svg").write_bytes(b"<svg/>")
    ended = cohort(
        "showcase", "add", "small", "--handle", "ada", *(w for g in given for w in ("--figure", g))
    )
    assert (ended.code, says in ended.err) == (2, True), ended.err
    assert not Path("showcase").exists()


def with_a_figure(data: bytes) -> dict[str, bytes]:
    rest = {name: content for name, content in project().items() if name != "entry.json"}
    head = {"handle": "bob", "name": "project1", "kind": "project", "project": "project1"}
    return sealed({**rest, FIGURE: data}, **head, figures={FIGURE: SAYS})


def test_a_figure_is_drawn_again_when_it_is_collected(tmp_path: Path) -> None:
    """Pixels that were packed so that a tag can be read: what is published is drawn by us, and still an entry."""
    packer = zlib.compressobj(0)
    odd = packer.compress(b"\0" + b"<b>" + b"\0" + b"</b") + packer.flush()
    plain = png()
    begin = plain.index(b"IDAT")
    body = b"IDAT" + odd
    data = (
        plain[: begin - 4]
        + len(odd).to_bytes(4, "big")
        + body
        + zlib.crc32(body).to_bytes(4, "big")
        + plain[-12:]
    )
    lay(with_a_figure(data), tmp_path / "source")
    for what in (PUBLISHED, THERE):
        (found,) = collect(sources.candidates(tmp_path / "source"), tmp_path / "into")
        assert found.what == what, found
    one = entry.load(tmp_path / "into" / "bob-project1")
    assert b"<b>" in data
    assert b"<b>" not in one.files[FIGURE]
    assert one.figures == [(FIGURE, SAYS, 3, 2)]


def test_without_the_library_one_entry_is_refused_and_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(with_a_figure(png()), tmp_path / "source")
    lay(project("ada"), tmp_path / "source")
    monkeypatch.setitem(sys.modules, "PIL", None)
    outcomes = {
        found.where.rpartition("/")[2]: found
        for found in collect(sources.candidates(tmp_path / "source"), tmp_path / "into")
    }
    assert outcomes["ada-project1"].what == PUBLISHED
    assert "Figures need the library `Pillow`" in outcomes["bob-project1"].says


def test_a_change_is_seen_in_the_figures_too() -> None:
    good = with_a_figure(png())
    assert entry.read(good).figures
    for change in (with_file(FIGURE, png()[:-1]), with_head(figures={FIGURE: ""}), with_head(figures={})):
        with pytest.raises(Refused):
            entry.read(change(good))
