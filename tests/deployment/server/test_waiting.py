"""A client that hangs up is not answered, and harms nobody."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from served import held_up
from welltuned.artifact.predictor import Predictor
from welltuned.deployment.server.access import Access
from welltuned.deployment.server.app import Service, gated

ASKED = {"messages": [{"role": "user", "content": "was it good"}]}


def asked_and_left(
    service: Service, path: str, body: object, leaves: threading.Event | None = None
) -> list[Any]:
    """What is sent to a client that goes as soon as it has asked, or as that is set."""
    arriving = [
        {"type": "http.request", "body": json.dumps(body).encode()},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        if len(arriving) > 1:
            return arriving.pop(0)
        if leaves is not None:
            await asyncio.to_thread(leaves.wait, 10)
        return arriving[0]

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost")]
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": path, "headers": headers}
    scope |= {"query_string": b"", "http_version": "1.1", "root_path": "", "scheme": "http"}
    asyncio.run(gated(service, Access())(scope, receive, send))
    return sent


@pytest.mark.parametrize(
    ("task", "path", "body"),
    [
        ("single", "/predict", {"input": "good"}),
        ("talk", "/v1/chat/completions", ASKED),
        ("talk", "/v1/chat/completions", {**ASKED, "stop": "END"}),
        ("talk", "/v1/chat/completions", {**ASKED, "stream": True}),
    ],
)
def test_what_nobody_waits_for_is_not_answered(
    task: str, path: str, body: object, service: Callable[..., Service]
) -> None:
    held = service(task)
    go_on = held_up(held)
    asked_and_left(held, path, body)
    assert b'status="499"' in held.measures.page() and held.lifecycle.inside == 0
    go_on.set()
    assert held.batcher.alone(lambda model: "next").result(10) == "next"
    assert held.batcher.waiting == 0


def test_a_model_stops_to_write_when_its_listener_goes(
    service: Callable[..., Service],
    loaded: Callable[[str], Predictor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would write for ever."""
    words: list[str] = []
    begun = threading.Event()

    def write(given: object, hear: Callable[[str], object], by: object) -> str:
        while True:
            words.append("so")
            begun.set()
            time.sleep(0.001)
            hear(" so")

    one = service("talk")
    with monkeypatch.context() as patch:
        patch.setattr(loaded("talk"), "say", write)
        asked_and_left(one, "/v1/chat/completions", {**ASKED, "stream": True}, begun)
        assert one.batcher.alone(lambda model: "next").result(10) == "next"
    assert words
