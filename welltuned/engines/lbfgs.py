"""L-BFGS for a linear head on a frozen model: the optimum of its loss, in place of epochs.

What the head reads of each example is computed once. Then full-batch L-BFGS (Liu & Nocedal 1989)
with a strong Wolfe line search minimises

    the task's loss over all examples / their count + l2 / 2 · |weights on standardised features|²

for one strength of L2 after another, each from the optimum of the one before; biases are free. The
strength with the best validation score is kept, as is usual for linear probes (Kornblith et al.
2019, arXiv 1805.08974; Radford et al. 2021, arXiv 2103.00020); where it stands at an end of the
path, the path goes on beyond that end for as long as the score rises. L2 regularises in place of
the head's dropout, which is off.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from welltuned.engines.best_checkpoint import signed
from welltuned.engines.job import Job, Outcome
from welltuned.engines.linear_head import HeadData, LinearHead, Standardised, read_head_data
from welltuned.errors import Fault, NotFinite
from welltuned.runs.results_schema import HeadOptimum, Scores

STRENGTHS = tuple(10.0 ** (-k / 2) for k in range(11))
"""Strengths of L2, from one under which little is learned to hardly any..."""
_BEYOND = 4
"""... and how many more at most, where the best is the strongest or the weakest of them."""
USUAL = 1e-2
"""The strength where validation does not choose."""
_MOST = 500
"""Iterations for one strength..."""
_FLAT = 1e-6
"""... the largest entry of a gradient that counts as none..."""
_STILL = 1e-12
"""... and the change of loss and weights that does."""


def fit_by_lbfgs(job: Job) -> Outcome:
    """Put the optimum into the head of `job.model`. Raises `NotFinite` where there is none."""
    validated = job.training.eval_strategy != "no"
    chosen = validated and job.training.load_best_model_at_end
    strengths = STRENGTHS if chosen else (USUAL,)
    job.listener.started(len(strengths))
    start = time.perf_counter()
    head = LinearHead(job.model, job.anatomy)
    data = read_head_data(job, head)
    fitted = Standardised(data, head.layer)
    path = _Path(job, head, fitted)

    def reach(l2: float, total: int) -> None:
        nonlocal start
        optimum = minimise(fitted, mean_loss(job, fitted, data), l2)
        optimum["seconds"] = time.perf_counter() - start
        path.reach(optimum, total, validated)
        start = time.perf_counter()

    for l2 in strengths:
        reach(l2, len(strengths))
    for l2 in beyond(path.l2) if chosen else ():
        path.return_to_best()
        reach(l2, len(path.optima) + 1)
        if path.l2 != l2:
            break
    path.keep_best(validated)
    evaluations = sum(one["evaluations"] for one in path.optima)
    tokens = int(job.examples.lengths.sum())
    return Outcome(
        steps=path.iterations,
        epochs=1.0,
        seconds=sum(one["seconds"] for one in path.optima),
        examples=len(job.examples),
        tokens=tokens,
        positions=tokens,
        flops=4.0 * data.rows * head.layer.weight.numel() * evaluations,
        lbfgs={
            "l2": path.l2,
            "chosen_by": job.training.metric_for_best_model if chosen else None,
            "path": sorted(path.optima, key=lambda one: one["l2"], reverse=True),
        },
    )


def beyond(best: float) -> Sequence[float]:
    """Where the path goes on from its best strength: nowhere, unless that is one of its ends."""
    if best == STRENGTHS[0]:
        return [best * 10 ** (k / 2) for k in range(1, _BEYOND + 1)]
    if best == STRENGTHS[-1]:
        return [best * 10 ** (-k / 2) for k in range(1, _BEYOND + 1)]
    return ()


def mean_loss(job: Job, fitted: Standardised, data: HeadData) -> Callable[[], torch.Tensor]:
    """The task's own loss of all training examples, by the head as it is when called."""
    objective = job.problem.objective
    count = objective.count(data.batch) or 1.0
    return lambda: objective.loss(fitted, data.batch) / count


def minimise(fitted: Standardised, loss: Callable[[], torch.Tensor], l2: float) -> HeadOptimum:
    """Move `fitted` from where it is to the minimum of the loss and its L2 penalty."""
    weights = list(fitted.parameters())
    optimizer = torch.optim.LBFGS(
        weights,
        max_iter=_MOST,
        max_eval=2 * _MOST,
        tolerance_grad=_FLAT,
        tolerance_change=_STILL,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def penalised() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss() + l2 / 2 * fitted.weight.square().sum()
        value.backward()
        return value.detach()

    optimizer.step(penalised)
    state: Any = optimizer.state[weights[0]]
    value = _finite(float(penalised()))
    gradient = torch.cat([weight.grad.flatten() for weight in weights if weight.grad is not None])
    return {
        "l2": l2,
        "iterations": int(state["n_iter"]),
        "evaluations": int(state["func_evals"]) + 1,
        "loss": float(loss().detach()),
        "objective": value,
        "gradient_norm": float(gradient.norm()),
        "converged": state["n_iter"] < _MOST and state["func_evals"] < 2 * _MOST,
        "seconds": 0.0,
    }


def _finite(value: float) -> float:
    if math.isfinite(value):
        return value
    raise NotFinite(
        Fault(
            "training.head_not_finite",
            "the loss of the head is not finite: the model's hidden states hold NaN or infinity",
            None,
            "check the model's weights, or set training.precision=fp32",
        )
    )


class _Path:
    """The optima for all strengths, of which the best on validation is kept; of equals the first
    that was reached."""

    def __init__(self, job: Job, head: LinearHead, fitted: Standardised) -> None:
        self._job, self._head, self._fitted = job, head, fitted
        self._read: list[torch.Tensor] = []
        self._best = -math.inf
        self._kept: dict[str, torch.Tensor] = {}
        self.l2 = 0.0
        self.optima: list[HeadOptimum] = []

    @property
    def iterations(self) -> int:
        """Of all strengths together."""
        return sum(one["iterations"] for one in self.optima)

    def reach(self, optimum: HeadOptimum, total: int, validated: bool) -> None:
        """Score the optimum where `fitted` is now."""
        self._fitted.write_to(self._head.layer)
        value = -math.inf
        if validated:
            metric = self._job.training.metric_for_best_model
            scores = self._validate()
            value = signed(scores, metric)
            optimum["score"] = float(scores[metric])
        self.optima.append(optimum)
        if value > self._best or not self._kept:
            self._best = value if math.isfinite(value) else -math.inf
            self.l2 = optimum["l2"]
            self._kept = {k: v.clone() for k, v in self._fitted.state_dict().items()}
        self._job.listener.solved(len(self.optima), total, optimum)

    def return_to_best(self) -> None:
        """Put the best weights back."""
        self._fitted.load_state_dict(self._kept)

    def keep_best(self, validated: bool) -> None:
        """Put the best weights back, and validate them, which is told."""
        self.return_to_best()
        self._fitted.write_to(self._head.layer)
        if validated:
            self._job.listener.evaluated(self.iterations, 1.0, self._validate(), True)

    def _validate(self) -> Scores:
        """The model reads the split once, and its head alone after that."""
        if self._read:
            with self._head.replayed(self._read):
                return self._job.validate()
        with self._head.recorded() as self._read:
            return self._job.validate()
