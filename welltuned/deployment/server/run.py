"""A server from its socket to its last answer. Needs `welltuned[serve]`; see `__init__`."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from socket import socket
from types import FrameType

import uvicorn

from welltuned.deployment.server.access import Access
from welltuned.deployment.server.app import Service, gated
from welltuned.deployment.server.lifecycle import Lifecycle
from welltuned.errors import Fault, RunFailed

_GRACE = 1.0
"""Seconds in which requests are still let come, and told that the server stops, after nothing is
left to be answered: a closed door would break connections that were just being opened."""
_TICK = 0.05
_SWITCH = 0.0005
"""Seconds after which a thread that waits for the interpreter gets it. The model's thread asks for
it at every operation, and Python's own 0.005 would have it wait that long each time."""


class GracefulServer(uvicorn.Server):
    """Answers what it has let in before it stops; a second signal stops it at once."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, patience: float) -> None:
        super().__init__(config)
        self._lifecycle, self._patience = lifecycle, patience
        self.given_up = 0
        """Requests that were let in and not answered."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True

    async def main_loop(self) -> None:
        await super().main_loop()
        self._lifecycle.draining = True
        start = time.monotonic()
        while not self.force_exit:
            passed = time.monotonic() - start
            if not self._lifecycle.inside and passed > _GRACE:
                break
            self.force_exit = passed > self._patience
            await asyncio.sleep(_TICK)
        self.given_up = self._lifecycle.inside


def serve_model(service: Service, access: Access, listener: socket) -> None:
    """Answer requests until a signal asks to stop. Raises `RunFailed` where some were given up."""
    sys.setswitchinterval(_SWITCH)
    config = uvicorn.Config(
        gated(service, access),
        log_config=None,
        log_level=logging.CRITICAL + 1,  # ours are told by the gate, without what was asked
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,  # whoever is let in has been waited for by then
        proxy_headers=False,
        server_header=False,
    )
    server = GracefulServer(config, service.lifecycle, service.limits.drain)
    server.run(sockets=[listener])
    service.batcher.close(patience=0 if server.given_up else None)
    if server.given_up:
        raise RunFailed(
            Fault(
                "serve.requests_given_up",
                "stopped with {number} requests that were not answered yet",
                None,
                "start the server with a longer --drain-seconds, or stop it with one signal alone",
                number=server.given_up,
            )
        )
