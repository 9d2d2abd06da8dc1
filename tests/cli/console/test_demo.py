"""The demonstration of a chat model, told to people."""

from __future__ import annotations

from pathlib import Path

from welltuned.cli.console.demo import llm_lines
from welltuned.runs import Run

RESULTS = {
    "answers": [
        {
            "question": f"What is {number} + 1?",
            "the model as it was": "To add the two numbers,\n\nwe first " + "think " * 20,
            "after rewards": f"Answer: {number + 1}",
        }
        for number in range(10, 30)
    ],
    "examples": {
        "metric": "exact_match", "before": 0.0, "after": 0.25, "after_ci95": [0.125, 0.375],
    },
    "preferences": {
        "metric": "margin", "before": None, "after": 0.9, "after_ci95": None,
    },
    "rewards": {
        "metric": "reward", "before": 0.3, "after": 0.4, "gain": 0.1, "gain_ci95": [-0.02, 0.22],
        "kl": 0.5,
    },
    "forgotten": {
        "texts": 24, "before": 3.0, "after": 3.1, "difference": 0.1,
        "difference_ci95": [0.05, 0.15],
    },
    "seconds": {"examples": 61.0, "rewards": 150.0},
}  # fmt: skip


def test_a_few_answers_stand_below_each_other_and_scores_have_their_intervals() -> None:
    runs = {name: Run(Path("runs/my demo") / name) for name in ("examples", "rewards")}
    lines = llm_lines(runs, RESULTS)
    assert sum(line.startswith("  question") for line in lines) == 6
    cut = next(line for line in lines if "the model as it was" in line)
    assert cut.endswith("…") and len(cut) < 80 and "\n" not in cut
    text = "\n".join(lines)
    for told in (
        "exact_match 0.000 -> 0.250 [0.125, 0.375]",
        "margin 0.900\n",
        "gain +0.100 [-0.020, +0.220] (not shown to be one), 0.50 nats",
        "24 general passages 3.000 -> 3.100, +0.100 [+0.050, +0.150]",
        "welltuned chat 'runs/my demo/rewards'",
    ):
        assert told in text
