"""Results schema: every field of a run's `results.json`, typed and documented.

A string under a field is its documentation: it stands in `docs/run-folder.md` and in
`docs/schemas/results.schema.json` too. Files keep these as plain JSON, so they are typed dicts:
what is read from a file has a type, and nothing is converted. Numbers that are not finite are
null in files.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, GetPydanticSchema, JsonValue, with_config
from typing_extensions import TypeAliasType, TypedDict

from welltuned.schema.messages import Message

Config = Annotated[
    dict[str, Any], GetPydanticSchema(lambda _, handler: handler(dict[str, JsonValue]))
]
"""A config, or a part of one, as its file would hold it."""

CLOSED = ConfigDict(extra="forbid", use_attribute_docstrings=True)
"""No field without documentation."""
OPEN = ConfigDict(extra="allow", use_attribute_docstrings=True)

Number = Annotated[float, GetPydanticSchema(lambda _, handler: handler(float | None))]
"""A number; one that is not finite is null in files."""


@with_config(CLOSED)
class ClassScores(TypedDict):
    """How well one class, or one type of entity, is recognised."""

    precision: Number
    """Of the examples that were given the class, the share that has it."""
    recall: Number
    """Of the examples that have the class, the share that was given it."""
    f1: Number
    """The harmonic mean of precision and recall."""
    support: int
    """How many examples have the class."""


Score = TypeAliasType(
    "Score",
    Annotated[
        float | int | list[float | None] | list[list[int]] | dict[str, ClassScores] | None,
        Field(
            description="A number, the two ends of an interval, a confusion matrix (rows are true "
            "classes, columns predicted ones), or scores by class."
        ),
    ],
)
Scores = Annotated[dict[str, Any], GetPydanticSchema(lambda _, handler: handler(dict[str, Score]))]
"""Scores by name. `NAME_ci95` is the 95% interval of NAME, from resampled examples. Which scores
there are is up to the task: for one label `accuracy`, `macro_f1`, `calibration_error`, `log_loss`,
`per_class`, `classes_predicted` and `confusion`."""
Baselines = dict[str, Scores]
"""Scores by name of the baseline: `majority`, `untrained`, `longer`, `likelier`, and for a policy
`sft`."""


@with_config(CLOSED)
class ParameterCount(TypedDict):
    """The size of the tuned model."""

    total: int
    """Parameters of the model with everything that was put in."""
    trainable: int
    """Parameters that train at some time."""


@with_config(CLOSED)
class MemoryParts(TypedDict):
    """A forecast peak of memory by what it is for, in bytes."""

    process: int
    """What the process holds before any weight."""
    libraries: int
    """What libraries take once they are used."""
    weights: int
    """The weights."""
    gradients: int
    """Their gradients."""
    optimizer: int
    """The optimizer's moments."""
    activations: dict[str, int]
    """What waits for the backward pass, by the part of the model."""
    allocator: int
    """What was freed but stays with the process."""
    elsewhere: int
    """By how much saving, proof or evaluation reaches above a training step."""
    roles: NotRequired[dict[str, int]]
    """In an RL stage what its other roles take: `reference`, `value`, `reward`."""


@with_config(CLOSED)
class PredictedCost(TypedDict, total=False):
    """What was forecast before the first step; empty where steps cannot be rehearsed."""

    memory_bytes: int
    """The peak of memory."""
    train_seconds: float
    """Seconds of all optimizer steps."""
    artifact_bytes: int
    """The size of the artifact."""
    memory: MemoryParts
    """The peak by what it is for."""


@with_config(CLOSED)
class Cost(TypedDict):
    """What the run took."""

    train_seconds: float
    """Seconds of training, without loading, scoring and saving."""
    examples_per_second: float
    """Training examples (in an RL stage: episodes) per second of training."""
    tokens_per_second: float
    """Tokens per second of training, without padding."""
    peak_memory_bytes: int
    """The most memory held: on a GPU by tensors, else by the process."""
    artifact_bytes: int
    """The size of the artifact's folder."""
    predicted: NotRequired[PredictedCost]
    """What was forecast before the first step."""
    padding_fraction: NotRequired[float]
    """The share of computed positions that were padding."""
    padding_fraction_unsorted: NotRequired[float]
    """What it would have been in random batches."""
    flops: NotRequired[float]
    """Floating-point operations of all training steps."""
    hardware_efficiency: NotRequired[float]
    """Those per second, as a share of what the device reaches in a large matrix product."""
    seconds: NotRequired[dict[str, float]]
    """In an RL stage: seconds by part (`rollout`, `reward`, `learning`, …)."""
    stages: NotRequired[dict[str, float]]
    """Of a pipeline in a comparison: seconds of training of `sft`, `reward` and `rl`."""


@with_config(CLOSED)
class TrainingProgress(TypedDict):
    """How far training went."""

    steps: int
    """Optimizer steps; in an RL stage batches of episodes."""
    epochs: NotRequired[float]
    """Passes over the training examples, fractions included."""
    best_step: NotRequired[int | None]
    """The step with the best validation score, whose weights were kept; null without one."""
    stopped_early: NotRequired[bool]
    """Whether patience ran out before the planned end."""
    optimizer_steps: NotRequired[int]
    """In an RL stage: steps of the optimizer."""
    episodes: NotRequired[int]
    """In an RL stage: responses that were sampled."""
    exploded: NotRequired[str | None]
    """In an RL stage: why training was ended, where a safeguard ended it."""
    went_back_to: NotRequired[int | None]
    """In an RL stage: the batch whose weights were restored, where they were."""


@with_config(CLOSED)
class ProofRecord(TypedDict):
    """What was shown after training: only what should train has moved, and it was saved."""

    frozen_weights: int
    """Tensors that must not change."""
    frozen_moved: int
    """Those of them that did; always 0 in a finished run."""
    trainable_weights: int
    """Tensors that train."""
    trainable_moved: int
    """Those of them that changed."""
    all_finite: bool
    """Whether every weight is a number."""
    reloaded_examples: int
    """Validation examples that the saved model was tried on."""
    reloaded_difference: float
    """The greatest difference of any output between the trained and the reloaded model."""


Pathology = Literal["diverged", "collapsed", "overfitted", "cut short", "underfitted", "plateaued"]


@with_config(CLOSED)
class FindingRecord(TypedDict):
    """A fault of training: what shows it, and what to try."""

    fault: Pathology
    """What is wrong, in a word."""
    evidence: Message
    """What shows it."""
    advice: Message
    """What to try."""
    command: str
    """The command that tries it."""


@with_config(CLOSED)
class Diagnosis(TypedDict):
    """What the curves of the run tell."""

    verdict: str
    """The fault in a word, or `healthy`."""
    finding: FindingRecord | None
    """The fault with its evidence; null where there is none."""


@with_config(CLOSED)
class RetentionEntry(TypedDict):
    """One question that was asked before and after training."""

    kind: Literal["probe", "cka", "loss", "kl"]
    """Another task read off frozen features, similarity of representations, loss on other text, or
    divergence from the base model."""
    before: Number
    """The measure before training."""
    after: Number
    """The same after training."""
    kept: Number
    """The share of what the model could that it still can; 1 is all of it."""
    kept_ci95: NotRequired[list[Number]]
    """The 95% interval of that share."""
    chance: NotRequired[Number]
    """What guessing gives."""
    why: str
    """How it was measured."""
    source: str
    """Where the texts are from."""
    examples: int
    """How many texts."""


Retention = Annotated[
    dict[str, Any],
    GetPydanticSchema(
        lambda _, handler: handler(dict[str, RetentionEntry | float | str | list[float] | None])
    ),
]
"""One entry a question, by its name, and the headline, of the ability that kept the least: `kept`,
its interval `kept_ci95`, and the entry's name in `decided_by`."""


@with_config(CLOSED)
class UnfreezingHint(TypedDict):
    """What the layer probe advises."""

    num_blocks: int
    """How many blocks from the top are worth unfreezing."""
    why: str
    """The reason."""


@with_config(CLOSED)
class ProbedTexts(TypedDict):
    """The texts of a layer probe."""

    fitted: int
    """Texts the linear maps were fitted on."""
    scored: int
    """Texts they were scored on."""


@with_config(CLOSED)
class LayerProbe(TypedDict):
    """What a linear map reads off every block."""

    metric: str
    """The score."""
    regions: list[str]
    """`embeddings`, and then every block."""
    before: list[Number]
    """Scores by region, before training."""
    after: NotRequired[list[Number]]
    """The same after training."""
    behind: list[Number]
    """How far each region is behind the best, in standard errors of the difference."""
    error: Number
    """The standard error of the best score."""
    chance: Number
    """The score of maps that were fitted on shuffled answers."""
    texts: ProbedTexts
    """How many texts it rests on."""
    hint: UnfreezingHint
    """What it advises."""


@with_config(CLOSED)
class ProbeResult(LayerProbe):
    """What `welltuned probe` writes: the layer probe of a model that is not tuned."""

    model: str
    """The model's name."""
    data: str
    """The file of examples."""


@with_config(CLOSED)
class AlphaPoint(TypedDict):
    """One place between the base model's weights and the tuned ones."""

    alpha: float
    """0 is the base model, 1 the tuned one."""
    validation: Scores
    """Scores there."""
    kept: float | None
    """The share kept there of what the base model could, where that is measured."""


@with_config(CLOSED)
class WeightInterpolation(TypedDict):
    """The protection `wise_ft`: which alpha was chosen, and from what."""

    metric: str
    """The score that chose."""
    alpha: float
    """The chosen place."""
    curve: list[AlphaPoint]
    """Every place that was tried."""
    why: str
    """The rule."""


@with_config(CLOSED)
class BatchSizeTry(TypedDict):
    """A batch size that was tried."""

    size: int
    """Examples per pass."""
    examples_per_second: float | None
    """Its speed; null where it does not fit into memory."""


@with_config(CLOSED)
class BatchSizeSearch(TypedDict):
    """How `per_device_train_batch_size: auto` was settled."""

    tries: list[BatchSizeTry]
    """All sizes that were tried."""
    size: int
    """The one that was taken."""
    reason: str
    """Why."""


@with_config(CLOSED)
class LearningRateSearch(TypedDict):
    """How `learning_rate: find` was settled: a range test."""

    rates: list[float]
    """The learning rate of each step."""
    losses: list[Number]
    """The loss of each step, before it was taken."""
    smoothed: list[Number]
    """The same, smoothed."""
    suggestion: float
    """The learning rate that was taken."""
    reason: Message
    """Why."""


@with_config(CLOSED)
class RangeTestResult(LearningRateSearch):
    """`range_test.json`, which `welltuned tune lr` writes."""

    strategy: Config
    """The strategy, with all options."""
    model: str
    """The model's name."""
    data: str
    """The file of examples."""


@with_config(CLOSED)
class AutoTuned(TypedDict, total=False):
    """What was tried to settle hyper-parameters; empty when nothing was to be found."""

    batch_size: BatchSizeSearch
    """The batch size."""
    learning_rate: LearningRateSearch
    """The learning rate."""


@with_config(CLOSED)
class PolicyMemory(TypedDict):
    """What the roles of an RL stage hold, in bytes."""

    roles: dict[str, int]
    """By role; what two of them share counts for the first."""
    shared_with_judges: int
    """What reward models share with the policy."""


@with_config(CLOSED)
class RewardStage(TypedDict):
    """A reward of a pipeline."""

    name: str
    """Its name."""
    weight: float
    """Its weight in the sum of rewards."""
    run: str | None
    """The run it comes from, as seen from the pipeline's folder; null where it is no run."""


@with_config(CLOSED)
class Stages(TypedDict):
    """The runs of a pipeline, as seen from its folder."""

    sft: str | None
    """The run of supervised fine-tuning; null where that was skipped."""
    reward: list[RewardStage]
    """All rewards."""
    rl: str
    """The run of reinforcement learning."""


class KnownSoFar(TypedDict, total=False):
    """The results that a diagnosis reads; of a run that is not over, those there are."""

    metric: str
    validation: Scores
    train: Scores
    baselines: Baselines


@with_config(CLOSED)
class HeldOutScores(TypedDict):
    """The scores that a sealed test split keeps back."""

    test: NotRequired[Scores]
    """Scores on the test split, which is read once; missing while it stays sealed."""


@with_config(CLOSED)
class Evaluated(HeldOutScores):
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
    skipped: NotRequired[list[str]]
    """Of a pipeline: stages that were skipped."""
