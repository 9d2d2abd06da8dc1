"""Waiting for the model's thread, in the event loop, for as long as the client waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from functools import partial
from typing import Any, Protocol, TypeVar

from welltuned.artifact.predictor import Predictor
from welltuned.deployment.server.batcher import Batcher
from welltuned.deployment.server.conversation import Given, Spoken, Wish, converse
from welltuned.deployment.server.gate import Receive
from welltuned.deployment.server.refusal import HungUp

T = TypeVar("T")
Piece = str | Future[Spoken]
"""What a stream brings: text, and at the end the future that holds the answer or why there is
none."""


class Client(Protocol):
    """What hears whether a client has hung up: a request of Starlette's."""

    @property
    def receive(self) -> Receive: ...


async def unless_gone(client: Client, answer: asyncio.Future[T]) -> T:
    """What comes of it. Raises `HungUp`, and drops it, where the client goes before that."""
    gone = asyncio.ensure_future(_gone(client))
    awaited: set[asyncio.Future[Any]] = {answer, gone}
    try:
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise HungUp
        return answer.result()
    finally:
        gone.cancel()
        answer.cancel()


async def _gone(client: Client) -> None:
    while (await client.receive())["type"] != "http.disconnect":
        pass


class SpokenStream:
    """An answer that is told as it is said."""

    def __init__(self, batcher: Batcher, given: Given, wish: Wish) -> None:
        """Raises `Refusal` where too much waits."""
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[Piece] = asyncio.Queue()
        self._gone = threading.Event()
        self._first: Piece | None = None
        self._future = batcher.alone(partial(self._converse, given=given, wish=wish))
        self._future.add_done_callback(self._told)

    async def begin(self, client: Client) -> None:
        """Wait for the first piece. Raises what keeps the model from answering at all."""
        try:
            self._first = await unless_gone(client, asyncio.ensure_future(self._pieces.get()))
        except BaseException:
            self.abandon()
            raise
        if isinstance(self._first, Future):
            self._first.result()

    async def pieces(self) -> AsyncIterator[str]:
        """Each as it comes; then ask for the `result`."""
        piece = self._first
        while isinstance(piece, str):
            if piece:
                yield piece
            piece = await self._pieces.get()

    async def whole(self, client: Client) -> Spoken:
        """The answer when all of it has been said, for those who want no pieces."""
        try:
            return await unless_gone(client, asyncio.wrap_future(self._future))
        except BaseException:
            self.abandon()
            raise

    def result(self) -> Spoken:
        """The whole answer, once all pieces have come. Raises what broke it off."""
        return self._future.result(0)

    def abandon(self) -> None:
        """Nobody listens any more: the model stops at its next word."""
        self._gone.set()
        self._future.cancel()

    # --- In the model's thread ----------------------------------------------------

    def _converse(self, predictor: Predictor, given: Given, wish: Wish) -> Spoken:
        return converse(predictor, given, wish, self._hear)

    def _hear(self, piece: str) -> None:
        if self._gone.is_set():
            raise HungUp
        self._told(piece)

    def _told(self, piece: Piece) -> None:
        if not self._gone.is_set():  # else the loop may be closed
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)
