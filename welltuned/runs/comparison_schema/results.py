"""`results.json` of a comparison: the table, the statistics and the recommendation."""

from __future__ import annotations

from typing import Literal, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from welltuned.runs.comparison_schema.record import TunedRecord
from welltuned.runs.results_schema import CLOSED, LayerProbe, Retention, Scores
from welltuned.schema.messages import Message


@with_config(CLOSED)
class ScoreSummary(TypedDict):
    """A score over seeds."""

    mean: float
    """The mean."""
    deviation: float | None
    """The standard deviation; null for one seed."""
    interval: tuple[float, float] | None
    """Of the score that is compared: the 95% interval, by test examples and seeds."""
    by_seed: dict[str, float]
    """The score of each seed."""


@with_config(CLOSED)
class CostSummary(TypedDict):
    """What a strategy costs, means over seeds; null where it is not known."""

    seconds: float | None
    """Seconds of a whole cell."""
    train_seconds: float | None
    """Seconds of training."""
    seconds_to_95: float | None
    """Seconds of training until validation first reached 95% of the score that was kept."""
    examples_per_second: float | None
    """Training examples per second of training."""
    epochs: float | None
    """Passes over the training examples."""
    memory_bytes: float | None
    """The most memory held."""
    trainable: float | None
    """Parameters that train."""
    trainable_share: float | None
    """Their share of all parameters."""
    artifact_bytes: float | None
    """The size of the artifact."""
    tuning_seconds: float | None
    """Seconds of the trials before, with `tune`."""
    joules: NotRequired[float | None]
    """Energy, in comparisons of earlier versions."""


@with_config(CLOSED)
class FailedCell(TypedDict):
    """A cell that has no results."""

    seed: int
    """Its seed."""
    error: str
    """Why."""


@with_config(CLOSED)
class ComparisonRow(TypedDict):
    """A strategy, or a baseline, over its finished cells."""

    name: str
    """Its name for people."""
    slug: str
    """Its name in paths."""
    kind: Literal["strategy", "baseline"]
    """Which of the two."""
    model: NotRequired[str | None]
    """What its model is called, where several are compared."""
    seeds: list[int]
    """Seeds that have finished; none for a baseline."""
    failed: list[FailedCell]
    """Cells that failed."""
    impossible: str | None
    """Why it cannot work with this model and task, where it cannot."""
    scores: dict[str, ScoreSummary]
    """Test scores by name."""
    cost: CostSummary
    """What it takes."""
    tuned: TunedRecord | None
    """The best of its trials, with `tune`."""
    stages: dict[str, float | None] | None
    """Of a pipeline: seconds of training of each stage."""
    retention: Retention
    """What is kept of what the model could, means over seeds, without the headline."""
    kept: float | None
    """The headline of that, the mean over seeds."""
    probe: LayerProbe | None
    """The layer probe of one seed, where it was asked for."""


@with_config(CLOSED)
class PairRecord(TypedDict):
    """Two strategies beside each other, the better one first."""

    one: str
    """The better one."""
    other: str
    """The other one."""
    difference: float
    """The score of `one` less that of `other`."""
    low: float
    """The lower end of the 95% interval of the difference, of this pair alone."""
    high: float
    """The upper end."""
    p: float
    """The p-value of this pair alone."""
    visible: float
    """How large a difference must be, about, to be significant after correction."""
    p_adjusted: float
    """The p-value corrected for the number of pairs."""
    real: bool
    """Whether the difference is significant."""


@with_config(CLOSED)
class StandingRecord(TypedDict):
    """A strategy within the limits beside the best of these, whichever that is."""

    name: str
    """Its name."""
    expected: float
    """The posterior mean of its score."""
    gap: float
    """The posterior mean of how far it is below the best."""
    low: float
    """The lower end of the 95% interval of that."""
    high: float
    """The upper end."""
    within: float
    """The probability that it is within the tolerance of the best."""
    behind: float
    """How far its mean over seeds, as it was measured, is below the best one."""
    needed_seeds: int | None
    """With how many seeds, about, that could be shown, where it can."""
    needed_examples: int | None
    """With how many test examples, where seeds alone are not enough."""


@with_config(CLOSED)
class Recommendation(TypedDict):
    """The strategy to take, and why."""

    strategy: str | None
    """Its name; null where none can be recommended."""
    reasons: list[Message]
    """Why, sentence by sentence."""
    slug: NotRequired[str]
    """Its name in paths."""
    seed: NotRequired[int]
    """The seed whose config is recommended."""
    command: NotRequired[str]
    """The command that trains it."""
    all_data: NotRequired[bool]
    """Whether that trains on more data than the comparison did."""


@with_config(CLOSED)
class Ranking(TypedDict):
    """Which strategies are the best, as far as that is significant."""

    metric: str
    """The score that was compared: the one asked for, where it can be compared by examples."""
    labels: list[str]
    """The task's labels."""
    test_examples: int
    """How many test examples were compared."""
    alpha: float
    """The level of significance."""
    best: str | None
    """The strategy with the best score; null before one has finished."""
    tolerance: float
    """How far below the best a strategy counts as equally good."""
    least_tolerance: float | None
    """The least that could be shown with these data; null where one strategy is alone."""
    standings: list[StandingRecord]
    """The strategies within the limits, the best by posterior mean first."""
    group: list[str]
    """Those of them that are non-inferior: shown to be within the tolerance of the best."""
    pairs: list[PairRecord]
    """Every two of them."""


@with_config(CLOSED)
class RankedRows(Ranking):
    """The table, and who is the best in it."""

    rows: list[ComparisonRow]
    """Strategies, and then baselines."""


@with_config(CLOSED)
class ComparisonResults(RankedRows):
    """`results.json` of a comparison: the table, the statistics and the recommendation."""

    schema_version: int
    """The version of this format."""
    basis: str
    """A hash of everything these results follow from."""
    name: str
    """The comparison's name."""
    asked_metric: str
    """The score that was asked for."""
    remarks: list[Message]
    """What the table does not show."""
    recommendation: Recommendation
    """The strategy to take, and why."""


@with_config(CLOSED)
class BaselineResults(TypedDict):
    """`results.json` of a baseline of a comparison."""

    name: str
    """`majority`, `untouched`, `tf-idf` or `static`; of several models `untouched · MODEL`."""
    model: NotRequired[str | None]
    """What its model is called, where several are compared."""
    test: Scores
    """Scores on the test split."""
    cost: NotRequired[dict[str, float]]
    """What it took, where that was measured."""
    features: NotRequired[str]
    """What it reads."""
