"""The door of the server: who is let in, how much is read, and what is told of failures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from served import SECRET, told
from welltuned.deployment.server.access import Access, AccessToken
from welltuned.deployment.server.app import Service, gated
from welltuned.deployment.server.limits import ServerLimits

Make = Callable[..., TestClient]


def test_who_may_not_ask_is_told_so(client: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVE_SECRET", SECRET)
    server = client("single", Access("0.0.0.0", AccessToken.read("env:SERVE_SECRET")))
    shown = {"authorization": f"Bearer {SECRET}"}

    def ask(**headers: str) -> tuple[int, list[str]]:
        return told(server.post("/predict", json={"input": "good"}, headers=headers))

    assert ask() == (401, ["serve.token_wrong"])
    assert ask(authorization="Bearer wrong") == (401, ["serve.token_wrong"])
    assert ask(**shown) == (200, [])
    assert ask(**shown, origin="http://evil.example") == (403, ["serve.origin_foreign"])
    assert ask(**shown, host="evil.example") == (421, ["serve.host_unknown"])
    assert server.get("/metrics").status_code == 401
    assert server.get("/health").status_code == 200


def test_a_body_without_a_length_is_read_up_to_the_limit(client: Make) -> None:
    server = client("single", limits=ServerLimits(body=1000))
    answer = server.post("/predict", content=(b" " * 300 for _ in range(10)))
    assert told(answer) == (413, ["serve.body_too_large"])
    assert server.post("/predict", content=(b'{"input": ', b'"good"}')).status_code == 200


def test_while_it_drains_nothing_new_is_taken(service: Callable[..., Service]) -> None:
    stopping = service("single")
    server = TestClient(gated(stopping, Access()), "http://localhost")
    stopping.lifecycle.draining = True
    answer = server.post("/predict", json={"input": "good"})
    assert told(answer) == (503, ["serve.stopping"])
    assert answer.headers["connection"] == "close" and "retry-after" in answer.headers
    health = server.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "draining")


@pytest.mark.parametrize("tells", [False, True])
def test_an_error_of_ours_tells_no_input_unless_asked_and_the_server_lives(
    tells: bool,
    client: Make,
    loaded: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(parts: Any, source: str) -> Any:
        raise RuntimeError(f"cannot do {list(parts)}")

    server = client("single", log=(lambda line: None) if tells else None)
    with monkeypatch.context() as patch, caplog.at_level(logging.DEBUG):
        patch.setattr(loaded("single"), "answer_all", fail)
        answer = server.post("/predict", json={"input": "my secret"})
    assert told(answer) == (500, ["serve.internal"])
    assert "RuntimeError" in caplog.text and "secret" not in answer.text
    assert ("secret" in caplog.text) is tells
    assert server.post("/predict", json={"input": "good"}).status_code == 200
