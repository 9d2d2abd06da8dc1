"""Reasons: what is said for a recommendation, one sentence each."""

from __future__ import annotations

from math import ceil
from statistics import median

from welltuned.experiments.comparison.verdict.cost import known
from welltuned.metrics import is_better
from welltuned.reports.page import metric_name
from welltuned.runs.comparison_schema import ComparisonRow, PairRecord, RankedRows, StandingRecord
from welltuned.schema.messages import Message, message
from welltuned.schema.units import duration_text, size_text

_UNTAUGHT = ("untouched", "majority")
_FEW_SEEDS = 2


def nothing_finished() -> Message:
    return message("compare.no_finished_strategy", "No strategy has a finished run.")


def none_within_limits() -> Message:
    return message(
        "compare.none_within_limits",
        "None of these is within the limits. Raise a limit, or choose by hand.",
    )


def about_best(results: RankedRows, row: ComparisonRow) -> Message:
    metric = results["metric"]
    return message(
        "compare.best", "{best} has the best {metric} on the test split: {score}.",
        best=row["name"], metric=metric_name(metric), score=_score(row["scores"][metric]["mean"]),
    )  # fmt: skip


def about_group(results: RankedRows) -> Message:
    """Who is shown to be non-inferior."""
    group, standings, tolerance = results["group"], results["standings"], results["tolerance"]
    if len(standings) == 1:
        return message("compare.only_one_left", "That leaves {name}.", name=standings[0]["name"])
    if not group:
        likeliest = max(standings, key=lambda standing: standing["within"])
        return message(
            "compare.none_non_inferior",
            "No strategy is shown to be within {tolerance} of the best; the likeliest to be is "
            "{name}, with a probability of {chance}.",
            tolerance=_score(tolerance),
            name=likeliest["name"],
            chance=f"{likeliest['within']:.0%}",
        )
    if len(group) == 1:
        return message(
            "compare.one_non_inferior",
            "Only {name} is shown to be within {tolerance} of the best (95% interval).",
            name=group[0],
            tolerance=_score(tolerance),
        )
    return message(
        "compare.non_inferior",
        "Shown to be within {tolerance} of the best (95% interval): {names}.",
        tolerance=_score(tolerance),
        names=", ".join(group),
    )


def about_cost(chosen: ComparisonRow, among: list[ComparisonRow]) -> Message:
    name, own = chosen["name"], chosen["cost"]
    costliest = max(among, key=lambda row: known(row["cost"]["train_seconds"]))
    return message(
        "compare.cheapest",
        "Of {names}, {name} is the cheapest: {time} of training, {memory} of "
        "memory, an artifact of {artifact}. The most expensive, {costliest}, takes "
        "{costliest_time}, {costliest_memory} and {costliest_artifact}.",
        names=", ".join(row["name"] for row in among),
        name=name,
        time=duration_text(known(own["train_seconds"])),
        memory=size_text(known(own["memory_bytes"])),
        artifact=size_text(known(own["artifact_bytes"])),
        costliest=costliest["name"],
        costliest_time=duration_text(known(costliest["cost"]["train_seconds"])),
        costliest_memory=size_text(known(costliest["cost"]["memory_bytes"])),
        costliest_artifact=size_text(known(costliest["cost"]["artifact_bytes"])),
    )


def about_gap(standing: StandingRecord, best: str) -> Message:
    """How far the strategy that is taken may be below the best."""
    return message(
        "compare.gap",
        "{name} is expected {gap} below the best, probably {best} (95% interval {low} to {high}): "
        "that is the price of the lower cost.",
        name=standing["name"],
        best=best,
        **_gap(standing),
    )


def about_price(standing: StandingRecord, row: ComparisonRow, chosen: ComparisonRow) -> Message:
    """What a cheaper strategy would cost in score."""
    return message(
        "compare.price",
        "{name} would train in {time} instead of {usual}; the price is {gap} below the best (95% "
        "interval {low} to {high}).",
        name=standing["name"],
        time=duration_text(known(row["cost"]["train_seconds"])),
        usual=duration_text(known(chosen["cost"]["train_seconds"])),
        **_gap(standing),
    )


def price_of_limits(pair: PairRecord) -> Message:
    """How much better the best strategy is than the best within the limits."""
    return message(
        "compare.price_of_limits",
        "Without the limits {name} would be better by {gap} (95% interval {low} to {high}).",
        name=pair["one"],
        gap=_score(abs(pair["difference"])),
        low=_score(pair["low"]),
        high=_score(pair["high"]),
    )


def settled_by(standing: StandingRecord, tolerance: float, command: str) -> Message:
    """What would show that a cheaper strategy is non-inferior."""
    name, seeds, examples = (
        standing["name"],
        standing["needed_seeds"],
        standing["needed_examples"],
    )
    if examples is None:
        assert seeds is not None
        return message(
            "compare.settled_by_seeds",
            "About {seeds} seeds would show whether {name} is within {tolerance} of the best: "
            "`{command}` goes on from what is there.",
            seeds=str(seeds),
            name=name,
            tolerance=_score(tolerance),
            command=f"{command} seeds={seeds}",
        )
    return message(
        "compare.settled_by_examples",
        "About {examples} test examples would be needed to show that {name} is within {tolerance} "
        "of the best; more seeds alone cannot.",
        examples=f"{examples:,}",
        name=name,
        tolerance=_score(tolerance),
    )


def tolerance_too_fine(tolerance: float, least: float) -> Message:
    """No strategy can be shown to be non-inferior with these data."""
    return message(
        "compare.tolerance_too_fine",
        "These test examples and seeds cannot show a strategy to be within {tolerance} of the "
        "best; a tolerance of {least} they could, for strategies that are as good.",
        tolerance=_score(tolerance),
        least=_score(ceil(1000 * least) / 1000),  # what it is rounded down to would not do
    )


def _gap(standing: StandingRecord) -> dict[str, str]:
    return {key: _score(standing[key]) for key in ("gap", "low", "high")}


def _score(value: float) -> str:
    return f"{value:.3f}"


def about_learning(chosen: ComparisonRow, results: RankedRows) -> list[Message]:
    """A warning where even the chosen strategy learned nothing."""
    metric = results["metric"]
    score = chosen["scores"][metric]["mean"]
    untaught = [
        row["name"]
        for row in results["rows"]
        if row["kind"] == "baseline"
        and row["name"].startswith(_UNTAUGHT)
        and metric in row["scores"]
        and not is_better(metric, score, row["scores"][metric]["mean"])
    ]
    if not untaught:
        return []
    return [
        message(
            "compare.no_better_than_baseline",
            "But {name} does not beat this baseline: "
            "{baseline}. It needs more data, more training or another learning rate.",
            name=chosen["name"],
            baseline=untaught[0],
        )
    ]


def cautions(results: RankedRows) -> list[Message]:
    """What to keep in mind: word counts that do as well, and what so few examples can show."""
    said = []
    by_pair = {frozenset((p["one"], p["other"])): p for p in results["pairs"]}
    words = by_pair.get(frozenset((str(results["best"]), "tf-idf")))
    if words is not None and words["one"] == "tf-idf" and words["real"]:
        said.append(
            message(
                "compare.word_counts_better",
                "A linear model on word counts (TF-IDF) is better "
                "still: no neural network is needed here.",
            )
        )
    elif words is not None and not words["real"]:
        said.append(
            message(
                "compare.word_counts_as_good",
                "A linear model on word counts (TF-IDF) is not "
                "statistically distinguishable from the best: a neural network may not be needed.",
            )
        )
    static = by_pair.get(frozenset((str(results["best"]), "static")))
    if static is not None and (static["one"] == "static" or not static["real"]):
        said.append(
            message(
                "compare.static_as_good",
                "A linear model on static embeddings is as good as the best, as far as this "
                "can show: a network that reads words in their context may not be needed.",
            )
        )
    linear = {"tf-idf", "static"}
    neural = [p for p in results["pairs"] if not linear & {p["one"], p["other"]}]
    widths = [p["visible"] for p in neural if results["best"] in (p["one"], p["other"])]
    if widths:
        said.append(
            message(
                "compare.detectable_difference", "With {examples} test examples and these seeds, "
                "a strategy must be about {width} below the best for the difference to be "
                "detectable.",
                examples=f"{results['test_examples']:,}", width=f"{median(widths):.3f}")
        )  # fmt: skip
    return said + _about_seeds(results)


def _about_seeds(results: RankedRows) -> list[Message]:
    fewest = min((len(row["seeds"]) for row in results["rows"] if row["seeds"]), default=0)
    if fewest == 1:
        return [message("compare.one_seed", "One seed: the variation between seeds is unknown.")]
    if fewest == _FEW_SEEDS:
        return [
            message(
                "compare.few_seeds",
                "Two seeds are few: how far apart seeds are is known from all strategies together.",
            )
        ]
    return []
