"""Recommendation: which strategy to use, by a stated rule and with reasons.

The rule: of the strategies not significantly worse than the best and within the limits, the
cheapest. Cheapest is the one that trains fastest; of those within a tenth of it, the one that needs
the least memory; and of equals the one with the smallest artifact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import Literal

from welltuned.metrics import is_better
from welltuned.reports.page import metric_name
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import ComparisonRow, RankedRows, Recommendation
from welltuned.schema import versions
from welltuned.schema.messages import Message, message
from welltuned.schema.units import duration_text, size_text

_AS_FAST = 1.1
_UNTAUGHT = ("untouched", "majority")
RECOMMENDED = "recommended.yaml"


def recommend(results: RankedRows, limits: Mapping[str, float | None]) -> Recommendation:
    """The strategy to take, or None, and why."""
    rows = {row["name"]: row for row in results["rows"] if row["kind"] == "strategy"}
    if results["best"] is None:
        return {
            "strategy": None,
            "reasons": [message("compare.no_finished_strategy", "No strategy has a finished run.")],
        }
    over = {name: reasons for name, row in rows.items() if (reasons := _over(row, limits))}
    within = [name for name in results["group"] if name not in over]
    reasons = [_about_best(results, rows), _about_group(results)]
    reasons += [reason for name in results["group"] for reason in over.get(name, [])]
    if not within:
        reasons.append(
            message(
                "compare.none_within_limits",
                "None of these is within the limits. Raise a limit, or choose by hand.",
            )
        )
        fitting = [
            n for n in _by_score(results) if n in rows and rows[n]["seeds"] and n not in over
        ]
        if fitting:
            reasons.append(
                message(
                    "compare.best_within_limits", "The best strategy within the limits is {name}, "
                    "but it is worse than {best}.",
                    name=fitting[0], best=results["best"])
            )  # fmt: skip
        return {"strategy": None, "reasons": reasons + _cautions(results)}
    chosen = cheapest([rows[name] for name in within])
    reasons.append(_about_cost(chosen, [rows[name] for name in within]))
    if chosen["name"] != results["best"]:
        reasons.append(_about_gap(chosen, results, rows))
    reasons += _about_learning(chosen, results)
    return {
        "strategy": chosen["name"],
        "slug": chosen["slug"],
        "seed": chosen["seeds"][0],
        "reasons": reasons + _cautions(results),
    }


def cheapest(rows: list[ComparisonRow]) -> ComparisonRow:
    """The fastest; of those nearly as fast the smallest in memory, then the smallest artifact."""
    fastest = min(known(row["cost"]["train_seconds"]) for row in rows)
    fast = [row for row in rows if known(row["cost"]["train_seconds"]) <= _AS_FAST * fastest]
    sizes = [
        (known(row["cost"]["memory_bytes"]), known(row["cost"]["artifact_bytes"])) for row in fast
    ]
    return fast[sizes.index(min(sizes))]


def known(cost: float | None) -> float:
    """A cost of a strategy whose cells have finished, which is always known."""
    assert cost is not None
    return cost


def _by_score(results: RankedRows) -> list[str]:
    order = [
        results["best"],
        *(p["other"] for p in results["pairs"] if p["one"] == results["best"]),
    ]
    return [str(name) for name in order]


def _over(row: ComparisonRow, limits: Mapping[str, float | None]) -> list[Message]:
    """Which limits a strategy does not keep to."""
    if not row["seeds"]:
        return []
    cost, found = row["cost"], []
    for limit, key, show, beyond in _LIMITS:
        asked = limits.get(limit)
        value = cost[key]
        if asked is not None and value is not None and value > asked:
            found.append(beyond(name=row["name"], value=show(value), limit=show(asked)))
    least, kept = limits.get("retention"), row["kept"]
    if least is not None and kept is not None and kept < least:
        found.append(
            message(
                "compare.over_retention",
                "{name} keeps {value} of what the model knew; the limit is {limit}.",
                name=row["name"],
                value=f"{kept:.1%}",
                limit=f"{least:.1%}",
            )
        )
    return found


_LimitedCost = Literal["memory_bytes", "train_seconds", "artifact_bytes"]
_LIMITS: tuple[tuple[str, _LimitedCost, Callable[[float], str], Callable[..., Message]], ...] = (
    (
        "memory",
        "memory_bytes",
        size_text,
        lambda **values: message(
            "compare.over_memory", "{name} needs {value} of memory; the limit is {limit}.", **values
        ),
    ),
    (
        "time",
        "train_seconds",
        duration_text,
        lambda **values: message(
            "compare.over_time", "{name} trains for {value}; the limit is {limit}.", **values
        ),
    ),
    (
        "artifact",
        "artifact_bytes",
        size_text,
        lambda **values: message(
            "compare.over_artifact_size",
            "{name} has an artifact of {value}; the limit is {limit}.",
            **values,
        ),
    ),
)
"""Each limit, the cost it is held against, how both are shown, and what is said beyond it."""


def _about_best(results: RankedRows, rows: dict[str, ComparisonRow]) -> Message:
    best, metric = str(results["best"]), results["metric"]
    score = rows[best]["scores"][metric]["mean"]
    return message(
        "compare.best", "{best} has the best {metric} on the test split: {score}.",
        best=best, metric=metric_name(metric), score=f"{score:.3f}",
    )  # fmt: skip


def _about_group(results: RankedRows) -> Message:
    others = results["group"][1:]
    if not others:
        return message("compare.all_others_worse", "Every other strategy is significantly worse.")
    finished = [r for r in results["rows"] if r["kind"] == "strategy" and r["seeds"]]
    if len(results["group"]) == len(finished):
        return message(
            "compare.none_distinguishable",
            "No other strategy is statistically distinguishable from it.",
        )
    return message(
        "compare.not_distinguishable",
        "Not statistically distinguishable from it: {names}.",
        names=", ".join(others),
    )


def _about_gap(
    chosen: ComparisonRow, results: RankedRows, rows: dict[str, ComparisonRow]
) -> Message:
    """What may be given up for the lower cost."""
    metric, best = results["metric"], str(results["best"])
    score, most = (row["scores"][metric]["mean"] for row in (chosen, rows[best]))
    return message(
        "compare.gap", "Its {metric} was {score}, {gap} from that of {best}: if the difference is "
        "real, it is the price of the lower cost.",
        metric=metric_name(metric), score=f"{score:.3f}", gap=f"{abs(score - most):.3f}", best=best,
    )  # fmt: skip


def _about_cost(chosen: ComparisonRow, within: list[ComparisonRow]) -> Message:
    name, own = chosen["name"], chosen["cost"]
    if len(within) == 1:
        return message("compare.only_one_left", "That leaves {name}.", name=name)
    costliest = max(within, key=lambda row: known(row["cost"]["train_seconds"]))
    return message(
        "compare.cheapest",
        "Of these, {name} is the cheapest: {time} of training, {memory} of "
        "memory, an artifact of {artifact}. The most expensive, {costliest}, takes "
        "{costliest_time}, {costliest_memory} and {costliest_artifact}.",
        name=name,
        time=duration_text(known(own["train_seconds"])),
        memory=size_text(known(own["memory_bytes"])),
        artifact=size_text(known(own["artifact_bytes"])),
        costliest=costliest["name"],
        costliest_time=duration_text(known(costliest["cost"]["train_seconds"])),
        costliest_memory=size_text(known(costliest["cost"]["memory_bytes"])),
        costliest_artifact=size_text(known(costliest["cost"]["artifact_bytes"])),
    )


def _about_learning(chosen: ComparisonRow, results: RankedRows) -> list[Message]:
    """A warning where even the chosen strategy learned nothing."""
    metric = results["metric"]
    score = chosen["scores"][metric]["mean"]
    untaught = [
        row["name"]
        for row in results["rows"]
        if row["name"] in _UNTAUGHT
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


def _cautions(results: RankedRows) -> list[Message]:
    """What to keep in mind: word counts that do as well, and what so few examples can show."""
    cautions = []
    by_pair = {frozenset((p["one"], p["other"])): p for p in results["pairs"]}
    words = by_pair.get(frozenset((str(results["best"]), "tf-idf")))
    if words is not None and words["one"] == "tf-idf" and words["real"]:
        cautions.append(
            message(
                "compare.word_counts_better",
                "A linear model on word counts (TF-IDF) is better "
                "still: no neural network is needed here.",
            )
        )
    elif words is not None and not words["real"]:
        cautions.append(
            message(
                "compare.word_counts_as_good",
                "A linear model on word counts (TF-IDF) is not "
                "statistically distinguishable from the best: a neural network may not be needed.",
            )
        )
    neural = [p for p in results["pairs"] if "tf-idf" not in (p["one"], p["other"])]
    widths = [p["visible"] for p in neural if results["best"] in (p["one"], p["other"])]
    if widths:
        cautions.append(
            message(
                "compare.detectable_difference", "With {examples} test examples and these seeds, "
                "a strategy must be about {width} below the best for the difference to be "
                "detectable.",
                examples=f"{results['test_examples']:,}", width=f"{median(widths):.3f}")
        )  # fmt: skip
    if any(len(row["seeds"]) == 1 for row in results["rows"]):
        cautions.append(
            message("compare.one_seed", "One seed: the variation between seeds is unknown.")
        )
    return cautions


def write_config(comparison: Comparison, recommendation: Recommendation) -> None:
    """Write the config that trains the recommended strategy, and put the command beside it.

    It is the cell's own, with every choice spelled out; only the limit on training
    examples is lifted, and the budget is kept in epochs.
    """
    if recommendation["strategy"] is None:
        (comparison.folder / RECOMMENDED).unlink(missing_ok=True)
        return
    run = comparison.cell(recommendation["slug"], recommendation["seed"])
    config, asked = run.config, comparison.record["asked"]
    own = config["sft"] if "pipeline" in config else config  # what all strategies have
    training = own["training"]
    if training["max_steps"] is not None:
        training["num_train_epochs"] = round(run.results["training"]["epochs"], 2)
    training |= {"max_steps": None} | {
        key: asked["training"][key] for key in ("eval_strategy", "eval_steps")
    }
    limited = config["data"]["max_train_examples"] is not None
    config["data"]["max_train_examples"] = None
    for key in (versions.KEY, "output_dir"):
        del config[key]
    own["evaluation"] = asked["evaluation"]
    comparison.write(RECOMMENDED, config)
    recommendation["command"] = f"welltuned train {comparison.folder / RECOMMENDED}"
    recommendation["all_data"] = limited
