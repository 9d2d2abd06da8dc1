"""Few labels: a comparison without the strategy that is made for them says that it is missing."""

from __future__ import annotations

from collections.abc import Sequence

from welltuned.errors import Faults
from welltuned.experiments.comparison.config import CompareConfig
from welltuned.experiments.comparison.variants import Variant
from welltuned.schema.messages import Message, message
from welltuned.training.preparation.contrast import texts_of_a_label
from welltuned.training.preparation.data_cache import DataCache

FEW = 64
"""Training texts of a label up to which it is named: the `pays_up_to` of its defaults."""


def few_labels_note(
    config: CompareConfig, variants: Sequence[Variant], cache: DataCache
) -> Message | None:
    """That contrast would be worth a try; None where it takes part, or is not made for the data."""
    if any(one.config.strategy.contrast is not None for one in variants):
        return None
    splits = cache.splits(config.data, config.task, Faults())
    problem = None if splits is None else config.task.bind(splits, 0.0, Faults())
    if splits is None or problem is None or problem.label_flags is None:
        return None
    each = texts_of_a_label(problem, splits.train)
    if each > FEW:
        return None
    return message(
        "compare.few_labels",
        "A label has about {each:,.0f} training texts. For so few there is strategy 'contrastive', "
        "which does not take part: name it in 'strategies' beside the others.",
        each=each,
    )
