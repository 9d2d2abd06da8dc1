"""The recommendation follows its rule, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from ranking import row
from welltuned.experiments.comparison.verdict.recommendation import recommend
from welltuned.runs.comparison_schema import Recommendation
from welltuned.schema.messages import render_message


def standing(name: str, gap: float, within: float, **needed: int | None) -> Any:
    """A strategy `gap` below the best, within the tolerance of it with this probability."""
    found = {"name": name, "expected": 0.9 - gap, "gap": gap, "low": 0.0, "high": gap + 0.02}
    known = {"within": within, "behind": gap, "needed_seeds": None, "needed_examples": None}
    return {**found, **known, **needed}


def results(
    rows: list[Any],
    within: dict[str, float] | None = None,
    words: Any = None,
    standings: list[Any] | None = None,
) -> Any:
    """Results whose best is the first row.

    `within` are the probabilities of those within the limits; by default all are sure to be.
    """
    best = rows[0]["name"]
    named = {row["name"]: row for row in rows if row["kind"] == "strategy"}
    top = rows[0]["scores"]["macro_f1"]["mean"]
    if standings is None:
        standings = [
            standing(name, top - named[name]["scores"]["macro_f1"]["mean"], chance)
            for name, chance in (within or dict.fromkeys(named, 1.0)).items()
        ]
    pairs = [
        {
            "one": best, "other": name, "real": False,
            "difference": 0.01, "low": -0.02, "high": 0.04, "visible": 0.05,
        }
        for name in named
        if name != best
    ]  # fmt: skip
    if words is not None:
        pairs.append({"difference": 0, "low": 0, "high": 0, "visible": 0.1, **words})
    return {
        "rows": rows,
        "metric": "macro_f1",
        "best": best,
        "tolerance": 0.01,
        "least_tolerance": 0.005,
        "standings": standings,
        "group": [one["name"] for one in standings if one["within"] >= 0.975],
        "pairs": pairs,
        "test_examples": 1000,
    }


def reasons(found: Recommendation) -> dict[str, dict[str, Any]]:
    """{code: values} of what is said for the recommendation."""
    return {
        reason["code"].removeprefix("compare."): reason["values"] for reason in found["reasons"]
    }


ROWS = [row("full", 0.90, 100, 4e9, 9e7), row("lora", 0.89, 60, 3e9, 2e6), row("head", 0.7, 5)]


def test_the_cheapest_of_those_that_are_shown_to_be_as_good() -> None:
    found = recommend(results(ROWS, {"full": 0.99, "lora": 0.98, "head": 0.0}), {})
    assert found["strategy"] == "lora"
    said = reasons(found)
    assert said["best"] == {"best": "full", "metric": "macro-F1", "score": "0.900"}
    assert said["non_inferior"] == {"tolerance": "0.010", "names": "full, lora"}
    assert said["cheapest"] == {
        "names": "full, lora",
        "name": "lora",
        "time": "1 min 0 s",
        "memory": "3.0 GB",
        "artifact": "2.0 MB",
        "costliest": "full",
        "costliest_time": "1 min 40 s",
        "costliest_memory": "4.0 GB",
        "costliest_artifact": "90.0 MB",
    }
    assert said["gap"] == {
        "name": "lora", "best": "full", "gap": "0.010", "low": "0.000", "high": "0.030",
    }  # fmt: skip
    assert said["price"]["name"] == "head" and said["price"]["time"] == "5.0 s"
    assert said["detectable_difference"] == {"examples": "1,000", "width": "0.050"}


def test_a_reason_is_a_sentence_for_people() -> None:
    said = [render_message(reason) for reason in recommend(results(ROWS), {})["reasons"]]
    assert said[0] == "full has the best macro-F1 on the test split: 0.900."


def test_the_less_is_shown_the_less_is_given_away() -> None:
    """Where nothing is shown the best is taken, and not the cheapest of all."""
    found = recommend(results(ROWS, {"full": 0.5, "lora": 0.4, "head": 0.1}), {})
    assert found["strategy"] == "full"
    said = reasons(found)
    assert said["none_non_inferior"] == {"tolerance": "0.010", "name": "full", "chance": "50%"}
    assert "gap" not in said and said["price"]["name"] == "head"


def test_where_the_best_alone_is_shown_it_is_taken_whatever_it_costs() -> None:
    found = recommend(results(ROWS, {"full": 1.0, "lora": 0.4, "head": 0.0}), {})
    assert found["strategy"] == "full"
    assert reasons(found)["one_non_inferior"] == {"name": "full", "tolerance": "0.010"}


def test_of_those_that_are_expected_to_be_level_the_cheapest() -> None:
    """Nothing is shown, but a fifth of the tolerance is expected to lie between them."""
    level = [standing("full", 0.007, 0.6), standing("lora", 0.009, 0.5), standing("head", 0.1, 0)]
    found = recommend(results(ROWS, standings=level), {})
    assert found["strategy"] == "lora"
    assert reasons(found)["cheapest"]["names"] == "full, lora"
    assert reasons(found)["gap"]["gap"] == "0.009"


def test_what_is_expected_to_be_level_must_have_been_measured_so() -> None:
    """Little evidence: the model takes all for alike, though one was measured far below."""
    alike = [
        standing("full", 0.010, 0.5),
        standing("lora", 0.011, 0.5),
        standing("head", 0.011, 0.4),
    ]
    alike[2]["behind"] = 0.04
    alike[1]["behind"] = 0.004
    assert recommend(results(ROWS, standings=alike), {})["strategy"] == "lora"


def test_what_would_settle_it_is_told_of_the_cheapest_in_question() -> None:
    standings = [
        standing("full", 0.0, 0.9),
        standing("lora", 0.004, 0.7, needed_seeds=5),
        standing("head", 0.1, 0.0),
    ]
    asked = recommend(results(ROWS, standings=standings), {}, "welltuned compare a.yaml")
    assert reasons(asked)["settled_by_seeds"] == {
        "seeds": "5", "name": "lora", "tolerance": "0.010",
        "command": "welltuned compare a.yaml seeds=5",
    }  # fmt: skip
    standings[1] = standing("lora", 0.004, 0.7, needed_examples=4200)
    said = reasons(recommend(results(ROWS, standings=standings), {}))
    assert said["settled_by_examples"]["examples"] == "4,200"


def test_a_tolerance_finer_than_the_data_is_told() -> None:
    asked: Any = {**results(ROWS), "least_tolerance": 0.03}
    said = reasons(recommend(asked, {}))
    assert said["tolerance_too_fine"] == {"tolerance": "0.010", "least": "0.030"}
    assert "tolerance_too_fine" not in reasons(recommend(results(ROWS), {}))


@pytest.mark.parametrize(
    ("limits", "within", "chosen", "code", "values"),
    [
        ({"memory": 3.5e9}, "lora head", "lora", "over_memory", ("full", "4.0 GB", "3.5 GB")),
        ({"time": 70}, "lora head", "lora", "over_time", ("full", "1 min 40 s", "1 min 10 s")),
        ({"artifact": 5e6}, "lora", "lora", "over_artifact_size", ("full", "90.0 MB", "5.0 MB")),
        ({"memory": 2e9}, "head", "head", "price_of_limits", ("full", "0.010", "-0.020", "0.040")),
        ({"memory": 1e8}, "", None, "none_within_limits", ()),
    ],
)
def test_limits_are_kept(
    limits: dict[str, float | None], within: str, chosen: str | None, code: str, values: Any
) -> None:
    """`within` are those that the standings know of: the others are beyond the limits."""
    left = [
        standing(name, 0.05 * number, 1.0 - number) for number, name in enumerate(within.split())
    ]
    found = recommend(results(ROWS, standings=left), limits)
    assert found["strategy"] == chosen
    assert tuple(reasons(found)[code].values()) == values


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


@pytest.mark.parametrize(
    ("seeds", "told"), [([0], {"one_seed"}), ([0, 1], {"few_seeds"}), ([0, 1, 2], set())]
)
def test_few_seeds_are_called_few(seeds: list[int], told: set[str]) -> None:
    rows = [{**part, "seeds": seeds} for part in ROWS]
    said = reasons(recommend(results(rows), {}))
    assert {code for code in said if code.endswith("_seed") or code.startswith("few")} == told


def test_without_a_finished_run_there_is_nothing_to_recommend() -> None:
    nothing: Any = {**results(ROWS), "best": None, "rows": []}
    found = recommend(nothing, {})
    assert found["strategy"] is None and "no_finished_strategy" in reasons(found)


def test_one_of_several_untouched_models_that_is_not_beaten_is_told() -> None:
    rows = [*ROWS, row("untouched · a", 0.1, kind="baseline"),
            row("untouched · b", 0.95, kind="baseline")]  # fmt: skip
    said = reasons(recommend(results(rows), {}))
    assert said["no_better_than_baseline"]["baseline"] == "untouched · b"


@pytest.mark.parametrize(
    ("one", "other", "real", "told"),
    [
        ("full", "static", False, True),
        ("static", "full", True, True),
        ("full", "static", True, False),
    ],
)
def test_static_embeddings_that_do_as_well_are_told(
    one: str, other: str, real: bool, told: bool
) -> None:
    pair = {"one": one, "other": other, "real": real}
    said = reasons(recommend(results(ROWS, words=pair), {}))
    assert ("static_as_good" in said) is told
    assert said["detectable_difference"]["width"] == "0.050", "of networks alone"
