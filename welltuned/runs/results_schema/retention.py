"""What the model kept: retention, layer probes, and interpolated weights."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import GetPydanticSchema, with_config
from typing_extensions import TypedDict

from welltuned.runs.results_schema.fields import CLOSED, Number, Scores


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
