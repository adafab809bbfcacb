"""`cohort export RUN FOLDER`: a trained GPT-2 as a folder that other people's tools open."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

CARD = "README.md"  # where the Hugging Face hub looks for a card


def export(
    run: Annotated[str, typer.Argument(metavar="RUN|CHECKPOINT", help="A run, or a checkpoint's folder.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that is not there yet.")],
    checkpoint: Annotated[str, typer.Option(metavar="best|newest|STEP", help="Whose weights.")] = "best",
) -> None:
    """Write a model for transformers: config.json, model.safetensors, tokenizer.json, and a card.

    GPT2LMHeadModel.from_pretrained opens the folder; that its logits are those of your network is compared
    before anything is written. The card (README.md) holds what the run knows. What only you can say stands
    there as a question: answer it before you hand the folder on.

    $ cohort export my-gpt2 my-gpt2-to-share
    wrote       my-gpt2-to-share: README.md, config.json, generation_config.json,
                model.safetensors, tokenizer.json, tokenizer_config.json
    same        logits as transformers computes, to 3.8e-06
    next: answer the questions in my-gpt2-to-share/README.md
    """
    from cohort_cli.errors import UsageError
    from cohort_cli.evaluating.card import card
    from cohort_cli.prose import clean
    from cohort_cli.training import play_client
    from cohort_cli.training.guards import disk_trouble
    from cohort_cli.training.live import row

    if os.path.lexists(folder):
        raise UsageError(f"{folder} exists already.", "Name a folder that is not there yet.")
    run_folder, chosen = play_client.find(run, checkpoint)
    aside = folder.absolute().with_name(f".{folder.name}.{os.getpid()}")
    try:
        aside.mkdir(parents=True)
        with play_client.Player(run_folder, chosen, "cohort_cli.training.export") as player:
            (found,) = player.ask(out=str(aside))
            text = card(run_folder, chosen, player.ready["parameters"])
        (aside / CARD).write_text(text, encoding="utf-8", newline="\n")
        for path in aside.iterdir():  # the library lets nobody else read the weights
            shutil.copymode(aside / CARD, path)
        aside.replace(folder.absolute())  # whole, or not there
    except OSError as error:
        raise disk_trouble(error, str(folder)) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    files = ", ".join(sorted([CARD, *found["files"]]))
    lines = row("wrote", f"{folder}: {files}")
    lines += row("same", f"logits as transformers computes, to {found['off']:.1e}")
    typer.echo("\n".join(lines))
    typer.echo(f"next: answer the questions in {clean(str(folder / CARD))}")
