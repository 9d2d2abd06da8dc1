"""What a server holds to: how long answers may take, and how much may be asked."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from welltuned.errors import Fault, InputError

_NEEDED = ("fastapi", "uvicorn", "prometheus_client")


@dataclass(frozen=True)
class ServerLimits:
    """Seconds, bytes and numbers of inputs."""

    latency: float = 0.5
    """The seconds that an answer takes at most while the server is not overloaded: a batch takes
    half of them, for whoever comes just after it has begun waits for it and for the next."""
    max_wait: float = 0.005
    """The seconds that a lone request waits for others to be answered with."""
    queue: int = 4096
    """Inputs that may wait; whoever comes then is asked to come again."""
    refuse_late: bool = False
    """Whether one who would have an answer too late is asked to come again, and does not wait."""
    inputs: int = 1024
    """Inputs of one request."""
    body: int = 8 << 20
    """Bytes of one request."""
    drain: float = 30.0
    """The seconds that requests under way may take to end, once the server is asked to stop."""


def require_serving() -> None:
    """Raise `InputError` where the packages of the extra are not there."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            Fault(
                "serve.extra_missing",
                "a server needs {missing}",
                None,
                "pip install 'welltuned[serve]'",
                missing=" and ".join(name.replace("_", "-") for name in missing),
            )
        )
