"""Notes beside the results table: costs and searches that its columns do not show."""

from __future__ import annotations

from typing import Any

from welltuned.experiments.comparison.recommendation import Row
from welltuned.reports.page import metric_name
from welltuned.schema.messages import Message, message
from welltuned.schema.units import duration_text


def remarks(rows: list[Row]) -> list[Message]:
    """A sentence for each strategy that was tuned first, or whose training has stages."""
    tuned = [_about_search(row) for row in rows if row["tuned"]]
    return tuned + [_about_stages(row) for row in rows if row["stages"]]


def _about_search(row: Row) -> Message:
    found = row["tuned"]
    values = {
        "name": row["name"],
        "trials": str(found["trials"]),
        "values": ", ".join(_shown(key, value) for key, value in found["values"].items()),
        "metric": metric_name(found["metric"]),
        "score": f"{found['score']:.3f}",
        "time": duration_text(found["seconds"]),
    }
    if found["usual"] is None:
        return message(
            "{name} is at its best of {trials} trials: {values}. Validation {metric} {score}; the "
            "search took {time}.",
            **values,
        )
    return message(
        "{name} is at its best of {trials} trials: {values}. Validation {metric} {score}, and "
        "{usual} as it was configured; the search took {time}.",
        usual=f"{found['usual']:.3f}",
        **values,
    )


def _shown(key: str, value: Any) -> str:
    """`learning_rate 0.0016`: the key without its section, and as many digits as matter."""
    number = f"{value:.3g}" if isinstance(value, float) else str(value)
    return f"{key.rpartition('.')[2]} {number}"


def _about_stages(row: Row) -> Message:
    stages = row["stages"]
    return message(
        "{name} trains for {total}: {sft} of supervised fine-tuning, which has the budget of the "
        "others; on top of that {reward} for its judge and {ppo} for PPO.",
        name=row["name"],
        total=duration_text(row["cost"]["train_seconds"]),
        **{name: duration_text(stages[name]) for name in ("sft", "reward", "ppo")},
    )
