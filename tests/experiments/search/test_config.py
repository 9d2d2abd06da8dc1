"""What a sweep is asked, in a file and on the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import full, refused
from welltuned.errors import InputError
from welltuned.experiments.search.config import (
    SweepConfig,
    SweepSettings,
    as_run,
    read_sweep_config,
)
from welltuned.schema.document import Document

FILE = """\
model: some/model
data: x.csv
strategy: {type: lora, r: 4}
sweep:
  space:
    training.learning_rate: {low: 1e-5, high: 1e-2, log: true}
    strategy.lora_alpha: auto
  trials: 7
"""


def read(folder: Path, text: str, *arguments: str) -> tuple[SweepConfig, Document]:
    (folder / "sweep.yaml").write_text(text)
    return read_sweep_config(str(folder / "sweep.yaml"), arguments)


def test_a_file_says_what_is_varied_and_how(tmp_path: Path) -> None:
    config, document = read(tmp_path, FILE)
    assert config.sweep.trials == 7
    assert config.sweep.space == {
        "training.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
        "strategy.lora_alpha": "auto",
    }
    place = document.place(("sweep", "space", "training.learning_rate"))
    assert (place.line, place.column) == (6, 5)


def test_the_run_that_is_varied_remembers_what_was_left_open(tmp_path: Path) -> None:
    run = as_run(read(tmp_path, FILE)[0])
    assert not hasattr(run, "sweep")
    assert run.strategy.model_fields_set == {"type", "r"}
    assert run.model_fields_set == {"model", "data", "strategy"}


def test_keys_of_the_sweep_may_stand_on_the_line_by_themselves(tmp_path: Path) -> None:
    config, _ = read(tmp_path, FILE, "trials=30", "pruner=none", "training.seed=3", "timeout=2h")
    assert (config.sweep.trials, config.sweep.pruner) == (30, "none")
    assert config.training.seed == 3
    assert config.sweep.seed == 0, "the seed of the sweep is `seed=`, that of training is its own"
    assert config.sweep.seconds == 7200


@pytest.mark.parametrize(("written", "seconds"), [("90s", 90), ("1.5m", 90), ("1d", 86400)])
def test_times_are_a_number_and_a_unit(written: str, seconds: float) -> None:
    assert SweepSettings(timeout=written).seconds == seconds
    assert SweepSettings().seconds is None


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("sweep.trails=3", "config.key_unknown key=sweep.trails"),
        ("trials=0", "config.value_invalid key=sweep.trials given=0"),
        ("pruner=mediam", "config.choice_unknown key=sweep.pruner given='mediam'"),
        ("timeout=20", "sweep.bad_timeout value=20"),
        ("timeout=soon", "sweep.bad_timeout value=soon"),
        ("strategy.rr=3", "config.key_unknown key=strategy.rr"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, argument: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, FILE, argument)
    (fault,) = full(error.value.faults)
    assert told in fault


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with refused("config.file_missing"):
        read_sweep_config(str(tmp_path / "none.yaml"), [])
