"""Loss spikes: a step whose loss is far above that of the steps before it.

By median and median absolute deviation, which a few spikes do not move (Hampel 1974). Where losses
hardly vary, as those near zero do, one hard example would be news; so a spike also exceeds the
level by twice what the loss was at the start.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

RECENT = 50
"""Steps whose losses are the level..."""
_SETTLED = 20
"""... and how many there have to be."""
_FAR = 8.0
"""Standard deviations, of a normal distribution with that median absolute deviation."""
_DEVIATION = 1.4826
"""What makes of a median absolute deviation a standard deviation."""
_START = 10
"""Steps that are the start..."""
_STARTS = 2.0
"""... and how many times its loss a spike is above the level."""


@dataclass
class Spikes:
    """Looks at one loss after another."""

    start: list[float] = field(default_factory=list)
    recent: list[float] = field(default_factory=list)
    within: bool = False
    """Whether the last loss was part of a spike."""

    @property
    def level(self) -> float:
        """The median of the losses before the last one."""
        return statistics.median(self.recent[:-1])

    def begins_at(self, loss: float) -> bool:
        """Whether a spike begins with the loss of this step."""
        far = len(self.recent) >= _SETTLED and loss > _limit(self.recent, self.start)
        begins, self.within = far and not self.within, far
        self.start = [*self.start, loss][:_START]
        self.recent = [*self.recent, loss][-RECENT - 1 :]
        return begins


def _limit(recent: Sequence[float], start: Sequence[float]) -> float:
    level = statistics.median(recent)
    deviation = _DEVIATION * statistics.median(abs(loss - level) for loss in recent)
    return level + max(_FAR * deviation, _STARTS * statistics.median(start))
