"""The recommendation follows its rule, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from welltuned.experiments.comparison.recommendation import _over, cheapest, recommend
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


def reasons(found: Recommendation) -> dict[str, dict[str, Any]]:
    """{code: values} of what is said for the recommendation."""
    return {
        reason["code"].removeprefix("compare."): reason["values"] for reason in found["reasons"]
    }


ROWS = [row("full", 0.90, 100, 4e9, 9e7), row("lora", 0.89, 60, 3e9, 2e6), row("head", 0.7, 5)]


def test_the_cheapest_of_those_that_cannot_be_told_from_the_best() -> None:
    found = recommend(results(ROWS, worse=("head",)), {})
    assert found["strategy"] == "lora"
    said = reasons(found)
    assert said["best"] == {"best": "full", "metric": "macro-F1", "score": "0.900"}
    assert said["not_distinguishable"] == {"names": "lora"}
    assert said["cheapest"] == {
        "name": "lora",
        "time": "1 min 0 s",
        "memory": "3.0 GB",
        "artifact": "2.0 MB",
        "costliest": "full",
        "costliest_time": "1 min 40 s",
        "costliest_memory": "4.0 GB",
        "costliest_artifact": "90.0 MB",
    }
    assert said["gap"] == {"metric": "macro-F1", "score": "0.890", "gap": "0.010", "best": "full"}
    assert said["detectable_difference"] == {"examples": "1,000", "width": "0.050"}


def test_a_reason_is_a_sentence_for_people() -> None:
    said = [render_message(reason) for reason in recommend(results(ROWS), {})["reasons"]]
    assert said[0] == "full has the best macro-F1 on the test split: 0.900."


def test_when_nothing_can_be_told_apart_the_cheapest_of_all() -> None:
    found = recommend(results(ROWS), {})
    assert found["strategy"] == "head"
    assert "none_distinguishable" in reasons(found)


def test_a_clear_winner_is_taken_whatever_it_costs() -> None:
    found = recommend(results(ROWS, worse=("lora", "head")), {})
    assert found["strategy"] == "full"
    assert "all_others_worse" in reasons(found) and "gap" not in reasons(found)
    assert reasons(found)["only_one_left"] == {"name": "full"}


@pytest.mark.parametrize(
    ("limits", "chosen", "code", "values"),
    [
        ({"memory": 3.5e9}, "lora", "over_memory", ("full", "4.0 GB", "3.5 GB")),
        ({"time": 70}, "lora", "over_time", ("full", "1 min 40 s", "1 min 10 s")),
        ({"artifact": 5e6}, "lora", "over_artifact_size", ("full", "90.0 MB", "5.0 MB")),
        ({"memory": 2e9}, None, "best_within_limits", ("head", "full")),
        ({"memory": 1e8}, None, "none_within_limits", ()),
    ],
)
def test_limits_are_kept(
    limits: dict[str, float | None], chosen: str | None, code: str, values: tuple[str, ...]
) -> None:
    found = recommend(results(ROWS, worse=("head",)), limits)
    assert found["strategy"] == chosen
    assert tuple(reasons(found)[code].values()) == values


def test_a_limit_is_kept_by_what_equals_it() -> None:
    assert recommend(results(ROWS, worse=("head", "lora")), {"memory": 4e9})["strategy"] == "full"


def test_what_is_forgotten_counts() -> None:
    rows = [row("full", 0.9, 100, kept=0.99), row("lora", 0.89, 10, kept=0.9)]
    assert recommend(results(rows), {})["strategy"] == "lora"
    found = recommend(results(rows), {"retention": 0.98})
    assert found["strategy"] == "full"
    assert reasons(found)["over_retention"] == {"name": "lora", "value": "90.0%", "limit": "98.0%"}


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
        ({"one": "tf-idf", "other": "full", "real": True}, "word_counts_better"),
        ({"one": "tf-idf", "other": "full", "real": False}, "word_counts_as_good"),
        ({"one": "full", "other": "tf-idf", "real": False}, "word_counts_as_good"),
        ({"one": "full", "other": "tf-idf", "real": True}, ""),
    ],
)
def test_people_hear_when_no_network_is_needed(words: dict[str, Any], told_of: str) -> None:
    said = reasons(recommend(results(ROWS, words=words), {}))
    assert [code for code in said if code.startswith("word_counts")] == [told_of][: bool(told_of)]


def test_who_learned_nothing_is_not_praised() -> None:
    rows = [*ROWS, row("majority", 0.5, kind="baseline"), row("untouched", 0.8, kind="baseline")]
    said = reasons(recommend(results(rows), {}))
    assert said["no_better_than_baseline"] == {"name": "head", "baseline": "untouched"}
    rows[-1]["scores"]["macro_f1"]["mean"] = 0.69
    assert "no_better_than_baseline" not in reasons(recommend(results(rows), {}))


def test_one_seed_is_said_to_be_one() -> None:
    rows = [{**part, "seeds": [0]} for part in ROWS]
    assert "one_seed" in reasons(recommend(results(rows), {}))
    assert "one_seed" not in reasons(recommend(results(ROWS), {}))


def test_without_a_finished_run_there_is_nothing_to_recommend() -> None:
    nothing: Any = {**results(ROWS), "best": None, "rows": []}
    found = recommend(nothing, {})
    assert found["strategy"] is None and "no_finished_strategy" in reasons(found)


def test_a_limit_is_held_against_the_headline() -> None:
    entry = row("full", 0.9, kept=0.85)
    assert _over(entry, {"retention": 0.8}) == []
    (sentence,) = _over(entry, {"retention": 0.98})
    assert sentence["code"] == "compare.over_retention"
    assert sentence["values"] == {"name": "full", "value": "85.0%", "limit": "98.0%"}
    entry["kept"] = None
    assert _over(entry, {"retention": 0.98}) == []
