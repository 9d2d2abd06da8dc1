"""The recommendation follows its rule, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from welltuned.experiments.comparison.recommendation import cheapest, recommend
from welltuned.experiments.comparison.rows import COSTS
from welltuned.runs.comparison_schema import Recommendation
from welltuned.schema.messages import render_message


def row(
    name: str, score: float, seconds: float = 10, memory: float = 1e9, artifact: float = 1e6,
    kept: float | None = None, kind: str = "strategy",
) -> Any:  # fmt: skip
    cost = {"train_seconds": seconds, "memory_bytes": memory, "artifact_bytes": artifact}
    return {
        "name": name,
        "slug": name,
        "kind": kind,
        "seeds": [0, 1, 2],
        "failed": [],
        "scores": {"macro_f1": {"mean": score}},
        "cost": dict.fromkeys(COSTS) | cost,
        "retention": {},
        "kept": kept,
    }


def results(rows: list[Any], worse: tuple[str, ...] = (), words: Any = None) -> Any:
    """Results whose best is the first row; those in `worse` can be told from it."""
    best = rows[0]["name"]
    pairs = [
        {
            "one": best, "other": r["name"], "real": r["name"] in worse,
            "difference": 0.01, "low": -0.02, "high": 0.04, "visible": 0.05,
        }
        for r in rows[1:]
        if r["kind"] == "strategy"
    ]  # fmt: skip
    if words is not None:
        pairs.append({"difference": 0, "low": 0, "high": 0, "visible": 0.1, **words})
    return {
        "rows": rows,
        "metric": "macro_f1",
        "best": best,
        "group": [r["name"] for r in rows if r["kind"] == "strategy" and r["name"] not in worse],
        "pairs": pairs,
        "test_examples": 1000,
    }


def reasons(found: Recommendation) -> str:
    return " ".join(render_message(reason) for reason in found["reasons"])


ROWS = [row("full", 0.90, 100, 4e9, 9e7), row("lora", 0.89, 60, 3e9, 2e6), row("head", 0.7, 5)]


def test_the_cheapest_of_those_that_cannot_be_told_from_the_best() -> None:
    found = recommend(results(ROWS, worse=("head",)), {})
    assert found["strategy"] == "lora"
    text = reasons(found)
    assert "full has the best macro-F1 on the test split: 0.900." in text
    assert "These cannot be told from it, the differences may be accidents: lora." in text
    assert "lora is the cheapest: 1 min 0 s of training, 3.0 GB of memory" in text
    assert "The dearest, full, takes 1 min 40 s, 4.0 GB and 90.0 MB." in text
    assert "Its macro-F1 was 0.890, 0.010 from that of full:" in text
    assert "1,000 test examples" in text and "about 0.050" in text


def test_when_nothing_can_be_told_apart_the_cheapest_of_all() -> None:
    found = recommend(results(ROWS), {})
    assert found["strategy"] == "head"
    assert "No other strategy can be told from it" in reasons(found)


def test_a_clear_winner_is_taken_whatever_it_costs() -> None:
    found = recommend(results(ROWS, worse=("lora", "head")), {})
    assert found["strategy"] == "full"
    assert "Every other strategy is worse, and not by accident. That leaves full." in reasons(found)
    assert "from that of" not in reasons(found)


@pytest.mark.parametrize(
    ("limits", "chosen", "told_of"),
    [
        ({"memory": 3.5e9}, "lora", "full needs 4.0 GB of memory; the limit is 3.5 GB."),
        ({"time": 70}, "lora", "full trains for 1 min 40 s; the limit is 1 min 10 s."),
        ({"artifact": 5e6}, "lora", "full leaves an artifact of 90.0 MB; the limit is 5.0 MB."),
        ({"memory": 2e9}, None, "The best strategy within the limits is head, but it is worse"),
        ({"memory": 1e8}, None, "None of these keeps to the limits."),
    ],
)
def test_limits_are_kept(limits: dict[str, float | None], chosen: str | None, told_of: str) -> None:
    found = recommend(results(ROWS, worse=("head",)), limits)
    assert found["strategy"] == chosen
    assert told_of in reasons(found)


def test_a_limit_is_kept_by_what_equals_it() -> None:
    assert recommend(results(ROWS, worse=("head", "lora")), {"memory": 4e9})["strategy"] == "full"


def test_what_is_forgotten_counts() -> None:
    rows = [row("full", 0.9, 100, kept=0.99), row("lora", 0.89, 10, kept=0.9)]
    assert recommend(results(rows), {})["strategy"] == "lora"
    found = recommend(results(rows), {"retention": 0.98})
    assert found["strategy"] == "full"
    assert "lora keeps 90.0% of what the model knew; the limit is 98.0%." in reasons(found)


def test_times_that_are_nearly_equal_leave_it_to_memory_and_then_to_size() -> None:
    rows: list[Any] = [
        row("a", 0, 100, 3e9),
        row("b", 0, 109, 1e9, 9e6),
        row("c", 0, 109, 1e9, 1e6),
    ]
    assert cheapest(rows)["name"] == "c"
    assert cheapest([*rows, row("d", 0, 80, 9e9)])["name"] == "d"


@pytest.mark.parametrize(
    ("words", "told_of"),
    [
        ({"one": "tf-idf", "other": "full", "real": True}, "are better still"),
        ({"one": "tf-idf", "other": "full", "real": False}, "cannot be told from the best"),
        ({"one": "full", "other": "tf-idf", "real": False}, "cannot be told from the best"),
        ({"one": "full", "other": "tf-idf", "real": True}, ""),
    ],
)
def test_people_hear_when_no_network_is_needed(words: dict[str, Any], told_of: str) -> None:
    text = reasons(recommend(results(ROWS, words=words), {}))
    assert ("Word counts" in text) == bool(told_of)
    assert told_of in text


def test_who_learned_nothing_is_not_praised() -> None:
    rows = [*ROWS, row("majority", 0.5, kind="baseline"), row("untouched", 0.8, kind="baseline")]
    told_of = "But head is no better than this baseline: untouched."
    assert told_of in reasons(recommend(results(rows), {}))
    rows[-1]["scores"]["macro_f1"]["mean"] = 0.69
    assert "no better than" not in reasons(recommend(results(rows), {}))


def test_one_seed_is_said_to_be_one() -> None:
    rows = [{**part, "seeds": [0]} for part in ROWS]
    assert "One seed: how much another seed would change is not known." in reasons(
        recommend(results(rows), {})
    )
    assert "One seed" not in reasons(recommend(results(ROWS), {}))


def test_without_a_finished_run_there_is_nothing_to_recommend() -> None:
    nothing: Any = {**results(ROWS), "best": None, "rows": []}
    found = recommend(nothing, {})
    assert found["strategy"] is None and "No strategy has a finished run." in reasons(found)
