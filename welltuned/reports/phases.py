"""Phases in a report: where the time of a run went, as a bar."""

from __future__ import annotations

from typing import TypedDict

from welltuned.reports.translations import Translator
from welltuned.runs.phases import MEANING
from welltuned.runs.results_schema import Cost


class PhaseShare(TypedDict):
    """A piece of the bar."""

    name: str
    seconds: float
    share: float


def phase_shares(cost: Cost, _: Translator) -> list[PhaseShare]:
    """What each phase took before the page was written; nothing of runs that do not say."""
    seconds = {name: taken for name, taken in cost.get("phases", {}).items() if name != "report"}
    whole = sum(seconds.values())
    return [
        {"name": _(MEANING.get(name, name)), "seconds": taken, "share": taken / whole}
        for name, taken in seconds.items()
        if taken > 0
    ]
