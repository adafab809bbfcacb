"""The faults of the game: what each does, what it shows, and how one finds it. No torch here.

This file is the answer sheet. The faults themselves are the lines with `fault ==` in network.py and experiment.py.
`reported` and `honest` are intervals, nats per character after 500 steps: what three seeds gave, with a margin on
either side for other seeds and machines. benchmarks/faults.py measures them again.
"""

from __future__ import annotations

from typing import NamedTuple

Interval = tuple[float, float]


class Fault(NamedTuple):
    name: str
    where: str  # "the model", "the loss", "the data" or "the loop"
    does: str  # one sentence
    curve: str  # what one sees, without knowing
    sample: str  # what the text looks like
    found_by: str  # the property that catches it
    check: str  # the check of the kit that tests it, such as "project2 scale"; "" if there is none
    learn: str
    reported: Interval  # what the run says it has reached
    honest: Interval  # what honest.py says


FAULTS = (
    Fault(
        name="none",
        where="",
        does="Nothing is wrong: this is the right run.",
        curve="It falls below the counts of pairs. The reported loss lies a bit below the training "
        "loss, because the held-out tenth of this text is the easier one.",
        sample="Lines and words of about the right length, few of them real.",
        found_by="All checks of Projects 2 and 3 pass, and the honest loss is the reported one.",
        check="",
        learn="Know what right looks like before you look for what is wrong. Suspicion alone finds faults everywhere.",
        reported=(1.89, 2.04),
        honest=(1.89, 2.04),
    ),
    Fault(
        name="no-causal-mask",
        where="the model",
        does="Every position also attends to later ones, and so reads its own target.",
        curve="For the first two hundred steps like the right run, then it falls towards 0, where no "
        "model of language can come.",
        sample="Nonsense, a few characters over and over: what it learned to copy is not there when it writes.",
        found_by="Change one token: no output before it may move.",
        check="project2 fused-causal",
        learn="A loss that is too good is a symptom. Ask what a perfect model would reach before you celebrate.",
        reported=(0, 0.45),
        honest=(3.89, 5.74),
    ),
    Fault(
        name="mask-after-softmax",
        where="the model",
        does="The mask is applied to the weights, not to the scores, so each row's divisor still counts the future.",
        curve="Better than the right run, by 0.1 to 0.3 nats: a success, it seems.",
        sample="Word-shaped at best, and poorer than the loss promises.",
        found_by="The attention weights of each row must add up to 1 under the mask.",
        check="project2 masked-sum",
        learn="The best-looking curve of two is no evidence. The property is.",
        reported=(1.61, 1.87),
        honest=(2.44, 3.05),
    ),
    Fault(
        name="softmax-over-queries",
        where="the model",
        does="The softmax works along the wrong dimension: each key's weights over all who ask add up to 1.",
        curve="Far too good, and on its way down still: what a position gets depends on how later ones "
        "score the same key.",
        sample="Runs of the same few characters.",
        found_by="Each row of weights must add up to 1, and no output may move when a later token changes.",
        check="project2 softmax-dim",
        learn="A sum over the wrong dimension can leak as much as a missing mask, and every shape is right.",
        reported=(0.44, 0.69),
        honest=(3.17, 4.33),
    ),
    Fault(
        name="heads-not-transposed",
        where="the model",
        does="(B, T, C) is reshaped to (B, H, T, D) with no transpose, so that a head holds a stretch of the text.",
        curve="Better than the right run: in a full window each head sees a short stretch, and that is "
        "easy to learn.",
        sample="Poor at its beginning: a text of another length is cut into other stretches.",
        found_by="A beginning alone must get the same logits as the same beginning inside a longer text.",
        check="project2 fused-values",
        learn="Nothing leaks here, and the loss is true, but for windows of one length only. Test several lengths.",
        reported=(1.72, 1.82),
        honest=(2.18, 2.31),
    ),
    Fault(
        name="targets-not-shifted",
        where="the data",
        does="The target of a position is its own character: y = x.",
        curve="Below 0.1 within a hundred steps: copying is no task.",
        sample="It repeats the last character of the prompt, for ever.",
        found_by="For each position, the target must be the token that follows it in the text.",
        check="project3 windows-targets",
        learn="Decode one batch and read it, input above target, before the first step.",
        reported=(0, 0.03),
        honest=(8.43, 8.68),
    ),
    Fault(
        name="targets-shifted-twice",
        where="the data",
        does="The target is the character after the next one.",
        curve="It learns, more slowly and less: nothing leaks, the task is only a harder one.",
        sample="No words: each letter was meant for one place further on.",
        found_by="For each position, the target must be the token that follows it in the text.",
        check="project3 windows-targets",
        learn="A curve that only looks a bit slow may belong to another task. The sample says more than the loss.",
        reported=(2.35, 2.48),
        honest=(2.74, 2.85),
    ),
    Fault(
        name="targets-of-another-row",
        where="the data",
        does="Inputs and targets come from different rows of the batch.",
        curve="It stops at the loss of counting single characters and stays there.",
        sample="Letters in their right shares, in no order.",
        found_by="Each row's targets must be that row's inputs, one place on.",
        check="project3 batch-windows",
        learn="A plateau at the unigram loss says: the input tells the model nothing. Ask where the two part.",
        reported=(3.19, 3.31),
        honest=(3.19, 3.31),
    ),
    Fault(
        name="softmax-twice",
        where="the loss",
        does="The model's probabilities, not its logits, are given to a cross-entropy that applies softmax itself.",
        curve="Flat from the first hundred steps on. With V characters it cannot get below ln(e + V - "
        "1) - 1, here 3.65, and it does not come near.",
        sample="Blanks: it has become certain of the commonest character, everywhere.",
        found_by="The loss of known logits must be the mean cross-entropy, worked out apart.",
        check="project2 model-loss",
        learn="A floor that has a formula is a fault with a name. Compute the lowest loss that your code allows.",
        reported=(4.29, 4.44),
        honest=(8.75, 9.33),
    ),
    Fault(
        name="no-residual",
        where="the model",
        does="Each block's result replaces its input, where it should be added to it.",
        curve="It stops at the loss of counting single characters: what was read does not reach the head.",
        sample="Letters in their right shares, in no order.",
        found_by="A block must give the same numbers as torch's with the same weights.",
        check="project2 block-pre",
        learn="Two very different faults can show one curve. The curve proposes, a test decides.",
        reported=(3.19, 3.31),
        honest=(3.19, 3.31),
    ),
    Fault(
        name="no-norm",
        where="the model",
        does="There is no LayerNorm, neither in the blocks nor before the head.",
        curve="Slow to start, and behind the right run; not dead.",
        sample="Like that of a run that was stopped earlier.",
        found_by="A block must give the same numbers as torch's with the same weights.",
        check="project2 block-pre",
        learn="At three layers norms are a convenience. Depth makes them a need: try it.",
        reported=(2.18, 2.31),
        honest=(2.18, 2.31),
    ),
    Fault(
        name="no-positions",
        where="the model",
        does="No position is added to the tokens.",
        curve="Ahead of the right run at step 100, and a tenth of a nat behind it at the end.",
        sample="No visible damage.",
        found_by="The same token at another place must get another vector.",
        check="project2 model-values",
        learn="An ablation of a run that was stopped early can say the opposite. Report the steps with "
        "the result.",
        reported=(2.06, 2.17),
        honest=(2.06, 2.17),
    ),
    Fault(
        name="no-scale",
        where="the model",
        does="Scores are not divided by the square root of the head's size.",
        curve="A bit better than the right run, and the honest loss says the same: with 16 channels in "
        "a head the factor is only 4.",
        sample="No visible damage.",
        found_by="The variance of scores must not grow with the head's size.",
        check="project2 scale",
        learn="A fault can be a gain at one size. Say at which size it would hurt before you call it "
        "harmless.",
        reported=(1.82, 1.96),
        honest=(1.82, 1.96),
    ),
    Fault(
        name="linear-mlp",
        where="the model",
        does="The network of each block has no non-linearity, so that its two layers are one matrix.",
        curve="Close to the right run, a little above it: less than a tenth of a nat.",
        sample="No visible damage.",
        found_by="The MLP must give linear, non-linearity, linear: doubling the input must not double the output.",
        check="project2 mlp-values",
        learn="Small differences need several seeds: here three of three lie above the right run, and "
        "one alone says little.",
        reported=(1.99, 2.12),
        honest=(1.99, 2.12),
    ),
    Fault(
        name="init-too-large",
        where="the model",
        does="Weights start 25 times as large as they should.",
        curve="It starts at more than twice ln V, the loss of guessing; from there it comes down, and "
        "stays behind.",
        sample="Like that of a run that was stopped earlier.",
        found_by="An untrained model must guess: its loss is about ln V.",
        check="project2 model-first-loss",
        learn="The loss at step 0 is known before the run. It costs one look.",
        reported=(2.49, 2.63),
        honest=(2.49, 2.63),
    ),
    Fault(
        name="same-batch-for-ever",
        where="the data",
        does="The loader is seeded anew at each step, so each step sees the same batch.",
        curve="The training loss falls to 0, and the reported one is above guessing after the first "
        "hundred steps and rises on.",
        sample="Pieces of the one batch, by heart, and nonsense between them.",
        found_by="Two steps must see two batches, and every start must be equally likely.",
        check="project3 batch-starts",
        learn="Plot both losses. Their distance is what one of them alone cannot show.",
        reported=(6.64, 8.47),
        honest=(6.64, 8.47),
    ),
    Fault(
        name="eval-on-the-training-text",
        where="the data",
        does="The validation loss is measured on the text that the model is trained on.",
        curve="The reported loss goes along with the training loss. Here that looks worse than the "
        "right run, not better: the held-out tenth of this text is the easier one.",
        sample="That of the right run: it is the right run, with a wrong number beside it.",
        found_by="No window of the validation text may lie in the training text.",
        check="project3 split-tokens",
        learn="The model is fine, the claim is not, and nobody can tell from its size. Ask of every "
        "number on which text it was measured.",
        reported=(2.01, 2.17),
        honest=(1.89, 2.04),
    ),
    Fault(
        name="accumulation-not-scaled",
        where="the loop",
        does="The losses of the micro-batches are added up and not divided by their number.",
        curve="That of the right run, as far as one can see: clipping and AdamW take out a constant "
        "factor of the gradient.",
        sample="No visible damage.",
        found_by="Micro-batches must give the gradient of the whole batch.",
        check="project3 accumulate-equal",
        learn="One part can hide the fault of another. It shows on the day when somebody changes the optimizer.",
        reported=(1.91, 2.02),
        honest=(1.91, 2.02),
    ),
    Fault(
        name="zero-grad-forgotten",
        where="the loop",
        does="Gradients are never set to zero, so each step also takes all steps before it.",
        curve="It learns, and stays behind all the way: old gradients push on long after they were right.",
        sample="Poor, like that of a run that was stopped early.",
        found_by="A step must drop old gradients before it adds new ones.",
        check="project3 step-order",
        learn="Clipping and AdamW turn this fault into mere slowness. A slow run may be a broken one: "
        "look for what is never reset.",
        reported=(2.33, 2.45),
        honest=(2.33, 2.45),
    ),
    Fault(
        name="learning-rate-too-high",
        where="the loop",
        does="The learning rate is 100 times as high: 0.3.",
        curve="It jumps up in the first steps, with most seeds, comes down to the loss of single "
        "characters, and creeps on from there.",
        sample="A few letters, in no order.",
        found_by="No property: a rate is a choice. `cohort sweep` tries several.",
        check="",
        learn="Read the training loss of the first steps: a jump while the rate still rises points at "
        "the rate.",
        reported=(2.86, 3.1),
        honest=(2.86, 3.1),
    ),
    Fault(
        name="learning-rate-too-low",
        where="the loop",
        does="The learning rate is a hundredth of what it should be: 0.00003.",
        curve="Slow and smooth, and far above the counts of single characters when the run is over.",
        sample="Almost random characters.",
        found_by="No property: a rate is a choice. `cohort sweep` tries several.",
        check="",
        learn="A smooth curve that ends above what counting gives belongs to steps that are too small. "
        "Ask the rate, then the optimizer.",
        reported=(3.66, 3.8),
        honest=(3.66, 3.8),
    ),
    Fault(
        name="sgd-instead-of-adamw",
        where="the loop",
        does="Plain gradient descent, with the learning rate that was meant for AdamW.",
        curve="Slow and smooth, and above the counts of single characters when the run is over.",
        sample="Random characters.",
        found_by="The optimizer must take AdamW's steps.",
        check="project3 groups-steps",
        learn="A learning rate means something only together with its optimizer.",
        reported=(3.48, 3.62),
        honest=(3.48, 3.62),
    ),
)
