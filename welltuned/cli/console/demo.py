"""`welltuned demo llm` in the terminal: answers side by side, scores, and what was forgotten."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from welltuned.runs import Run
from welltuned.schema.units import duration_text

_SHOWN = 6
"""Questions whose answers are shown."""
_WIDTH = 46
"""Letters of an answer that are shown."""


def llm_lines(runs: Mapping[str, Run], results: Mapping[str, Any]) -> list[str]:
    """The same for people, and how to go on."""
    forgotten, gain = results["forgotten"], results["rewards"]
    last = list(runs.values())[-1]
    times = " · ".join(f"{name} {duration_text(s)}" for name, s in results["seconds"].items())
    return [
        "",
        *_side_by_side(results["answers"]),
        *(_score_line(name, results[name]) for name in ("examples", "preferences")),
        f"{'rewards':12} reward {gain['before']:.3f} -> {gain['after']:.3f}, gain "
        f"{gain['gain']:+.3f} {_interval(gain['gain_ci95'], '+')}{_doubt(gain['gain_ci95'])}, "
        f"{gain['kl']:.2f} nats an answer from where it began",
        f"{'forgotten':12} loss on {forgotten['texts']} general passages {forgotten['before']:.3f} "
        f"-> {forgotten['after']:.3f}, {forgotten['difference']:+.3f} "
        f"{_interval(forgotten['difference_ci95'], '+')}",
        f"{'time':12} {times}",
        *(f"{name:12} {run.report}" for name, run in runs.items()),
        "",
        f"Talk with it: welltuned chat {shlex.quote(str(last.folder))}",
    ]


def _side_by_side(answers: list[dict[str, str]]) -> Iterator[str]:
    """A few questions, each with what was said to it at each step."""
    yield "Held-out questions. The first two answers are the likeliest, the others are drawn:"
    yield ""
    for answer in islice(answers, _SHOWN):
        for name, said in answer.items():
            text = " ".join(said.split())
            cut = text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
            yield f"  {name:20} {cut}"
        yield ""


def _score_line(name: str, score: Mapping[str, Any]) -> str:
    before = "" if score["before"] is None else f"{score['before']:.3f} -> "
    interval = "" if score["after_ci95"] is None else f" {_interval(score['after_ci95'])}"
    return f"{name:12} {score['metric']} {before}{score['after']:.3f}{interval}"


def _interval(bounds: list[float], sign: str = "") -> str:
    return f"[{bounds[0]:{sign}.3f}, {bounds[1]:{sign}.3f}]"


def _doubt(bounds: list[float]) -> str:
    """What an interval of a gain that reaches down to nothing leaves open."""
    return " (not shown to be one)" if bounds[0] <= 0 else ""
