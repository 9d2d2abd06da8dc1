"""`evaluation:` — what is measured besides the validation score."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from welltuned.data.config import ExtraDataset
from welltuned.schema.document import Part

OFF = ExtraDataset(data="none")


def _as_sets(given: Any) -> Any:
    """`auto`, `none`, a path, a mapping, or a list of paths and mappings; as a list."""
    if given == "auto":
        return ()
    return (given,) if isinstance(given, (str, dict, ExtraDataset)) else given


class EvaluationConfig(Part):
    """What is measured besides the scores of the tuned model."""

    untrained: bool = True
    """Score the model with its untrained head too; it is loaded once more for that."""
    test: bool = True
    """Read the test split once, at the end. Without it the split stays sealed, as it must while
    one still chooses, and the validation split is what the run is judged by."""
    retention: Annotated[tuple[ExtraDataset, ...], BeforeValidator(_as_sets)] = Field(
        default=(), examples=["none"]
    )
    """On what to measure how much the model has forgotten: labelled sets and plain texts, beside
    the embedded ones. auto: on the embedded ones alone; none: it is not measured."""
    probe: bool = False
    """Say how well the task can be read off every block, before and after tuning."""

    @property
    def retained(self) -> bool:
        """Whether forgetting is measured."""
        return OFF not in self.retention
