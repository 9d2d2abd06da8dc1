"""Search space: one dimension per hyper-parameter."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from pydantic import JsonValue

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = JsonValue
"""A hyper-parameter's value, as configs hold it."""
Parameter = bool | int | float | str | None
"""The same as Optuna can keep it."""


@dataclass(frozen=True)
class Interval:
    """Numbers from `low` to `high`, both included."""

    key: str
    low: float
    high: float
    log: bool = False
    """Whether factors matter rather than distances."""
    whole: bool = False
    """Whether only whole numbers may be tried."""

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that must be right for all to be."""
        return self.value(self.low), self.value(self.high)

    def holds(self, value: Value) -> bool:
        """Whether a value belongs to the dimension."""
        if not _is_number(value) or (self.whole and not float(value).is_integer()):
            return False
        return bool(self.low <= value <= self.high)

    def distribution(self) -> BaseDistribution:
        """What Optuna draws its parameter from."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)

    def value(self, parameter: float) -> float:
        """The value for Optuna's parameter."""
        return int(parameter) if self.whole else float(parameter)

    def parameter(self, value: Value) -> float:
        """Optuna's parameter for a value that the dimension holds."""
        assert _is_number(value)
        return self.value(value)

    def as_dict(self) -> dict[str, Value]:
        """As one would write it in a config."""
        low, high = self.ends
        return {"low": low, "high": high, "log": self.log}

    def __str__(self) -> str:
        low, high = self.ends
        return f"{low:.3g} to {high:.3g}" + (", by factors" if self.log else "")


@dataclass(frozen=True)
class Choices:
    """Some values, of which one is tried at a time."""

    key: str
    values: tuple[Value, ...]

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that must be right for all to be."""
        return self.values

    def holds(self, value: Value) -> bool:
        """Whether a value belongs to the dimension."""
        return value in self.values

    def distribution(self) -> BaseDistribution:
        """What Optuna draws its parameter from."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution([label(value) for value in self.values])

    def value(self, parameter: Parameter) -> Value:
        """The value for Optuna's parameter."""
        return next(value for value in self.values if label(value) == parameter)

    def parameter(self, value: Value) -> Parameter:
        """Optuna's parameter for a value that the dimension holds."""
        return label(value)

    def as_dict(self) -> dict[str, Value]:
        """As one would write it in a config."""
        return {"values": list(self.values)}

    def __str__(self) -> str:
        return " | ".join(str(label(value)) for value in self.values)


Dimension = Interval | Choices


def label(value: Value) -> Parameter:
    """A value as Optuna can keep it: lists and mappings as JSON."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return json.dumps(value, ensure_ascii=False)


def _is_number(value: Value) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
