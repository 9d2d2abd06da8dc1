"""The server of a tiny model, asked as clients ask it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from answering import questions
from served import held_up, told
from welltuned.artifact.predictor import Predictor
from welltuned.deployment.server import model_files
from welltuned.deployment.server.access import Access
from welltuned.deployment.server.app import Service, gated
from welltuned.deployment.server.limits import ServerLimits
from welltuned.deployment.server.model_files import ModelFiles

Make = Callable[..., TestClient]


def near(value: Any) -> Any:
    """Equal up to the rounding of batches of other shapes; ids are looked at by themselves."""
    if isinstance(value, Mapping):
        return {key: near(one) for key, one in value.items() if key != "id"}
    if isinstance(value, (list, tuple)):
        return [near(one) for one in value]
    return pytest.approx(value, abs=5e-6) if isinstance(value, float) else value


def without_ids(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "id"} for row in rows]


# --- Answers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "task",
    [
        *("single", "pairs", "tags", "reward", "generation"),
        *(pytest.param(task, marks=pytest.mark.slow) for task in ("multi", "number", "chat")),
    ],
)
def test_answers_are_those_of_predict(
    task: str, client: Make, loaded: Callable[[str], Predictor]
) -> None:
    asked = questions(task)
    answer = client(task).post("/predict", json={"inputs": asked})
    rows = answer.json()["answers"]
    assert answer.status_code == 200 and answer.json()["model"] == "mine"
    assert without_ids(rows) == near(loaded(task).predict(asked))
    assert [row["id"] for row in rows] == [f"inputs:{i}" for i in range(1, len(asked) + 1)]


def test_rows_by_column_names_keep_their_ids(client: Make, loaded: Any) -> None:
    rows = [{"id": "a7", "text": "good film"}, {"id": "a8", "text": "bad film"}]
    answers = client("single").post("/predict", json={"inputs": rows}).json()["answers"]
    assert [row["id"] for row in answers] == ["a7", "a8"]
    assert without_ids(answers) == near(loaded("single").predict(rows))


def test_entities_have_their_words(client: Make) -> None:
    (row,) = client("tags").post("/predict", json={"input": "a good film"}).json()["answers"]
    assert row["words"] == ["a", "good", "film"] and len(row["prediction"]) == 3
    assert all(set(one) == {"type", "start", "stop", "text"} for one in row["entities"])


def test_many_clients_at_once_each_get_their_own_answer(client: Make, loaded: Any) -> None:
    texts, server = questions("single", 24), client("single")

    def ask(text: str) -> Any:
        return server.post("/predict", json={"input": text}).json()["answers"]

    with ThreadPoolExecutor(24) as threads:
        answers = [row for rows in threads.map(ask, texts) for row in rows]
    assert {row["id"] for row in answers} == {"inputs:1"}
    assert without_ids(answers) == near(loaded("single").predict(texts))


def test_what_is_empty_or_no_input_has_no_answer_and_harms_no_other(client: Make) -> None:
    body = json.dumps({"inputs": ["", 5, "good", "\ud800", None]})
    answer = client("single").post("/predict", content=body)
    rows = answer.json()["answers"]
    assert answer.status_code == 200
    assert [row.get("code") for row in rows] == [
        "predict.text_empty",
        "predict.input_of_wrong_type",
        None,
        "predict.text_not_unicode",
        "predict.input_of_wrong_type",
    ]
    assert all(row["reason"] for row in rows if row["prediction"] is None)


def test_where_nothing_can_be_read_the_status_says_so(client: Make) -> None:
    server = client("single")
    assert server.post("/predict", json={"input": 5}).status_code == 422
    assert server.post("/predict", json={"input": ["a", "b"]}).status_code == 422
    assert server.post("/predict", json={"input": ""}).status_code == 200


# --- What cannot be answered ---------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/predict", b"", 400, "serve.body_not_json"),
        ("POST", "/predict", b'{"input": "\xff"}', 400, "serve.body_not_utf8"),
        ("POST", "/predict", b'{"inputs": "a"}', 422, "serve.body_key_wrong"),
        ("POST", "/predict", b'{"inputs": ["a", "a", "a", "a"]}', 413, "serve.too_many_inputs"),
        ("POST", "/predict", b'{"input": "' + b"a" * 2000 + b'"}', 413, "serve.body_too_large"),
        ("POST", "/v1/chat/completions", b'{"messages": [{}]}', 404, "serve.not_a_generator"),
        ("POST", "/v1/completions", b'{"prompt": "a"}', 404, "serve.not_a_generator"),
        ("GET", "/nothing", b"", 404, "serve.no_such_path"),
        ("GET", "/predict", b"", 405, "serve.no_such_path"),
    ],
)
def test_what_cannot_be_answered_is_told_as_a_fault(
    client: Make, method: str, path: str, body: bytes, status: int, code: str
) -> None:
    server = client("single", limits=ServerLimits(inputs=3, body=1000))
    answer = server.request(method, path, content=body)
    assert told(answer) == (status, [code])
    assert answer.headers["content-type"] == "application/json"
    assert server.post("/predict", json={"input": "good"}).status_code == 200


def test_the_full_queue_is_told_with_when_to_come_again(service: Callable[..., Service]) -> None:
    held = service("single", ServerLimits(queue=1))
    go_on = held_up(held)
    waiting = held.batcher.submit(["good"])
    answer = TestClient(gated(held, Access()), "http://localhost").post(
        "/predict", json={"input": "bad"}
    )
    assert told(answer) == (429, ["serve.queue_full"])
    assert int(answer.headers["retry-after"]) >= 1
    go_on.set()
    assert len(waiting.result(10)) == 1


# --- Around the answers --------------------------------------------------------------


def test_inputs_are_logged_only_if_asked(
    client: Make, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        for body in ({"input": "a secret"}, {"input": "a secret", "more": "secret"}):
            client("single").post("/predict", json=body)
    assert "secret" not in caplog.text + "".join(capfd.readouterr())
    lines: list[str] = []
    client("single", log=lines.append).post("/predict", json={"input": "a secret"})
    assert [json.loads(line)["inputs"] for line in lines] == [["a secret"]]


def test_health_tells_of_a_model_that_was_changed(
    client: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "_FRESH", -1.0)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"as they were")
    server = client("single", files=ModelFiles(tmp_path))
    assert server.get("/health").json() == {"status": "ok", "model": "mine"}
    weights.write_bytes(b"others")
    (fault,) = server.get("/health").json()["changed"]
    assert fault["code"] == "serve.model_changed" and "model.safetensors" in fault["what"]
    assert "welltuned_model_changed 1.0" in server.get("/metrics").text
    assert server.post("/predict", json={"input": "good"}).status_code == 200
