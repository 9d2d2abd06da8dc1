"""How L-BFGS found the optimum of a linear head."""

from __future__ import annotations

from typing import NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from welltuned.runs.results_schema.fields import CLOSED, Number


@with_config(CLOSED)
class HeadOptimum(TypedDict):
    """The optimum for one strength of L2."""

    l2: float
    """The strength: half of it times the squared weights, on standardised features, is added to
    the mean loss."""
    iterations: int
    """Iterations of L-BFGS, from the optimum for the strength before."""
    evaluations: int
    """Times that loss and gradient of all training examples were computed."""
    loss: Number
    """The mean training loss there, without the penalty."""
    objective: Number
    """The same with it."""
    gradient_norm: Number
    """The norm of the gradient there."""
    converged: NotRequired[bool]
    """Whether L-BFGS ended by itself, and not for the number of its iterations; earlier releases
    did not say."""
    seconds: float
    """Seconds spent on it; reading the training examples counts with the first."""
    score: NotRequired[Number]
    """The validation score, where validation is read."""


@with_config(CLOSED)
class HeadSolution(TypedDict):
    """The strengths that were tried, and which was kept."""

    l2: float
    """The strength that was kept."""
    chosen_by: str | None
    """The validation score that chose it; null where a usual strength was taken."""
    path: list[HeadOptimum]
    """All strengths, the strongest first."""


@with_config(CLOSED)
class Solved(TypedDict):
    """What is known of an optimum."""

    lbfgs: NotRequired[HeadSolution]
    """How the optimum of a linear head was found, where that is all that was trained."""
