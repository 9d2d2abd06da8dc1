"""The socket of a server, the line that tries it, and how many connections the system allows."""

from __future__ import annotations

import errno
import ipaddress
import json
import shlex
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from welltuned.artifact.answers import ABSTAINED
from welltuned.deployment.server.access import LOCALHOST, AccessToken
from welltuned.errors import Fault, InputError

if TYPE_CHECKING:
    from welltuned.artifact.predictor import Predictor

_BACKLOG = 2048
_TRIALS: tuple[object, ...] = ("It was worth every minute.", ["It was good.", "It was not bad."])
"""What a model is tried on: a text, and two for those that read pairs."""


def bound(address: str, port: int) -> socket.socket:
    """A socket that will listen there, so that nobody else does while the model is loaded.

    Raises `InputError` where it cannot.
    """
    six = ipaddress.ip_address(address).version == 6
    listener = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        raise InputError(_of_system(error, address, port)) from None
    return listener


def listen(listener: socket.socket) -> None:
    """Let clients come. Raises `InputError` where somebody else was faster."""
    address, port = listener.getsockname()[:2]
    try:
        listener.listen(_BACKLOG)
    except OSError as error:
        raise InputError(_of_system(error, address, port)) from None


def _of_system(error: OSError, address: str, port: int) -> Fault:
    if error.errno == errno.EADDRINUSE:
        return Fault(
            "serve.port_in_use",
            "port {port} of {address} is in use",
            None,
            "stop what listens there, or give another port: welltuned serve RUN {other}",
            port=port,
            address=address,
            other=port + 1 if port < 65535 else 0,
        )
    return Fault(
        "serve.address_refused",
        "the system does not let a server listen at port {port} of {address}: {reason}",
        None,
        "give an address of this machine, and a port from 1024 on",
        port=port,
        address=address,
        reason=error.strerror or str(error),
    )


def url_of(listener: socket.socket) -> str:
    """Where programs of this machine ask it."""
    address, port = listener.getsockname()[:2]
    if ipaddress.ip_address(address).is_unspecified:
        address = "::1" if ":" in address else LOCALHOST
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def curl_line(url: str, example: object, writes: bool, token: AccessToken | None) -> str:
    """A line for a shell that asks the server; the token is not in it, but where it is read."""
    path = "/v1/chat/completions" if writes else "/predict"
    body = {"messages": [{"role": "user", "content": example}]} if writes else {"input": example}
    shown = "" if token is None else f' -H "Authorization: Bearer {token.in_shell}"'
    return f"curl {url}{path}{shown} -d {shlex.quote(json.dumps(body))}"


def example_for(predictor: Predictor) -> object:
    """An input that the model reads; it has been tried, which makes the first request faster."""
    if predictor.problem.responder is not None:  # which may write for long
        return _TRIALS[0]
    for trial in _TRIALS:
        _, row = next(iter(predictor.answer_all([[trial]], "example")))
        if row["prediction"] is not None or row["code"] == ABSTAINED:
            return trial
    return _TRIALS[0]


def allow_many_connections() -> None:
    """As many as the system allows at most: each takes a file of the process."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems know a lower limit than they tell
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
