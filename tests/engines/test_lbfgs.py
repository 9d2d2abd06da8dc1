"""L-BFGS: the optimum of a linear head, by the task's own loss, whatever the head is for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from support import job_for, make_rows, tune, write_rows
from welltuned.engines.job import Job
from welltuned.engines.lbfgs import STRENGTHS, USUAL, fit_by_lbfgs
from welltuned.engines.linear_head import LinearHead
from welltuned.engines.torch_loop import fit_with_loop
from welltuned.evaluation.predict import to_device
from welltuned.protection import Guard

HEAD = {"type": "partial", "num_blocks": 0}
KINDS: dict[str, dict[str, Any]] = {
    "single": {"task": {"class_weights": {"negative": 1.0, "positive": 3.0}, "pooling": "mean"}},
    "multi": {"task": {"problem": "multi_label", "pooling": "mean"}},
    "regression": {"task": {"problem": "regression", "pooling": "first"}},
    "tokens": {"task": "token_classification"},
}
SMOOTHED = ("single", "tokens")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Some rows for every kind of head."""
    folder = tmp_path_factory.mktemp("heads")
    rows = make_rows(40)
    texts = [row["text"] for row in rows]
    targets = {
        "single": [{"text": row["text"], "label": row["label"]} for row in rows],
        "multi": [
            {"text": text, "label": [w for w in ("the", "was", "not") if w in text.split()]}
            for text in texts
        ],
        "regression": [{"text": text, "label": len(text) / 7 + 0.5} for text in texts],
        "tokens": [
            {"words": text.split(), "tags": ["B-X" if len(w) > 3 else "O" for w in text.split()]}
            for text in texts
        ],
    }
    return {kind: write_rows(folder / f"{kind}.jsonl", part) for kind, part in targets.items()}


def make_job(model: str, data: str, kind: str, **training: Any) -> Job:
    """A head alone, on the whole of the data, nothing chosen by validation."""
    smoothing = {"label_smoothing_factor": 0.1} if kind in SMOOTHED else {}
    settings = {"eval_strategy": "no", "learning_rate": 0.01, **smoothing, **training}
    job: Job = job_for(model, data, HEAD, training=settings, **KINDS[kind])
    return job


def objective(job: Job) -> torch.Tensor:
    """Mean loss and penalty by the whole model, as the documentation says them."""
    batch = to_device(
        job.problem.codec.collate(job.examples, list(range(len(job.examples))), job.pad_id),
        job.device,
    )
    head = LinearHead(job.model, job.anatomy)
    job.model.eval()
    with head.recorded() as read:
        loss = job.problem.objective.loss(job.model, batch) / job.problem.objective.count(batch)
    rows = read[0][batch["labels"] != -100] if read[0].ndim == 3 else read[0]
    spread_H = rows.std(0, correction=0)
    return loss + USUAL / 2 * (head.layer.weight * spread_H).square().sum()


class Penalty(Guard):
    """The same penalty in the training loop."""

    def __init__(self, layer: nn.Linear, spread_H: torch.Tensor) -> None:
        self._layer, self._squares_H = layer, spread_H.square()

    def penalise(self, step: int) -> float:
        assert self._layer.weight.grad is not None
        self._layer.weight.grad.add_(self._layer.weight.detach() * self._squares_H, alpha=USUAL)
        return 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_no_training_loop_gets_below_its_loss(
    kind: str, tiny: Callable[..., str], files: dict[str, str]
) -> None:
    still = tiny("bert", hidden_dropout_prob=0.0)
    solved, looped = (make_job(still, files[kind], kind, num_train_epochs=25) for _ in range(2))
    outcome = fit_by_lbfgs(solved)
    head = LinearHead(looped.model, looped.anatomy)
    with head.recorded() as read:
        start = float(objective(looped).detach())
    first = read[0].flatten(0, -2)
    looped.guards = [Penalty(head.layer, first.std(0, correction=0))]
    fit_with_loop(looped)
    best = objective(solved)
    (gradient,) = torch.autograd.grad(best, [LinearHead(solved.model, solved.anatomy).layer.weight])
    reached, looped_to = float(best.detach()), float(objective(looped).detach())
    assert reached <= looped_to + 1e-6 and looped_to < start
    assert float(gradient.norm()) < 1e-4
    assert outcome.lbfgs is not None and len(outcome.lbfgs["path"]) == 1
    (optimum,) = outcome.lbfgs["path"]
    assert optimum["objective"] == pytest.approx(reached, abs=1e-5)
    assert optimum["gradient_norm"] < 1e-5 and optimum["l2"] == USUAL


def test_both_engines_take_the_same_way(
    tiny: Callable[..., str], sentiment: str, tmp_path: Path
) -> None:
    found = []
    for engine in ("torch", "hf"):
        run = tune(
            tiny("bert"),
            sentiment,
            HEAD,
            tmp_path / engine,
            engine=engine,
            task={"pooling": "mean"},
            training={"learning_rate": "auto"},
        )
        solution = run.results["lbfgs"]
        spent = sum(optimum.pop("seconds") for optimum in solution["path"])
        assert spent == pytest.approx(run.results["cost"]["train_seconds"])
        found.append((run.results["test"], run.results["validation"], solution))
        assert run.config["training"]["optim"] == "lbfgs"
        assert run.results["choices"][0].startswith("optim = lbfgs")
    assert found[0] == found[1]
    _, validation, solution = found[0]
    metric = solution["chosen_by"]
    scores = [one["score"] for one in solution["path"]]
    kept = solution["path"][int(np.argmax(scores))]
    assert (solution["l2"], validation[metric]) == (kept["l2"], kept["score"])
    assert len({one["loss"] for one in solution["path"]}) == len(solution["path"])
    (row,) = map(json.loads, (run.folder / "metrics.jsonl").read_text().splitlines())
    assert row["split"] == "validation" and row["seconds"] == pytest.approx(spent)
    page = run.report.read_text()
    assert "L-BFGS" in page and "<td" in page


@pytest.mark.parametrize(
    ("best", "beyond"),
    [
        (10.0, [10**0.5, 10.0, 10**1.5]),
        (1e9, [10 ** (k / 2) for k in range(1, 5)]),
        (1e-6, [10**-5.5, 1e-6, 10**-6.5]),
        (1.0, [10**0.5]),
        (0.1, []),
    ],
)
def test_the_path_goes_on_beyond_its_end_while_the_score_rises(
    best: float,
    beyond: list[float],
    tiny: Callable[..., str],
    files: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = {"eval_strategy": "epoch", "metric_for_best_model": "macro_f1"}
    job = make_job(tiny("bert"), files["single"], "single", **chosen)
    reached: list[float] = []

    def solved(number: int, total: int, optimum: Any) -> None:
        reached.append(optimum["l2"])
        assert number == len(reached) <= total

    def validate() -> dict[str, float]:  # of the strength that comes next, best at `best`
        now = (*STRENGTHS, *beyond, best)[len(reached)]
        return {"macro_f1": -abs(np.log10(now) - np.log10(best))}

    job.validate = validate
    monkeypatch.setattr(job.listener, "solved", solved)
    solution = fit_by_lbfgs(job).lbfgs
    assert solution is not None
    assert reached == pytest.approx([*STRENGTHS, *beyond])
    strengths = [one["l2"] for one in solution["path"]]
    assert strengths == sorted(strengths, reverse=True) and len(strengths) == len(reached)
    assert solution["l2"] == pytest.approx(min(best, 100.0))
