"""The door of the server: every request passes it, and whatever happens to it is told as a fault.

In order: host, origin and token; whether the server still takes requests; the body, read within
its limits; then the application. What is let in is counted until its answer has been sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

from welltuned.deployment.server.access import Access
from welltuned.deployment.server.lifecycle import Lifecycle
from welltuned.deployment.server.limits import ServerLimits
from welltuned.deployment.server.refusal import (
    HUNG_UP,
    HungUp,
    Refusal,
    error_json,
    faults_of,
    headers_of,
    log_failure,
    status_of,
    stopping_fault,
)
from welltuned.errors import Fault

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

HEALTH = "/health"
"""Asked by those who have no token, and while the server drains."""
_BODY_SECONDS = 30.0
"""In which a body must have come."""
_SPARE_BYTES, _SPARE_SECONDS = 64 << 20, 5.0
"""What is read of a body that is refused. Without that the connection would break while the client
still sends, and it would never read why."""


class Audience(Protocol):
    """Who is told of every request."""

    def answered(self, path: str, status: int, seconds: float) -> None: ...


@dataclass
class _Visit:
    """One request: its way of answering, and how far that has come."""

    scope: Scope
    send_on: Send
    lifecycle: Lifecycle
    status: int = HUNG_UP
    begun: bool = False
    finished: bool = False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.begun, self.status = True, message["status"]
            if self.lifecycle.draining:  # the next request is to find another server
                message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
        elif not message.get("more_body", False):
            self.finished = True
        await self.send_on(message)

    async def refuse(self, error: Exception) -> None:
        """Tell why there is no answer; the connection is closed, for its body may not be read."""
        status, path = status_of(error), self.scope["path"]
        body = error_json(path, status, faults_of(error))
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        headers |= {"connection": "close"} if not self.lifecycle.draining else {}
        headers |= headers_of(error)
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": pairs})
        await self.send({"type": "http.response.body", "body": body})


@dataclass
class Gate:
    """An ASGI application around another."""

    application: Application
    access: Access
    limits: ServerLimits
    lifecycle: Lifecycle
    audience: Audience
    tells_inputs: bool = False
    """Whether the log may hold what errors say, which may be an input."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._visited(scope, receive, _Visit(scope, send, self.lifecycle))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self.application(scope, receive, send)

    async def _visited(self, scope: Scope, receive: Receive, visit: _Visit) -> None:
        start = time.monotonic()
        try:
            await self._let_in(scope, receive, visit)
        except HungUp:
            visit.status = HUNG_UP
        except Exception as error:
            await self._failed(visit, error)
        finally:
            self.audience.answered(scope["path"], visit.status, time.monotonic() - start)

    async def _let_in(self, scope: Scope, receive: Receive, visit: _Visit) -> None:
        headers = _headers(scope)
        declared = headers.get("content-length", "0")
        try:
            self.access.check(headers, open_to_all=scope["path"] == HEALTH)
            if self.lifecycle.draining and scope["path"] != HEALTH:
                raise Refusal(503, stopping_fault(), retry_after=5)
            if declared.isdigit() and int(declared[:18]) > self.limits.body:
                raise Refusal(413, self._too_large())
        except Refusal as refusal:
            if headers.get("expect", "").lower() != "100-continue":
                await _read_away(receive)
            await visit.refuse(refusal)
            return
        self.lifecycle.inside += 1
        try:
            body = await self._read(receive)
            await self.application(scope, _replayed(body, receive), visit.send)
        finally:
            self.lifecycle.inside -= 1

    async def _read(self, receive: Receive) -> bytes:
        chunks, size = list[bytes](), 0
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                more = True
                while more:
                    chunk, more = await _next_chunk(receive)
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > self.limits.body:
                        if more:
                            await _read_away(receive)
                        raise Refusal(413, self._too_large())
        except TimeoutError:
            raise Refusal(408, _slow_fault()) from None
        return b"".join(chunks)

    def _too_large(self) -> Fault:
        return Fault(
            "serve.body_too_large",
            "the body has more than {most:,} bytes",
            None,
            "send fewer inputs at a time, or start the server with a higher --max-bytes",
            most=self.limits.body,
        )

    async def _failed(self, visit: _Visit, error: Exception) -> None:
        log_failure(error, self.tells_inputs)
        if not visit.begun:
            await visit.refuse(error)
        elif not visit.finished:
            raise error  # half an answer: the connection breaks, and so the client knows


def _headers(scope: Scope) -> dict[str, str]:
    """By name in lower case; of a name that stands twice, both, which no check takes for one."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def _next_chunk(receive: Receive) -> tuple[bytes, bool]:
    """A part of a body, and whether there is more. Raises `HungUp` where nobody sends it."""
    message = await receive()
    if message["type"] != "http.request":
        raise HungUp
    return message.get("body", b""), message.get("more_body", False)


async def _read_away(receive: Receive) -> None:
    """Read what is left of a body, and keep nothing of it."""
    size, more = 0, True
    try:
        async with asyncio.timeout(_SPARE_SECONDS):
            while more and size < _SPARE_BYTES:
                chunk, more = await _next_chunk(receive)
                size += len(chunk)
    except TimeoutError:
        return


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body in one piece, and then whatever comes after it."""
    waiting = [body]

    async def again() -> MutableMapping[str, Any]:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again


def _slow_fault() -> Fault:
    return Fault(
        "serve.body_slow",
        "the body has not come within {seconds:.0f} seconds",
        None,
        "send it in one go",
        seconds=_BODY_SECONDS,
    )
