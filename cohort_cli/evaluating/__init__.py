"""What a trained model is worth, measured.

    benchmarks.py     HellaSwag, LAMBADA, MMLU: a row of the public data becomes an item
    sources.py        where the rows come from: the hub, or a file or folder of one's own, through `datasets`
    items.py          one question: a context and the texts that may follow it
    likelihood.py     how likely the model finds each of them (torch)
    perplexity.py     loss on the run's own held-out split (torch)
    contamination.py  which items stand in the training text
    statistics.py     standard errors, and whether a score can be told from chance
    answers.py        what the model writes to instructions, for a judge or for people
    judge.py          another language model marks those answers
    sheet.py          people choose between two answers without knowing whose they are
    record.py         what is kept in the run folder, so that a stopped evaluation goes on
    report.py         results as lines for the terminal
    card.py           the card of a model that is handed to others
    ladder.py         models of the same text, from guessing to a GPT; ladder_page.py draws them
    climb.py          the process that runs the code of one rung (torch)
    __main__.py       the process that holds the model

Each measure comes with its number of items, its standard error and its chance level.
"""

from __future__ import annotations

MODULE = "cohort_cli.evaluating"  # the process that holds the model
