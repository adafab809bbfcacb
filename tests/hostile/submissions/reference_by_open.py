"""Reads the reference's text, by several ways that Python has, and through `..`."""
import codecs, io, linecache, os, pathlib, tokenize

path = REFERENCE + "/attention.py"
ways = [
    lambda: open(path).read(),
    lambda: io.FileIO(path).read(),
    lambda: io.open_code(path).read(),
    lambda: codecs.open(path).read(),
    lambda: tokenize.open(path).read(),
    lambda: pathlib.Path(path).read_text(),
    lambda: os.read(os.open(path, os.O_RDONLY), 100),
    lambda: open(WORK + "/../" + os.path.relpath(path, WORK + "/..")).read(),
    lambda: "".join(linecache.getlines(path)) or 1 / 0,
    lambda: open(os.open("attention.py", os.O_RDONLY, dir_fd=os.open(REFERENCE, os.O_RDONLY))).read(),
    lambda: (os.chdir(REFERENCE), open("attention.py").read()),
    lambda: open("/proc/self/root" + path).read(),
    lambda: os.listdir(REFERENCE),
]
for number, way in enumerate(ways):
    try:
        way()
    except (OSError, ZeroDivisionError) as error:
        last = error
    else:
        raise RuntimeError(f"BREACH: way {number}")
raise last
