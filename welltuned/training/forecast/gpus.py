"""The GPUs that a plan is for, as the command line names them: `gpus=8x80GB`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from welltuned.errors import Faults, Place
from welltuned.schema.units import read_size

_KEY = "gpus"


@dataclass(frozen=True)
class Gpus:
    """So many GPUs, each with so much memory."""

    number: int
    memory: float
    """Bytes."""

    @classmethod
    def read(cls, written: str) -> Gpus:
        """`8x80GB`, or `24GB` for one. Raises `ValueError`."""
        number, times, size = written.rpartition("x")
        found = cls(int(number) if times else 1, read_size(size))
        if found.number < 1 or found.memory <= 0:
            raise ValueError(written)
        return found


def take_gpus(arguments: Iterable[str], faults: Faults) -> tuple[Gpus | None, list[str]]:
    """(the GPUs that `gpus=` names among the arguments, the other arguments)."""
    found, others = None, []
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or key != _KEY:
            others.append(argument)
            continue
        try:
            found = Gpus.read(text)
        except ValueError:
            faults.add(
                "plan.bad_gpus",
                "'gpus' is {written!r}",
                Place(f"argument '{argument}'"),
                "write how many there are and the memory of each, as 8x80GB, or 24GB for one",
                written=text,
            )
    return found, others
