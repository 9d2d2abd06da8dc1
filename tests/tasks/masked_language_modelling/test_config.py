"""What may be asked of masked language modelling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from support import loaded_for
from welltuned.config import run_config_from
from welltuned.tasks import restore_problem
from welltuned.tasks.masked_language_modelling import (
    MaskedLanguageModelling,
    MaskedLanguageModellingProblem,
)

TASK = "masked_language_modelling"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"mlm_probability": 0}, "config.value_invalid"),
        ({"max_length": 2}, "task.max_length_too_small"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], code: str) -> None:
    with refused(code):
        run_config_from({"model": "m", "data": "d.txt", "task": {"type": TASK, **options}})


def test_an_artifact_remembers_it() -> None:
    problem = MaskedLanguageModellingProblem(MaskedLanguageModelling(mlm_probability=0.4))
    assert restore_problem(problem.to_dict()) == problem


def test_labels_are_not_smoothed(tiny: Callable[..., str], few: str) -> None:
    training = {"label_smoothing_factor": 0.1}
    with refused("task.label_smoothing_unsupported"):
        loaded_for(tiny("bert"), few, "full", task=TASK, training=training)


@pytest.mark.parametrize(
    ("family", "strategy", "code"),
    [
        ("llama", "full", "task.decoder_without_masks"),
        ("bert", "lora", "strategy.output_layer_unsaved"),
        ("bert", "prompt", "strategy.vectors_among_hidden_tokens"),
    ],
)
def test_models_and_strategies_that_cannot_do_it_are_refused(
    tiny: Callable[..., str], few: str, family: str, strategy: str, code: str
) -> None:
    with pytest.raises(Exception) as caught:
        loaded_for(tiny(family), few, strategy, task=TASK)
    assert code in {fault.code for fault in caught.value.faults}  # type: ignore[attr-defined]


def test_a_plain_file_of_texts_will_do(tiny: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(f"the film was good {i}" for i in range(40)))
    loaded = loaded_for(tiny("bert"), str(file), "full", task=TASK)
    assert len(loaded.prepared.examples["train"]) == 32
