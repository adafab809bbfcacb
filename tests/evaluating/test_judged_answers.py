"""The judge is asked over real HTTP. A server on this machine stands in for the large model: it answers by a rule."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cohort_cli.errors import DataTrouble, UsageError
from cohort_cli.evaluating import judge
from cohort_cli.evaluating.answers import Pair
from cohort_cli.evaluating.judge import Endpoint, read_choice, read_mark

PAIRS = [
    Pair(f"Say {n}.", f"good {n}" if n < 6 else f"bad {n}", f"plain {n}", f"right {n}") for n in range(8)
]
Rule = Callable[[str], str]


def between(question: str, name: str) -> str:
    return question.split(f"{name}: ")[1].split("\n-----")[0]


def fair(question: str) -> str:
    """Good answers are better than plain ones, and those better than bad ones."""
    if "Answer to mark: " in question:
        return "80" if between(question, "Answer to mark").startswith("good") else "20"
    rank = [("bad", "plain", "good").index(between(question, f"Answer {side}").split()[0]) for side in "AB"]
    return "A" if rank[0] > rank[1] else "B"


def first_one(question: str) -> str:
    return "A" if "Which answer is better" in question else "Score: 50/100"


class Server:
    def __init__(self, url: str, rule: Rule) -> None:
        self.url, self.rule = url, rule
        self.questions: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.status = 200
        self.body = b""  # in place of an answer

    def endpoint(self) -> Endpoint:
        return Endpoint(self.url, "referee", "a-secret")


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.questions.append(asked)
            made.keys.append(self.headers["Authorization"])
            content = made.rule(asked["messages"][0]["content"])
            message = {"role": "assistant", "content": content}
            answer = {"id": "1", "object": "chat.completion", "created": 0, "model": "referee",
                      "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}  # fmt: skip
            data = json.dumps(
                answer if made.status == 200 else {"error": {"message": "no such model"}}
            ).encode()
            data = made.body or data
            self.send_response(made.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *words: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Server(f"http://127.0.0.1:{http.server_address[1]}/v1", fair)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield made
    http.shutdown()
    http.server_close()
    thread.join()


def ask(server: Server, memory: Path, pairs: list[Pair] = PAIRS) -> dict[str, Any]:
    return judge.judge(pairs, server.endpoint(), memory, lambda what, done, of: None)


def test_marks_and_choices_of_a_fair_judge(server: Server, tmp_path: Path) -> None:
    found = ask(server, tmp_path / "judge.jsonl")
    assert found["mark"]["value"] == pytest.approx((6 * 80 + 2 * 20) / 8)
    assert found["mark"]["n"] == 8
    choice = found["choice"]
    assert (choice["win"], choice["tie"], choice["loss"]) == (6, 0, 2)
    assert choice["same_in_both_orders"] == 1.0
    assert choice["chose_first_place"] == 0.5
    assert found["questions_asked"] == len(server.questions) == 24
    assert server.keys[0] == "Bearer a-secret"
    assert server.questions[0]["temperature"] == 0


def test_a_judge_that_likes_the_first_place_decides_nothing(server: Server, tmp_path: Path) -> None:
    server.rule = first_one
    found = ask(server, tmp_path / "judge.jsonl")
    choice = found["choice"]
    assert (choice["win"], choice["tie"], choice["loss"]) == (0, 8, 0)
    assert choice["same_in_both_orders"] == 0.0
    assert choice["chose_first_place"] == 1.0
    assert choice["p"] == 1.0
    assert found["mark"]["value"] == 50


def test_replies_that_are_no_answer_are_counted_and_left_out(server: Server, tmp_path: Path) -> None:
    server.rule = lambda question: "I would rather not say. Between 3 and 4?"
    found = ask(server, tmp_path / "judge.jsonl")
    assert found["mark"] == {"value": None, "error": None, "n": 0, "unreadable": 8}
    assert found["choice"]["unreadable"] == 8
    assert found["choice"]["n"] == 0


def test_nothing_is_asked_twice_even_after_a_stop(server: Server, tmp_path: Path) -> None:
    memory = tmp_path / "judge.jsonl"
    ask(server, memory, PAIRS[:3])
    with memory.open("ab") as file:
        file.write(b'{"question": "torn')
    found = ask(server, memory)
    assert found["questions_asked"] == 15
    assert len(server.questions) == 24
    assert ask(server, memory)["questions_asked"] == 0
    assert "a-secret" not in memory.read_text(encoding="utf-8")


def test_agreement_with_people(server: Server, tmp_path: Path) -> None:
    rows = ask(server, tmp_path / "judge.jsonl")["items"]
    people = {pair.id: "win" for pair in PAIRS[:7]}
    found = judge.with_people(rows, people)
    assert found["n"] == 7
    assert found["equal"] == pytest.approx(6 / 7)
    assert judge.with_people(rows, {"other": "win"}) == {"n": 0, "equal": None, "kappa": None}


def test_a_server_that_refuses_or_is_not_there(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(DataTrouble, match="no such model") as caught:
        ask(server, tmp_path / "judge.jsonl")
    assert "a-secret" not in caught.value.message
    nobody = Endpoint("http://127.0.0.1:9/v1", "referee")
    with pytest.raises(DataTrouble, match="did not answer"):
        judge.judge(PAIRS[:1], nobody, tmp_path / "other.jsonl", lambda what, done, of: None)


BODIES = [
    b"no json",
    b'{"choices": null}',
    b'{"choices": {}}',
    b'{"choices": []}',
    b'{"error": {"message": "busy"}}',
]


@pytest.mark.parametrize("body", BODIES)
def test_a_server_that_speaks_another_language(server: Server, tmp_path: Path, body: bytes) -> None:
    server.body = body
    with pytest.raises(DataTrouble, match="did not answer"):
        ask(server, tmp_path / "judge.jsonl")


def test_what_cannot_be_read_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.rule = lambda question: ""
    assert ask(server, tmp_path / "judge.jsonl")["mark"]["unreadable"] == 8
    server.rule = fair
    assert ask(server, tmp_path / "judge.jsonl")["mark"]["n"] == 8


def test_a_judge_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="say where it is"):
        Endpoint.find("", "x")
    monkeypatch.setenv("OPENAI_API_KEY", "theirs")
    monkeypatch.setenv("COHORT_JUDGE_KEY", "ours")
    assert Endpoint.find("http://here/v1", "x").key == "ours"


@pytest.mark.parametrize(
    ("reply", "mark"),
    [("85", 85), (" 85.\n", 85), ("85/100", 85), ("Score: 0", 0), ("**100**", 100), ("**Score:** 70%", 70),
     ("101", None), ("-5", None), ("8.5", None), ("between 70 and 80", None), ("There are 2 errors", None),
     ("9" * 5000, None), ("good", None), ("", None)],
)  # fmt: skip
def test_marks_that_are_read(reply: str, mark: int | None) -> None:
    assert read_mark(reply) == mark


@pytest.mark.parametrize(
    ("reply", "choice"),
    [("A", "A"), ("b.", "B"), ("**A**", "A"), ("Answer B", "B"), ("answer: a", "A"), ("`B`", "B"),
     ("Option A", "A"), ("A is better", "A"), ("Tie", "tie"), ("A or B", None), ("", None),
     ("neither", None)],
)  # fmt: skip
def test_choices_that_are_read(reply: str, choice: str | None) -> None:
    assert read_choice(reply) == choice
