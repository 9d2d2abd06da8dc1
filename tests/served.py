"""A server of a tiny model: how it is held up, and what its errors say."""

from __future__ import annotations

import threading
from typing import Any

from welltuned.artifact.predictor import Predictor
from welltuned.deployment.server.app import Service

SECRET = "3f9c-a-token-of-many-letters"


def told(answer: Any) -> tuple[int, list[str]]:
    """The status of an answer, and the codes of its faults."""
    errors = answer.json().get("errors", []) if answer.content else []
    return answer.status_code, [error["code"] for error in errors]


def held_up(service: Service) -> threading.Event:
    """The model is busy until this is set."""
    begun, go_on = threading.Event(), threading.Event()

    def wait(model: Predictor) -> None:
        begun.set()
        go_on.wait(10)

    service.batcher.alone(wait)
    assert begun.wait(10)
    return go_on
