"""The base class of executors."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from welltuned.experiments.executors.base import Pool
from welltuned.schema.part import Part


class Executor(Part):
    """Where runs are carried out; its fields are its options."""

    shorthand: ClassVar[str | None] = "type"

    type: str

    @abstractmethod
    def open(self) -> Pool:
        """What workers are started in. Raises `InputError` where it cannot be had."""
