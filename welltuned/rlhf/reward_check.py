"""Reward-model check: the RL stage does not start on a model that is no better than chance.

A policy finds what a judge rewards, and of a judge that guesses it finds the noise.
"""

from __future__ import annotations

from welltuned.runs import Run
from welltuned.runs.results_schema import Scores

_CHANCE = {"pair_accuracy": 0.5, "spearman": 0.0, "r2": 0.0}
"""What guessing reaches, by the scores that tell: the first one a run has decides."""


def weakness(run: Run) -> str | None:
    """Why the run's model is no better than chance on its test split; None when it is better.

    It is better when the lower bound of the score's 95% interval is.
    """
    results = run.results
    test: Scores = results.get("test", {})
    for name, chance in _CHANCE.items():
        if name in test:
            return _compare(name.replace("_", " "), test, name, chance)
    majority = results.get("baselines", {}).get("majority", {})
    if "accuracy" in test and "accuracy" in majority:
        return _compare("accuracy", test, "accuracy", majority["accuracy"])
    return None


def _compare(told: str, test: Scores, name: str, chance: float) -> str | None:
    value = test[name]
    low, high = test.get(f"{name}_ci95") or (value, value)
    if value is not None and low is not None and low > chance:
        return None
    if value is None or low is None:
        return f"{told} could not be computed on its test split"
    found = f"{told} {value:.3f} [{low:.3f}, {high:.3f}] on its test split"
    return f"{found}; guessing reaches {chance:.3f}"
