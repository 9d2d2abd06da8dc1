"""Notes beside the results table: costs and searches that its columns do not show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from welltuned.experiments.comparison.recommendation import known
from welltuned.reports.page import metric_name
from welltuned.runs.comparison_schema import ComparisonRow, SharedSettings, TunedRecord
from welltuned.schema.messages import Message, message
from welltuned.schema.units import duration_text


def remarks(rows: list[ComparisonRow], beside: int, settled: SharedSettings) -> list[Message]:
    """How runs were timed where several went side by side; then a sentence for each strategy that
    was tuned first, or whose training has stages.
    """
    timed = [_about_time(beside, settled["threads"])] if beside > 1 else []
    tuned = [_about_search(row["name"], row["tuned"]) for row in rows if row["tuned"]]
    return timed + tuned + [_about_stages(row, row["stages"]) for row in rows if row["stages"]]


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
