"""The page "Are you ready?": the questions of `cohort self-check`, each with its answer folded away."""

from __future__ import annotations

from collections.abc import Sequence

from cohort_cli.self_check import Question

_INTRO = """# Are you ready?

{count} questions: linear algebra, calculus and Python, as the warm-up uses them. Answer each one on paper, then open it.
For each answer that you did not have there is one thing to read. In a terminal, `cohort self-check` asks and marks them.

None of it is needed to come to the first meeting. The warm-up explains what it uses; the section that is named here
explains it more slowly.
"""


def questions_page(questions: Sequence[Question]) -> str:
    """Markdown for all questions, in their order."""
    parts = [_INTRO.format(count=_WORDS.get(len(questions), str(len(questions))))]
    for number, question in enumerate(questions, 1):
        parts.append(f"## {number}. {question.topic[0].upper()}{question.topic[1:]}")
        parts.append(_plain(" ".join(question.ask.split())))
        if question.code:
            parts.append(f"```python\n{question.code.strip()}\n```")
        parts.append(
            f'<details markdown="1"><summary>The answer</summary>\n\n**{_plain(question.right[0])}**. '
            f"{_plain(question.because)}\n\nNot what you had? [{question.learn}]({question.at})\n\n</details>"
        )
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


_WORDS = {8: "Eight"}


def _plain(text: str) -> str:
    """Stars, brackets and underscores of a formula are not Markdown."""
    return "".join(f"\\{letter}" if letter in "*_[]" else letter for letter in text)
