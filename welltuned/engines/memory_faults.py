"""Out of memory, told by what saves some: the settings that it follows from, as they are now."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from welltuned.engines import distributed
from welltuned.errors import Fault, RunFailed, WelltunedError

_SAID = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")
"""How torch says so, in plain RuntimeErrors of the CPU and of CUDA's libraries."""
_WANTED = re.compile(r"allocate (\d[\d.]* ?(?:bytes|[KMGT]i?B))")


@contextmanager
def telling_memory(doing: str, remedies: Sequence[str]) -> Iterator[None]:
    """Raise `RunFailed` with what saves memory where it runs out."""
    try:
        yield
    except WelltunedError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        wanted = _WANTED.search(str(error))
        fault = Fault(
            "run.out_of_memory",
            "out of memory while {doing}{wanted}",
            None,
            "{remedies}",
            doing=doing,
            wanted=f": {wanted.group(1)} more were asked for" if wanted else "",
            remedies=", or ".join(remedies),
        )
        raise RunFailed(fault) from error


@contextmanager
def out_of_memory_together() -> Iterator[None]:
    """Where memory runs out in one of several processes, all raise what says so.

    Otherwise they would wait for what that one was to compute.
    """
    if distributed.processes() == 1:
        yield
        return
    said = None
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        said = str(error)  # the error itself holds on to what is in memory
    if distributed.any_of(said is not None):
        raise MemoryError(said or "out of memory in another process")


def lower(key: str, value: object) -> list[str]:
    """The advice to lower a setting; none where it is not set."""
    return [f"lower {key} (now {value})"] if value is not None else []


def choose(key: str, value: object, better: object) -> list[str]:
    """The advice to set something else; none where that is so already."""
    said = str(better).lower()
    return [f"set {key}={said} (now {str(value).lower()})"] if value != better else []


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that no more memory could be had, in whichever library it arose."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error).lower() for said in _SAID)
