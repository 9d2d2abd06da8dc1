"""Advice on a learning curve, in the reader's language."""

from __future__ import annotations

from typing import Any

from welltuned.reports.page import metric_name
from welltuned.reports.translations import Translator


def advise_on_curve(found: dict[str, Any], _: Translator) -> str:
    """What more data would bring and whether that is worth it, from `learning_curve.json`."""
    now, twice, more = found["predictions"]
    saved = found["saved_by_doubling"]
    told = _(
        "With twice the data ({examples} examples) the validation {metric} is predicted to go from "
        "{now} to {twice}, with five times to {more}. A doubling saves {saved} of the errors "
        "[{low}, {high}].",
        examples=f"{twice['examples']:,}",
        metric=_(metric_name(found["metric"])),
        now=f"{now['value']:.3f}",
        twice=_with_interval(twice),
        more=_with_interval(more),
        saved=f"{saved['value']:.0%}",
        low=f"{saved['low']:.0%}",
        high=f"{saved['high']:.0%}",
    )
    return f"{told} {_verdict(found, _)}"


def _with_interval(point: dict[str, Any]) -> str:
    return f"{point['value']:.3f} [{point['low']:.3f}, {point['high']:.3f}]"


def _verdict(found: dict[str, Any], _: Translator) -> str:
    if not found["holds"]:
        return _(
            "But the points do not follow a decreasing curve, so do not rely on this: something "
            "other than the amount of data dominates, such as too few steps."
        )
    if found["verdict"] == "worth":
        return _("Labelling more is worth it.")
    if found["verdict"] == "not_worth":
        return _(
            "Labelling more of the same is hardly worth it: inspect the mistakes, or try another "
            "model or strategy first."
        )
    return _(
        "It is not yet clear whether labelling more is worth it: more seeds would narrow the "
        "interval."
    )
