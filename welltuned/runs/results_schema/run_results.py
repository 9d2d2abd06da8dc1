"""`results.json` as a whole."""

from __future__ import annotations

from typing import NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from welltuned.runs.results_schema.adaptation import Adaptation
from welltuned.runs.results_schema.answers import Answered
from welltuned.runs.results_schema.auto_tune import AutoTuned
from welltuned.runs.results_schema.checks import AnswerEnd, Diagnosis, ProofRecord
from welltuned.runs.results_schema.contrast import Contrasted
from welltuned.runs.results_schema.cost import Cost, ParameterCount, TrainingProgress
from welltuned.runs.results_schema.cross_validation import CrossValidation
from welltuned.runs.results_schema.decision_rule import Ruled
from welltuned.runs.results_schema.fields import CLOSED, OPEN, Baselines, Scores
from welltuned.runs.results_schema.head_solution import HeadSolution, Solved
from welltuned.runs.results_schema.retention import LayerProbe, Retention, WeightInterpolation
from welltuned.runs.results_schema.stages import PolicyMemory, Stages
from welltuned.runs.results_schema.start import StartedFrom


class KnownSoFar(TypedDict, total=False):
    """The results that a diagnosis reads; of a run that is not over, those there are."""

    metric: str
    validation: Scores
    train: Scores
    baselines: Baselines
    answer_end: AnswerEnd
    lbfgs: HeadSolution


@with_config(CLOSED)
class HeldOutScores(TypedDict):
    """The scores that a sealed test split keeps back."""

    test: NotRequired[Scores]
    """Scores on the test split, which is read once; missing while it stays sealed."""


@with_config(CLOSED)
class Written(TypedDict):
    """What is tried of a model that writes text."""

    answer_end: NotRequired[AnswerEnd]
    """Of a model that writes text: whether an answer ends."""


@with_config(CLOSED)
class Evaluated(HeldOutScores, StartedFrom, Written, Answered, Solved, Contrasted, Ruled):
    """What a tuned model is judged by."""

    train: NotRequired[Scores]
    """Scores on some training examples, as many as validation has: beside `validation` they show
    what was memorised."""
    validation: Scores
    """Scores on the validation split, of the weights that were kept."""
    baselines: Baselines
    """What needs no tuning, scored on the same split."""
    parameters: ParameterCount
    """The size of the model."""
    cost: Cost
    """What the run took."""
    found: NotRequired[AutoTuned]
    """How hyper-parameters were settled by trying."""
    training: TrainingProgress
    """How far training went."""
    choices: list[str]
    """What was chosen for the user, each with its reason."""
    metric: str
    """The validation score that chose the weights; `reward` for a policy."""


@with_config(CLOSED)
class Kept(TypedDict, total=False):
    """What is left of what the model could before."""

    retention: Retention
    """What the model still can of what it could, where that is measured."""
    probe: LayerProbe
    """What a linear map reads off every block, where `evaluation.probe` asks for it."""


@with_config(CLOSED)
class PolicyResults(Evaluated):
    """What a policy is judged by."""

    memory: NotRequired[PolicyMemory]
    """In an RL stage: what its roles hold."""


@with_config(OPEN)
class RunResults(PolicyResults, Kept):
    """`results.json` of a run, of a pipeline and of its stages.

    A protection that finishes after training adds a field of its own name.
    """

    schema_version: NotRequired[int]
    """The version of this format; 1 where it is missing."""
    proof: ProofRecord
    """What was shown after training."""
    diagnosis: NotRequired[Diagnosis]
    """What the curves tell."""
    wise_ft: NotRequired[WeightInterpolation]
    """How far the weights went back, with the protection `wise_ft`."""
    stages: NotRequired[Stages]
    """Of a pipeline: where the runs of its stages are."""
    adaptation: NotRequired[Adaptation]
    """Of a run whose model has read unlabelled texts first: how that went."""
    cross_validation: NotRequired[CrossValidation]
    """Of a run with folds: its runs. Scores are then those of all their answers (`test`), or means
    over folds."""
    skipped: NotRequired[list[str]]
    """Of a pipeline: stages that were skipped."""
