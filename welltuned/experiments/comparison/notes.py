"""Notes beside the results table: costs and searches that its columns do not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from welltuned.experiments.comparison.verdict.cost import known
from welltuned.reports.page import metric_name
from welltuned.runs.comparison_schema import (
    CellRecord,
    ComparisonRecord,
    ComparisonRow,
    RankedRows,
    TunedRecord,
)
from welltuned.schema.messages import Message, message
from welltuned.schema.units import duration_text


def remarks(ranked: RankedRows, beside: int, record: ComparisonRecord) -> list[Message]:
    """How runs were timed where several went side by side, and who got further seeds; then a
    sentence for each strategy that was dropped or tuned first, or whose training has stages.
    """
    rows = [row for row in ranked["rows"] if row["seeds"]]
    timed = [_about_time(beside, record["settled"]["threads"])] if beside > 1 else []
    gone = [
        _about_dropping(row["name"], row["cells"], ranked["tolerance"])
        for row in record["rows"]
        if any(cell["state"] == "dropped" for cell in row["cells"])
    ]
    further = _about_further_seeds(record)
    tuned = [_about_search(row["name"], row["tuned"]) for row in rows if row["tuned"]]
    staged = [_about_stages(row, row["stages"]) for row in rows if row["stages"]]
    return timed + gone + further + tuned + staged


def _about_dropping(name: str, cells: Sequence[CellRecord], tolerance: float) -> Message:
    return message(
        "compare.dropped",
        "{name} has {seeds} of {asked} seeds: whether it is within {tolerance} of the best was "
        "settled by then.",
        name=name,
        seeds=str(sum(cell["state"] == "finished" for cell in cells)),
        asked=str(len(cells)),
        tolerance=f"{tolerance:.3f}",
    )


def _about_further_seeds(record: ComparisonRecord) -> list[Message]:
    asked = record["asked"]["seeds"]
    number = asked if isinstance(asked, int) else len(asked)
    more = {row["name"]: len(row["cells"]) - number for row in record["rows"]}
    names = [name for name, added in more.items() if added > 0]
    if not names:
        return []
    return [
        message(
            "compare.further_seeds",
            "The time that was left went to up to {added} more seed(s) of what was in question: "
            "{names}.",
            added=max(more.values()),
            names=", ".join(names),
        )
    ]


def _about_time(beside: int, threads: int) -> Message:
    return message(
        "compare.side_by_side",
        "{runs} runs went side by side, {threads} thread(s) each: their times are CPU seconds, "
        "which do not count waiting for one another.",
        runs=beside,
        threads=threads,
    )


def _about_search(name: str, found: TunedRecord) -> Message:
    values = {
        "name": name,
        "trials": str(found["trials"]),
        "values": ", ".join(_shown(key, value) for key, value in found["values"].items()),
        "metric": metric_name(found["metric"]),
        "score": f"{found['score']:.3f}",
        "time": duration_text(found["seconds"]),
    }
    if found["usual"] is None:
        return message(
            "compare.tuned",
            "{name} uses the best settings of {trials} trials: {values}. Validation "
            "{metric}: {score}; the search took {time}.",
            **values,
        )
    return message(
        "compare.tuned_from",
        "{name} uses the best settings of {trials} trials: {values}. Validation "
        "{metric}: {score}, against {usual} as configured; the search took {time}.",
        usual=f"{found['usual']:.3f}",
        **values,
    )


def _shown(key: str, value: Any) -> str:
    """`learning_rate 0.0016`: the key without its section, and as many digits as matter."""
    number = f"{value:.3g}" if isinstance(value, float) else str(value)
    return f"{key.rpartition('.')[2]} {number}"


def _about_stages(row: ComparisonRow, stages: Mapping[str, float | None]) -> Message:
    seconds = {"total": row["cost"]["train_seconds"], **stages}
    return message(
        "compare.pipeline_time",
        "{name} trains for {total}: {sft} of supervised fine-tuning, "
        "with the budget of the other strategies, plus {reward} for the reward model and {rl} "
        "for reinforcement learning.",
        name=row["name"],
        **{name: duration_text(known(seconds[name])) for name in ("total", "sft", "reward", "rl")},
    )
