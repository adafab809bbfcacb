"""`cohort demo-app` on a run that was really trained: Gradio's own client, a real browser, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import Cohort

REQUEST = ("--tokens", "30", "--temperature", "0.8", "--top-k", "20", "--seed", "7")


class App:
    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cohort_cli", "demo-app", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "Ctrl-C" in line, self.process.communicate(timeout=60)
        self.address = line.split()[0]

    def stop(self) -> tuple[int, str, str]:
        os.killpg(self.process.pid, signal.SIGINT)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture
def page(runs: Path) -> Iterator[App]:
    app = App("small", "--port", "0")
    yield app
    if app.process.poll() is None:
        app.process.kill()
        app.process.communicate()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a signal of POSIX stands in for the key")
def test_the_page_writes_what_generate_writes_and_ctrl_c_ends_it(page: App, cohort: Cohort) -> None:
    from gradio_client import Client

    client = Client(page.address, verbose=False)
    expected = json.loads(cohort("generate", "small", "--prompt", "The ", *REQUEST, "--json").out)["samples"][
        0
    ]["text"]
    assert client.predict("The ", 30, 0.8, 20, 7, api_name="/write") == expected
    assert client.predict("The ", 30, 0.8, 20, 8, api_name="/write") != expected
    with pytest.raises(Exception, match="prompt is empty"):
        client.predict("", 30, 0.8, 20, 7, api_name="/write")
    assert client.predict("The ", 30, 0.8, 20, 7, api_name="/write") == expected  # it goes on
    code, out, err = page.stop()
    assert code == 0, err
    assert out.strip().endswith("next: cohort evaluate small")
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_in_a_browser_asks_nobody_else(page: App, browser: Any) -> None:
    tab = browser.new_page()
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page.address)
    tab.get_by_label("Prompt").fill("The <b>")
    tab.get_by_role("button", name="Write").click()
    answer = tab.get_by_label("The model")
    tab.wait_for_function("box => box.value.length > 150", arg=answer.element_handle(), timeout=60_000)
    strangers = {url for url in asked if not url.startswith((page.address, "data:", "blob:"))}
    assert strangers == set()
    tab.close()


def test_a_taken_port_is_named(runs: Path, cohort: Cohort) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = cohort("demo-app", "small", "--port", str(taken.getsockname()[1]))
    assert ended.code == 4
    assert "cannot be used" in ended.err


def test_without_gradio_it_says_what_to_install(
    runs: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    ended = cohort("demo-app", "small")
    assert ended.code == 4
    assert 'pip install "cohort-kit[app]"' in ended.err


def test_a_run_that_is_not_there(runs: Path, cohort: Cohort) -> None:
    assert cohort("demo-app", "nope").code == 2
