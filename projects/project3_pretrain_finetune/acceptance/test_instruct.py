"""Step `instruct`: the template, the labels, the loss on the answer alone, and a greedy answer.

B batch, T time, V = 11 tokens. The models are small ones of the kit's, whose answers are known.
"""

import finetune_toys
import torch

from cohort_cli.checking.authoring import check

V = 11
TASK = "Below is an instruction that describes a task"
PAIRED = ", paired with an input that provides further context"
WRITE = "Write a response that appropriately completes the request."
IGNORED = -100
LETTERS = "abcdefghij klmno pqrst uvwxyz"


def sentence(rng, n=12):
    return "".join(rng.random.choice(LETTERS) for _ in range(n)).strip() or "a"


@check("instruct-alpaca", title="the Alpaca template, letter by letter, with an input and without")
def test_instruct_alpaca(member, expect, rng):
    """The first line differs with and without an input, and the part "### Input:" is there only if there is one. The
    prompt ends with "### Response:" and one newline; the response is the output alone, spaces and all.

    One letter less between training and use, and the model meets a text that it has never seen.
    """
    asked, given, answer = (sentence(rng) for _ in range(3))
    answer = f" {answer}\n"
    head = f"{TASK}{PAIRED}. {WRITE}\n\n### Instruction:\n{asked}\n\n"
    entry = {"instruction": asked, "input": given, "output": answer}
    prompt, response = member.instruct.format_example(entry)
    want = f"{head}### Input:\n{given}\n\n### Response:\n"
    expect.equal(prompt, want, say="The prompt of an entry with an input.")
    expect.equal(response, answer, say="The response.")
    want = f"{TASK}. {WRITE}\n\n### Instruction:\n{asked}\n\n### Response:\n"
    empty = {"instruction": asked, "input": "", "output": answer}
    got, _ = member.instruct.format_example(empty, "alpaca")
    expect.equal(got, want, say="The prompt of an entry whose input is empty.")
    got = member.instruct.format_example({"instruction": asked})
    expect.equal(got, (want, ""), say="An entry that has no input and no output: for use, not for training.")


@check("instruct-phi3", title="the template of Phi-3, and no template by mistake")
def test_instruct_phi3(member, expect, rng):
    """Marks in place of headings: who speaks, and where that ends. Another name is a ValueError, since a model asked in
    the wrong template answers badly and nothing says why.
    """
    asked, given, answer = (sentence(rng) for _ in range(3))
    entry = {"instruction": asked, "input": given, "output": answer}
    got = member.instruct.format_example(entry, "phi3")
    want = (f"<|user|>\n{asked}\n{given}<|end|>\n<|assistant|>\n", answer)
    expect.equal(got, want, say="With an input.")
    got = member.instruct.format_example(
        {"instruction": asked, "input": "", "output": answer}, template="phi3"
    )
    expect.equal(got, (f"<|user|>\n{asked}<|end|>\n<|assistant|>\n", answer), say="Without an input.")
    expect.raises(member.instruct.format_example, entry, "alpaka", say='The template "alpaka": a ValueError.')


@check("instruct-targets", title="only the answer counts, and each target is the token after its input")
def test_instruct_targets(member, expect):
    """Prompt 3 7 2, answer 5 9, end 8. The inputs are 3 7 2 5 9, the targets are x x 5 9 8 where x is ignored:

    the answer's first token is predicted at the prompt's last one. The second row is shorter and padded with 1.
    """
    batch = [([3, 7, 2], [5, 9]), ([4, 6], [10])]
    (inputs, targets), after = member.echo(member.instruct.sft_collate, batch, pad_id=1, end_id=8)
    x = IGNORED
    axes = ("batch", "position")
    expect.shape(targets, (2, 5), say="The targets of rows with 5 and 3 positions.")
    want = torch.tensor([[x, x, 5, 9, 8], [x, 10, 8, x, x]])
    expect.close(targets, want, axes=axes, say="The targets (-100 is ignored).")
    expect.close(inputs, torch.tensor([[3, 7, 2, 5, 9], [4, 6, 10, 1, 1]]), axes=axes, say="The inputs.")
    kinds = f"{inputs.dtype}, {targets.dtype}"
    expect.equal(kinds, "torch.int64, torch.int64", say="The data types of inputs and targets.")
    _, targets = member.instruct.sft_collate(batch, pad_id=1, end_id=8, ignore_index=-1)
    want = want.masked_fill(want == x, -1)
    expect.close(targets, want, axes=axes, say="The targets with ignore_index = -1.")
    expect.equal(after[0], batch, say="The batch after the call.")


@check(
    "instruct-end", title="the end counts once, although it looks like padding", needs=["instruct-targets"]
)
def test_instruct_end(member, expect):
    """GPT-2 has one special token, so pad_id and end_id are often the same. Hide every target that looks like
    padding, and the model never learns to stop: it writes until it is cut off.

    Padding and end are told apart by where they stand. Here both are 8, and 8 stands inside the texts as well.
    """
    x = IGNORED
    batch = [([3, 7, 2, 4], [5, 9]), ([8, 6], [10, 8, 1]), ([2], [6, 8])]
    inputs, targets = member.instruct.sft_collate(batch, pad_id=8, end_id=8)
    axes = ("batch", "position")
    expect.shape(targets, (3, 6), say="The third answer already ends with the end token. The targets.")
    want = torch.tensor([[x, x, x, 5, 9, 8], [x, 10, 8, 1, 8, x], [6, 8, x, x, x, x]])
    expect.close(targets, want, axes=axes, say="The targets (-100 is ignored).")
    want = torch.tensor([[3, 7, 2, 4, 5, 9], [8, 6, 10, 8, 1, 8], [2, 6, 8, 8, 8, 8]])
    expect.close(inputs, want, axes=axes, say="The inputs.")


@check("instruct-cut", title="a cut leaves something to learn, or says so", needs=["instruct-targets"])
def test_instruct_cut(member, expect):
    """max_length = 4 keeps the first four positions of each row, after the shift; the end of a long answer is lost,
    and no other end takes its place: the answer does not stop there.

    If the prompt alone fills the row, no target is left, and the loss would be 0/0 = nan: a ValueError.
    """
    x = IGNORED
    axes = ("batch", "position")
    batch = [([3, 7], [5, 9, 2, 4]), ([6], [10])]
    inputs, targets = member.instruct.sft_collate(batch, pad_id=1, end_id=8, max_length=4)
    expect.shape(targets, (2, 4), say="The targets, max_length = 4.")
    want = torch.tensor([[x, 5, 9, 2], [10, 8, x, x]])
    expect.close(targets, want, axes=axes, say="The targets, max_length = 4.")
    expect.close(
        inputs, torch.tensor([[3, 7, 5, 9], [6, 10, 1, 1]]), axes=axes, say="The inputs, max_length = 4."
    )
    _, targets = member.instruct.sft_collate(batch, pad_id=1, end_id=8, max_length=9)
    expect.shape(targets, (2, 6), say="With max_length = 9 the longest row has 6 positions. The targets.")
    collate = member.instruct.sft_collate
    _, targets = collate([([3, 7, 2], [5, 9])], pad_id=1, end_id=8, max_length=3)
    expect.close(
        targets, torch.tensor([[x, x, 5]]), axes=axes, say="A prompt of 3 tokens and max_length = 3."
    )
    say = "A prompt of 4 tokens and max_length = 3: no target is left, a ValueError."
    expect.raises(collate, [([3], [5]), ([3, 7, 2, 4], [5, 9])], pad_id=1, end_id=8, max_length=3, say=say)
    say = "An empty prompt: a ValueError."
    expect.raises(collate, [([], [5, 9])], pad_id=1, end_id=8, say=say)


@check("instruct-loss", title="the loss is the mean over all tokens that count")
def test_instruct_loss(member, expect, rng):
    """Rows with 4, 1 and 2 targets that count: the mean of 7 numbers, not the mean of three means. The targets are
    shifted already. Computed here position by position, with its gradients. If nothing counts: a ValueError.
    """
    there, here = finetune_toys.twins(member, rng, "LanguageModel", V, 5, 6)
    inputs, targets = rng.integers(0, V, 3, 5), rng.integers(0, V, 3, 5)
    ignored = torch.tensor([[1, 0, 0, 0, 0], [1, 1, 1, 0, 1], [0, 0, 1, 1, 1]]).bool()
    for ignore_index in (-100, -7):
        labels = targets.masked_fill(ignored, ignore_index)
        logits, _ = here(inputs)
        each = logits.logsumexp(-1) - logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
        want = each[~ignored].mean()
        more = {} if ignore_index == -100 else {"ignore_index": ignore_index}
        seen = member.vjp(member.instruct.sft_loss, there, inputs, labels, params_of=there, **more)
        expect.close(seen.output, want, say=f"The loss with ignore_index = {ignore_index}.")
    missing = sorted(name for name, gradient in seen.parameters.items() if gradient is None)
    expect.equal(missing, [], say="These parameters get no gradient from the loss.")
    leaves = dict(here.named_parameters())
    want = torch.autograd.grad(want, list(leaves.values()))
    for (name, gradient), right in zip(seen.parameters.items(), want, strict=True):
        expect.close(gradient, right, say=f"The gradient of {name}.")
    nothing = torch.full((3, 5), IGNORED)
    expect.raises(member.instruct.sft_loss, there, inputs, nothing, say="No target counts: a ValueError.")


@check("instruct-answer", title="the answer is greedy, and stops at its end")
def test_instruct_answer(member, expect, rng):
    """A model whose most likely next token is the sum of all it sees, modulo 11. The answer is the new tokens alone: no
    prompt, no end token. It has at most max_new_tokens tokens, and may be empty.
    """
    for _ in range(4):
        prompt = [rng.random.randrange(1, V) for _ in range(3)]
        tokens = list(prompt)
        for _ in range(12):
            tokens.append(sum(tokens) % V)
        answer = tokens[3:]
        model = member.bring(finetune_toys).Adder(V).eval()
        got = member.instruct.generate_response(model, prompt, end_id=V, max_new_tokens=5)
        expect.equal(got, answer[:5], say=f"The prompt {prompt}, no end, at most 5 tokens.")
    for end in dict.fromkeys(answer):
        got = member.instruct.generate_response(model, prompt, end_id=end, max_new_tokens=12)
        want = answer[: answer.index(end)]
        expect.equal(got, want, say=f"The prompt {prompt}, at most 12 tokens, stopping at {end}.")


@check("instruct-context", title="it reads no more than fits, and leaves no trace", needs=["instruct-answer"])
def test_instruct_context(member, expect, rng):
    """With max_length = 4 the model sees the last four tokens at each step: a real one has no position for more.

    It is in eval mode while it writes, afterwards in the mode in which it came, also after an early end. No gradients.
    """
    toys = member.bring(finetune_toys)
    prompt = [rng.random.randrange(1, V) for _ in range(6)]
    while sum(prompt[:2]) % V == 0:  # then never cutting would give what cutting the prompt alone gives
        prompt[0] = rng.random.randrange(1, V)
    tokens = list(prompt)
    for _ in range(7):
        tokens.append(sum(tokens[-4:]) % V)
    model = toys.Adder(V).eval()
    write = member.instruct.generate_response
    got = write(model, prompt, end_id=V, max_new_tokens=7, max_length=4)
    expect.equal(got, tokens[6:], say=f"The prompt {prompt}, max_length = 4.")
    expect.equal(member.get(model, "sizes"), [4] * 7, say="How many tokens the model saw at each step.")
    expect.equal(member.get(model, "gradients"), [False] * 7, say="Whether gradients were on, step by step.")
    expect.equal(
        member.get(model, "training"), False, say="Whether it is in training mode; it came in eval mode."
    )
    for end in (V, tokens[6]):
        model = toys.Adder(V).train()
        got = write(model, prompt, end_id=end, max_new_tokens=7, max_length=4)
        want = tokens[6:] if end == V else []
        expect.equal(got, want, say="Of a model that came in training mode.")
        expect.equal(
            member.get(model, "training"), True, say="Whether it is in training mode, as it was before."
        )
