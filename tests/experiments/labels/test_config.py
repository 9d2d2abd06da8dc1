"""What the verbs of labels are asked."""

from __future__ import annotations

from faults import refused
from welltuned.experiments.labels.config import (
    NextSettings,
    SuspectsSettings,
    part_arguments,
)
from welltuned.schema.validation import read_settings


def test_keys_of_the_check_stand_beside_those_of_the_run() -> None:
    given = ["data.split.test=0.2", "folds=3", "test=true", "strategy=full"]
    file, run, own = part_arguments("reviews.yaml", given)
    assert (file, run) == ("reviews.yaml", ["data.split.test=0.2", "strategy=full"])
    settings = read_settings(SuspectsSettings, own)
    assert (settings.folds, settings.test, settings.folder) == (3, True, None)


def test_a_file_that_is_no_config_is_one_of_data() -> None:
    assert part_arguments("reviews.csv", ["model=m"]) == (
        None,
        ["data.train=reviews.csv", "model=m"],
        [],
    )


def test_texts_to_choose_from_may_need_keys_of_data() -> None:
    given = ["data.train=more.csv", "n=7", "data.columns.text=review"]
    settings = read_settings(NextSettings, given)
    assert (settings.data.train, settings.n) == ("more.csv", 7)
    assert settings.data.columns == {"text": "review"} and settings.file == "to_label.csv"


def test_mistakes_are_refused() -> None:
    with refused("config.value_invalid"):
        read_settings(SuspectsSettings, ["folds=1"])
    with refused("config.key_unknown", key="m"):
        read_settings(NextSettings, ["data=more.csv", "m=7"])
