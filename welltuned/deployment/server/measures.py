"""What Prometheus reads of a server at /metrics. No input is in it, and no client's address."""

from __future__ import annotations

from collections.abc import Callable, Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_INPUTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_OTHER = "other"
"""The path that is counted for all that are none of ours, of which there are without end."""


class Measures:
    """Counters of one server, in a registry of their own."""

    def __init__(self, paths: Collection[str]) -> None:
        self._paths = frozenset(paths)
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "welltuned_requests", "Requests, by path and status.", ["path", "status"],
            registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "welltuned_request_seconds", "From a request's first byte to its answer's last.",
            ["path"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._batch_inputs = Histogram(
            "welltuned_batch_inputs", "Inputs that were answered together.",
            buckets=_INPUTS, registry=registry,
        )  # fmt: skip
        self._batch_seconds = Histogram(
            "welltuned_batch_seconds", "What a batch took.", buckets=_SECONDS, registry=registry
        )

    def watch(self, name: str, words: str, read: Callable[[], float]) -> None:
        """A figure that is read whenever it is asked for."""
        gauge = Gauge(f"welltuned_{name}", words, registry=self._registry)
        gauge.set_function(read)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """A request that has ended."""
        known = path if path in self._paths else _OTHER
        self._requests.labels(known, str(status)).inc()
        self._seconds.labels(known).observe(seconds)

    def batch(self, inputs: int, seconds: float) -> None:
        """A batch that has ended."""
        self._batch_inputs.observe(inputs)
        self._batch_seconds.observe(seconds)

    def page(self) -> bytes:
        """All of them in Prometheus' text form."""
        return generate_latest(self._registry)
