"""What all tasks that tune by judgements refuse alike."""

from __future__ import annotations

from faults import full
from welltuned.errors import Faults
from welltuned.tasks.direct_alignment.config import refuse_label_smoothing


def test_smoothing_is_of_labels() -> None:
    faults = Faults()
    refuse_label_smoothing(0.0, "set it to 0", faults)
    assert not len(faults)
    refuse_label_smoothing(0.1, "set it to 0", faults)
    assert full(faults) == ["task.label_smoothing_of_preferences"]
