"""Activation checkpointing whose recomputation equals the first pass.

torch restores autocast for what is computed once more in the backward pass, but no function mode,
and traced steps (`training.forecast.meta_tracer`) depend on one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

Around = Callable[[], AbstractContextManager[object]]

_around: ContextVar[Around] = ContextVar("around", default=nullcontext)


@contextmanager
def recomputed_within(around: Around) -> Iterator[None]:
    """Of checkpoints made inside, the second pass runs in such a context as well."""
    before = _around.set(around)
    try:
        yield
    finally:
        _around.reset(before)


def contexts() -> tuple[AbstractContextManager[object], AbstractContextManager[object]]:
    """For `context_fn` of `torch.utils.checkpoint`: those of the first and the second pass."""
    return nullcontext(), _around.get()()
