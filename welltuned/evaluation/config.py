"""`evaluation:` — what is measured besides the validation score."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from welltuned.data.config import ExtraDataset
from welltuned.schema.field_types import WrittenAs
from welltuned.schema.part import Part
from welltuned.schema.units import Duration

OFF = ExtraDataset(data="none")
Percent = Annotated[
    str, Field(pattern=r"^\d+(\.\d+)?%$"), WrittenAs("a share of training's time", "25%")
]


def _as_sets(given: Any) -> Any:
    """`auto`, `none`, a path, a mapping, or a list of paths and mappings; as a list."""
    if given == "auto":
        return ()
    return (given,) if isinstance(given, (str, dict, ExtraDataset)) else given


class EvaluationConfig(Part):
    """What is evaluated besides the scores of the tuned model."""

    untrained: bool = True
    """Baseline: score the model with its untrained head too; it is loaded once more for that."""
    test: bool = True
    """Evaluate on the test split once, at the end. Otherwise it stays sealed, as it must during
    model selection, and the validation split is reported instead."""
    retention: Annotated[tuple[ExtraDataset, ...], BeforeValidator(_as_sets)] = Field(
        default=(), examples=["none"]
    )
    """Retention sets, to measure forgetting on: labelled sets and plain texts, besides the embedded
    ones. auto: the embedded ones alone; none: forgetting is not measured."""
    answering_time: Literal["auto"] | Percent | Duration = "auto"
    """How long answers in free text may take where `task.scored_examples` is auto: a time, or a
    share of what training took. What does not fit is left out at random, and told. The untrained
    model has as long. auto: 25%, but at least a minute."""
    probe: bool = False
    """Layer probe: how linearly decodable the task is at every block, before and after tuning."""

    @property
    def retained(self) -> bool:
        """Whether forgetting is measured."""
        return OFF not in self.retention
