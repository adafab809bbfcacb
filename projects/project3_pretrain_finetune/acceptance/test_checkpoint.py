"""Step `checkpoint`: everything that decides the rest of a run, in one file that is never half written.

The check brings a model along: embedding (7, 6) tied to the head, a matrix that is not contiguous, a scalar, dropout,
and buffers of whole numbers and of bfloat16. Its AdamW has two groups.
"""

import checkpoint_toys
import torch

from cohort_cli.checking.authoring import check


def set_up(member, rng):
    """Our module there, the member's four functions as one thing, two runs with different seeds."""
    toys = member.bring(checkpoint_toys)
    functions = (
        member.checkpoint.save_checkpoint,
        member.checkpoint.load_checkpoint,
        member.checkpoint.random_state,
        member.checkpoint.restore_random_state,
    )
    parts = toys.parts(*(member.get(function, "") for function in functions))
    tokens = rng.integers(0, 7, 60)
    runs = [toys.Run(rng.random.randrange(2**31), tokens) for _ in range(2)]
    return toys, parts, runs


def flat(values):
    return torch.cat([torch.as_tensor(values[name]).double().flatten() for name in sorted(values)])


def same(expect, got, want, say):
    """Every value, to the last bit, and every dtype."""
    kinds, wanted = ({n: str(getattr(v, "dtype", "")) for n, v in part.items()} for part in (got, want))
    expect.equal(kinds, wanted, say=f"{say}: names and data types.")
    expect.close(flat(got), flat(want), atol=0.0, say=f"{say}: all values in one row, exactly.")


@check("checkpoint-values", title="weights, buffers and the optimizer come back exactly")
def test_checkpoint_values(member, expect, rng):
    """Saved after three steps, loaded into another run: every weight, buffer and moment is the same to the last bit.

    So are the groups' learning rates and decay, the step, the configuration and the notes about the data. The head is
    still tied to the embedding, and the optimizer still means the model's own parameters.
    """
    toys, parts, (run, other) = set_up(member, rng)
    run.go(0, 3)
    config = {"d_model": 6, "lr": 0.1, "name": "dätä", "dims": [1, 2], "none": None}
    path = member.path("run.ckpt")
    toys.save(parts, path, run, 3, config)
    other.go(0, 1)
    found = toys.resume(parts, path, other)
    expect.equal(other.pointers(), [True, True], say="[the head is tied, the optimizer means this model].")
    same(expect, other.everything(), run.everything(), "Model and optimizer after loading")
    expect.equal(other.rates(), run.rates(), say="lr, weight_decay and betas of each group.")
    expect.equal(found["step"], 3, say="The step.")
    expect.equal(found["config"], config, say="The configuration.")
    expect.equal(found["data_state"], run.data_state(), say="data_state.")


@check("checkpoint-random", title="every random number generator goes on where it stood")
def test_checkpoint_random(member, expect, rng):
    """Python's random, NumPy's and torch's, each in the middle of something: two of them draw normal numbers in pairs
    and keep the second one for later.

    Asking where they stand moves none of them.
    """
    toys, parts, (run, other) = set_up(member, rng)
    toys.odd_draws()
    path = member.path("run.ckpt")
    toys.save(parts, path, run, 0)
    drawn = toys.draws()
    toys.scramble()
    toys.resume(parts, path, other)
    again = toys.draws()
    for name in ("python", "numpy", "torch"):
        got, want = (torch.tensor(d[name], dtype=torch.float64) for d in (again, drawn))
        expect.close(got, want, atol=0.0, say=f"The next numbers of {name}'s generator.")
    member.seed(7)
    want = toys.draws()["python"]
    member.seed(7)
    member.checkpoint.random_state()
    expect.equal(toys.draws()["python"], want, say="Python's next numbers after random_state().")


@check(
    "checkpoint-resume",
    title="5 steps, saved, loaded, 5 more: the same as 10, bit for bit",
    needs=["checkpoint-values", "checkpoint-random"],
)
def test_checkpoint_resume(member, expect, rng):
    """Dropout, two micro-batches in each step, a learning rate that changes, and batches whose place is drawn by all
    three generators and by one more whose state is in data_state.

    If one bit of all that is lost, the weights differ after the tenth step.
    """
    toys, parts, (run, other) = set_up(member, rng)
    path = member.path("run.ckpt")
    run.go(0, 2)
    toys.save(parts, path, run, 2)
    run.go(2, 5)
    toys.save(parts, path, run, 5)
    run.go(5, 10)
    want = run.everything()
    toys.scramble()
    found = toys.resume(parts, path, other)
    expect.equal(found["step"], 5, say="The step of the second of two saves.")
    other.go(5, 10)
    same(expect, other.everything(), want, "After step 10")


@check("checkpoint-file", title="one file, small, and without pickle", needs=["checkpoint-values"])
def test_checkpoint_file(member, expect, rng):
    """A pickle can run any program when it is loaded, so a stranger's checkpoint would be a stranger's program.

    Everything is in the one file that was asked for, and nothing else is left in the folder. A tied matrix is
    stored once: for GPT-2 XL a second copy would be 322 MB.
    """
    toys, parts, (run, _) = set_up(member, rng)
    run.go(0, 1)
    member.write("out/notes.txt", b"")
    path = member.path("out/run.ckpt")
    for step in (1, 2):
        toys.save(parts, path, run, step)
    expect.equal(member.files("out"), ["notes.txt", "run.ckpt"], say="Files in the folder after two saves.")
    called = toys.without_pickle(path, run, 1)
    expect.equal(called, [], say="What saving and loading used of pickle.")
    wide = toys.Run(1, rng.integers(0, 7, 60))
    toys.widen(wide)
    toys.save(parts, path, wide, 1)
    # The tied matrix has 3000 * 6 float32 values, 72,000 bytes; all the rest is below 40,000, as text it may be 80,000.
    size = len(member.read("out/run.ckpt"))
    expect.that(
        size < 152_000,
        "A tied matrix of 72,000 bytes must be stored once.",
        got=f"{size // 72_000} times 72,000 bytes",
    )


@check("checkpoint-aside", title="a save that is interrupted destroys nothing", needs=["checkpoint-values"])
def test_checkpoint_aside(member, expect, rng):
    """The machine stops in the middle of the second save, once at the moment of renaming, once while the bytes are
    forced to the disk. Each time the first checkpoint must still be there and whole, and a later save must work.

    os.fsync comes before the rename: without it the new name may point to bytes that never reached the disk.
    """
    toys, parts, (run, other) = set_up(member, rng)
    path = member.path("out/run.ckpt")
    member.write("out/notes.txt", b"")
    run.go(0, 1)
    toys.save(parts, path, run, 1)
    first = run.everything()
    events = toys.saved_and_killed(path, run, 1, "never")
    expect.that("rename" in events, "The file must be written aside and then renamed.", got=events)
    synced = "fsync" in events[: events.index("rename")]
    expect.that(synced, "os.fsync must come before the rename.", got=events)
    run.go(1, 2)
    for when in ("rename", "fsync"):
        toys.saved_and_killed(path, run, 2, when)
        there = "run.ckpt" in member.files("out")
        expect.that(there, f"The old checkpoint must be there when the {when} does not return.", got=there)
        found = toys.resume(parts, path, other)
        expect.equal(found["step"], 1, say=f"The step of the file, when the {when} did not return.")
        same(expect, other.everything(), first, "What was loaded from it")
    toys.save(parts, path, run, 2)
    expect.equal(toys.resume(parts, path, other)["step"], 2, say="The step after the next save.")


@check("checkpoint-damaged", title="a damaged file is refused, by name", needs=["checkpoint-values"])
def test_checkpoint_damaged(member, expect, rng):
    """One flipped bit in a weight is a valid number, and nobody would notice. A checksum over the whole file does.

    One bit at each of 40 places, a file that is cut off, one with a byte too many, an empty one: each is a ValueError
    that has the file's name in it, before anything in model or optimizer has changed.
    """
    toys, parts, (run, other) = set_up(member, rng)
    run.go(0, 1)
    toys.save(parts, member.path("whole.ckpt"), run, 1)
    other.go(0, 1)
    before = other.everything()
    data = member.read("whole.ckpt")
    cases = [("a file that lacks its last byte", data[:-1]), ("half of a file", data[: len(data) // 2])]
    cases += [
        ("one byte too many", data + b"\0"),
        ("an empty file", b""),
        ("other bytes", b"\x80\x04\x95\x00"),
    ]
    for number in range(40):
        place = (len(data) - 1) * number // 39
        bit = rng.random.randrange(8)
        flipped = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
        cases.append((f"bit {bit} of byte {place}", flipped))
    other_errors, nameless = [], []
    for what, damaged in cases:
        kinds, named = toys.load_quietly(parts, member.write("run-7.ckpt", damaged), other)
        if "ValueError" not in kinds:
            other_errors.append(f"{what}: {kinds[0]}")
        elif not named:
            nameless.append(what)
    expect.that(not other_errors, "Each of these needs a ValueError.", got=other_errors)
    expect.that(not nameless, "For each of these the message must name the file.", got=nameless)
    same(expect, other.everything(), before, "Model and optimizer after all these were refused")


@check(
    "checkpoint-other-model", title="a checkpoint of another model is refused", needs=["checkpoint-values"]
)
def test_checkpoint_other_model(member, expect, rng):
    """A matrix of another shape, a parameter that the file lacks: a ValueError.

    Loading what fits and leaving the rest at random values is how a run goes wrong without a word. A file that is not
    there is a FileNotFoundError.
    """
    toys, parts, (run, _) = set_up(member, rng)
    path = member.path("run.ckpt")
    toys.save(parts, path, run, 1)
    for kind, what in (("wider", "whose matrices are wider"), ("more", "with one more parameter")):
        kinds, _ = toys.another_model(parts, path, kind)
        expect.that("ValueError" in kinds, f"A ValueError is needed for a model {what}.", got=kinds[0])
    kinds, _ = toys.load_quietly(parts, member.path("none.ckpt"), run)
    expect.that("FileNotFoundError" in kinds, "No file there: a FileNotFoundError.", got=kinds[0])
