"""Refusals: faults with the status of HTTP that says what kind they are, and their JSON."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from welltuned.errors import Fault, InputError, WelltunedError
from welltuned.schema.secrets import masked

OPENAI = "/v1/"
"""Paths whose clients read errors in OpenAI's form."""
HUNG_UP = 499
"""What is counted for a client that did not wait, after nginx; it is never sent."""


class Refusal(WelltunedError):
    """A request that is not answered, with its status; `retry_after` in seconds."""

    def __init__(
        self, status: int, faults: Fault | Iterable[Fault], retry_after: int | None = None
    ) -> None:
        super().__init__(faults)
        self.status = status
        self.retry_after = retry_after


class HungUp(Exception):
    """The client has gone; there is nobody to answer."""


def internal_fault() -> Fault:
    """What a client is told of an error that is ours."""
    return Fault(
        "serve.internal",
        "the server failed to answer",
        None,
        "its log says why; the server itself goes on",
    )


def full_fault(waiting: int, most: int) -> Fault:
    return Fault(
        "serve.queue_full",
        "{waiting:,} inputs wait already, and {most:,} may",
        None,
        "come again in as many seconds as the header Retry-After says",
        waiting=waiting,
        most=most,
    )


def late_fault(seconds: float, bound: float) -> Fault:
    return Fault(
        "serve.too_late",
        "an answer would take {seconds:.1f} seconds, and may take {bound:.1f}",
        None,
        "come again in as many seconds as the header Retry-After says, or start the server "
        "without --refuse-late",
        seconds=seconds,
        bound=bound,
    )


def stopping_fault() -> Fault:
    """What is told to those who come too late."""
    return Fault(
        "serve.stopping",
        "the server is about to stop and takes no more requests",
        None,
        "come again in as many seconds as the header Retry-After says, or ask another",
    )


def status_of(error: Exception) -> int:
    """The status of HTTP for an error."""
    if isinstance(error, Refusal):
        return error.status
    return 422 if isinstance(error, InputError) else 500


def faults_of(error: Exception) -> tuple[Fault, ...]:
    """What to tell of it: of errors that are not ours, nothing that may hold an input."""
    return error.faults if isinstance(error, WelltunedError) else (internal_fault(),)


def headers_of(error: Exception) -> dict[str, str]:
    """`Retry-After` where waiting helps, and how to show a token where one lacks."""
    seconds = error.retry_after if isinstance(error, Refusal) else None
    headers = {} if seconds is None else {"retry-after": str(seconds)}
    return headers | ({"www-authenticate": "Bearer"} if status_of(error) == 401 else {})


def error_json(path: str, status: int, faults: Iterable[Fault]) -> bytes:
    """`errors` as the command line writes them, and `error`, where OpenAI's clients look."""
    told = list(faults)
    body: dict[str, Any] = {"errors": [fault.as_dict() for fault in told]}
    if path.startswith(OPENAI):
        body["error"] = {
            "message": "; ".join(map(str, told)),
            "type": "invalid_request_error" if status < 500 else "server_error",
            "param": None,
            "code": told[0].code,
        }
    return as_json(masked(body))


def as_json(value: Mapping[str, object]) -> bytes:
    """JSON as bytes; half characters, which UTF-8 has no form for, are escaped."""
    text = json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, default=str, separators=(",", ":")).encode()


def log_failure(error: Exception, with_words: bool) -> None:
    """Where an error that is ours came from; its words may hold an input, and are told if asked."""
    if isinstance(error, Refusal | InputError):
        return
    logger = logging.getLogger(__name__)
    if with_words or isinstance(error, WelltunedError):
        logger.error("a request failed: %s", error, exc_info=error if with_words else None)
        return
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
    logger.error("a request failed: %s at %s", type(error).__name__, where)
