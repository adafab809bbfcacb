"""`cohort demo-app RUN`: a page on this machine where anybody can try a trained model."""

from __future__ import annotations

import time
from typing import Annotated

import typer


def demo_app(
    run: Annotated[str, typer.Argument(metavar="RUN|CHECKPOINT", help="A run, or a checkpoint's folder.")],
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = 7860,
    checkpoint: Annotated[str, typer.Option(metavar="best|newest|STEP", help="Whose weights.")] = "best",
) -> None:
    """Show a trained model as a page: prompt, temperature, top-k, seed, and the text as it is written.

    Only this machine sees the page. It is made with Gradio: pip install "cohort-kit[app]"

    $ cohort demo-app my-gpt2
    http://127.0.0.1:7860/  (Ctrl-C stops it)
    """
    from cohort_cli.training import demo_page, play_client

    demo_page.gradio()  # what is missing is told before the model is loaded
    folder, chosen = play_client.find(run, checkpoint)
    with play_client.Player(folder, chosen) as player:
        about = "\n".join(play_client.notes(folder, chosen, player.ready))
        page = demo_page.build(player, folder.config().title, about, folder.config().run.sample_prompt)
        address = demo_page.start(page, port)
        typer.echo(f"{address}  (Ctrl-C stops it)")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            typer.echo("")
        finally:
            page.close()
    typer.echo(f"next: cohort evaluate {run}")
