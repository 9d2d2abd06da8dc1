"""Runs in a row, each from the model of the one before: what each changed, and what was forgotten.

The first learns from examples, the second from preferences, the third is a pipeline that learns
from rewards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from welltuned.evaluation.retention_sets import embedded_text
from welltuned.evaluation.text_change import text_change
from welltuned.models.config import ModelConfig
from welltuned.runs import Run

_TEXTS = 24
"""General texts on which forgetting is measured."""


def what_changed(runs: Mapping[str, Run], model: str) -> dict[str, object]:
    """What the runs, in their order, made of a model: answers, scores, what was forgotten."""
    examples, preferences, rewards = runs.values()
    policy = Run(rewards.folder / str(rewards.read("results.json")["stages"]["rl"]))
    texts = embedded_text("en", has_lm_head=False).texts[:_TEXTS]
    change = text_change(ModelConfig(name=model), ModelConfig(name=str(rewards.folder)), texts)
    spent = {name: run.results["cost"]["phases"] for name, run in runs.items()}
    return {
        "runs": {name: str(run.folder) for name, run in runs.items()},
        "answers": list(_answers(examples, policy)),
        "examples": _change(examples, "exact_match"),
        "preferences": _change(preferences, "margin"),
        "rewards": _gain(policy),
        "forgotten": {**asdict(change), "difference": change.difference},
        "seconds": {name: sum(phases.values()) for name, phases in spent.items()},
    }


def _answers(examples: Run, policy: Run) -> Iterator[dict[str, str]]:
    """What is said to the same held-out questions at each step."""
    later = {row["id"]: row for row in policy.read_lines("predictions.jsonl")}
    for row in examples.read_lines("predictions.jsonl"):
        if "before" in row and (last := later.get(row["id"])) is not None:
            yield {
                "question": str(row["prompt"]).removeprefix("user: "),
                "reference": row["reference"],
                "the model as it was": row["before"],
                "after examples": row["response"],
                "after preferences": last["before"],
                "after rewards": last["response"],
            }


def _change(run: Run, metric: str) -> dict[str, Any]:
    test: Any = run.results["test"]
    before: Any = run.results["baselines"].get("untrained", {})
    return {
        "metric": metric,
        "before": before.get(metric),
        "after": test[metric],
        "after_ci95": test.get(f"{metric}_ci95"),
    }


def _gain(policy: Run) -> dict[str, Any]:
    test: Any = policy.results["test"]
    before: Any = policy.results["baselines"]["sft"]
    return {
        "metric": "reward",
        "before": before["reward"],
        "after": test["reward"],
        "gain": test["reward_gain"],
        "gain_ci95": test["reward_gain_ci95"],
        "kl": test["kl"],
    }
