"""Text that comes in pieces: what of it may be handed on."""

from __future__ import annotations

from collections.abc import Sequence


class Pieces:
    """Without white space at either end, and up to the first stop string.

    What may yet turn out to be one of these is held back until it has been decided. All that is
    handed on, one after the other, is the text that would have come in one piece.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held, self._begun = "", False
        self.stopped = False
        """Whether a stop string has come: what comes after it is not said."""

    def add(self, piece: str) -> str:
        """What may be handed on now."""
        if self.stopped:
            return ""
        self._held += piece
        if not self._begun:
            self._held = self._held.lstrip()
        ends = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if ends:
            self.stopped = True
            return self._hand_on(self._held[: min(ends)].rstrip())
        sure = len(self._held) - self._undecided()
        return self._hand_on(self._held[:sure].rstrip())

    def end(self) -> str:
        """What is left when nothing more comes."""
        return "" if self.stopped else self._hand_on(self._held.rstrip())

    def _hand_on(self, text: str) -> str:
        self._begun = self._begun or bool(text)
        self._held = self._held[len(text) :]
        return text

    def _undecided(self) -> int:
        """The length of the longest end that begins a stop string."""
        most = max(map(len, self._stops), default=1) - 1
        ends = (self._held[-size:] for size in range(min(most, len(self._held)), 0, -1))
        return next((len(end) for end in ends if any(s.startswith(end) for s in self._stops)), 0)
