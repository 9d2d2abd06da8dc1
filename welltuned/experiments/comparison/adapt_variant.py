"""`adapt` as a variant: a strategy as any other, whose model has read unlabelled texts first.

Cells have the splits and the budget of the others; what the reading took comes on top, and is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from welltuned.config import RunConfig
from welltuned.errors import Faults
from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.comparison.config import CompareConfig
from welltuned.schema.document import Document
from welltuned.schema.validation import validate

_OF_ADAPT = ("type", "strategy", "adaptation")
"""Keys of the variant that no other strategy has."""


def as_strategy(config: CompareConfig, given: Mapping[str, object]) -> dict[str, object]:
    """`{type: adapt, strategy: …}`, written as the strategy that learns the labels is."""
    asked: Any = given.get("strategy")
    if asked is None:
        written = config.strategy.model_dump(mode="json", exclude_unset=True)
        asked = {"type": config.strategy.type, **written}
    spelled = {"type": asked} if isinstance(asked, str) else dict(asked)
    kept = {key: value for key, value in given.items() if key not in _OF_ADAPT}
    return {**kept, **spelled}


def read_adaptation(
    config: CompareConfig,
    given: Mapping[str, object],
    run: RunConfig,
    document: Document,
    faults: Faults,
) -> AdaptConfig | None:
    """The config of the reading. None when there were faults; they are recorded."""
    shared = config.adaptation.model_dump(mode="json", exclude_unset=True)
    own: Any = given.get("adaptation", {})
    values = {
        **{name: getattr(run, name) for name in RunConfig.model_fields},
        "data": run.data.model_copy(update={"unlabelled": config.data.unlabelled}),
        "pipeline": "adapt",
        "adaptation": {**shared, **own},
    }
    return validate(AdaptConfig, Document(values, document.places, document.source), faults)
