"""How many examples the scores of free text are of, where time decided it."""

from __future__ import annotations

from welltuned.reports.translations import Translator
from welltuned.runs.results_schema import AnsweredExamples, RunResults
from welltuned.schema.units import duration_text


def answered_line(results: RunResults, judged: str) -> list[str]:
    """For a terminal: a line, or none."""
    found = results.get("answered")
    if found is None:
        return []
    which = "" if found["number"] == found["of"] else ", drawn at random; intervals are of these"
    untrained = found.get("untrained", found["number"])
    before = f" · untrained {untrained:,}" if untrained != found["number"] else ""
    return [
        f"answered    {found['number']:,} of {found['of']:,} {judged} examples{which} · "
        f"{_times(found)}{before}"
    ]


def answered_text(results: RunResults, _: Translator) -> str | None:
    """For the report: a sentence, or none."""
    found = results.get("answered")
    if found is None:
        return None
    number, of, times = f"{found['number']:,}", f"{found['of']:,}", _times(found)
    if number == of:
        return _("All {of} examples were answered ({times}).", of=of, times=times)
    return _(
        "{number} of {of} examples were answered, drawn at random, in the time there was "
        "({times}); scores of free text and their intervals are of these.",
        number=number,
        of=of,
        times=times,
    )


def _times(found: AnsweredExamples) -> str:
    return f"{duration_text(found['seconds'])} of {duration_text(found['allowed_seconds'])}"
