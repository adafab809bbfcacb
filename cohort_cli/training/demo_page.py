"""A page on this machine where anybody can try a trained model, made with Gradio. No torch: play.py holds the model.

What the model writes is untrusted: it is shown as plain text, never as Markdown or HTML. Nothing leaves this machine:
no public address, no usage statistics, no fonts from elsewhere.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cohort_cli.errors import CohortError, EnvironmentTrouble

if TYPE_CHECKING:
    from cohort_cli.training.play_client import Player

HOST = "127.0.0.1"
LONGEST = 1000  # tokens of one answer
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
FONTS = ("system-ui", "sans-serif")


def gradio() -> Any:
    """The library, which is slow to import. Raises EnvironmentTrouble if it is missing."""
    os.environ |= QUIET
    try:
        import gradio as library
    except ImportError:
        raise EnvironmentTrouble(
            "The page is made with the library `gradio`, which is not installed.",
            'pip install "cohort-kit[app]"      In the terminal: cohort chat RUN',
        ) from None
    return library


def build(player: Player, title: str, about: str, prompt: str) -> Any:
    """The page: gradio.Blocks. One answer is written at a time; the others wait."""
    gr = gradio()
    task = player.ready["task"]
    turn = threading.Lock()  # the process answers one request after the other

    def write(prompt: str, tokens: float, temperature: float, top_k: float, seed: float) -> Iterator[str]:
        """The answer so far, again and again until it is whole."""
        request = {
            "tokens": int(tokens),
            "temperature": temperature,
            "top_k": int(top_k) or None,
            "seed": int(seed),
        }
        text = ""
        try:
            with turn:
                for event in player.ask(prompt=prompt, template=task in ("instruct", "dpo"), **request):
                    if event["event"] == "text":
                        text += event["text"]
                        yield text
                yield text
        except CohortError as trouble:
            says = f"{trouble.message} {trouble.repair}"
            raise gr.Error(says, duration=None, print_exception=False) from None

    with gr.Blocks(title=title, analytics_enabled=False) as page:
        gr.Textbox(about, label=title, lines=3, interactive=False)
        asked = gr.Textbox(prompt, label="Text to label" if task == "classify" else "Prompt", lines=3)
        with gr.Row(visible=task != "classify"):
            tokens = gr.Slider(1, LONGEST, 200, step=1, label="Tokens at most")
            temperature = gr.Slider(0, 2, 0.8, step=0.05, label="Temperature (0: always the likeliest)")
            top_k = gr.Slider(0, 200, 0, step=1, label="Top-k (0: all tokens)")
            seed = gr.Number(1, precision=0, minimum=0, label="Seed")
        button = gr.Button("Write" if task != "classify" else "Label", variant="primary")
        answer = gr.Textbox(label="The model", lines=10, interactive=False)
        given = [asked, tokens, temperature, top_k, seed]
        for event in (button.click, asked.submit):
            event(write, given, answer, api_name="write", concurrency_limit=1, concurrency_id="model")
    return page


def start(page: Any, port: int) -> str:
    """Show the page on this machine; its address. port 0: any free one. Stop it with page.close().

    Raises EnvironmentTrouble if the port is taken.
    """
    gr = gradio()
    theme = gr.themes.Base(font=FONTS, font_mono=("monospace",))
    try:
        _, address, _ = page.launch(
            server_name=HOST, server_port=port or _free_port(), share=False, inbrowser=False, quiet=True,
            prevent_thread_lock=True, ssr_mode=False, footer_links=[], theme=theme,
        )  # fmt: skip
    except OSError:
        raise EnvironmentTrouble(
            f"Port {port} on {HOST} cannot be used; something else may have it.",
            "Choose another: cohort demo-app RUN --port 7861",
        ) from None
    return str(address)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
