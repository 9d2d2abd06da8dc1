"""Which library a config is for, and what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import refused
from migrating import migrated
from welltuned.drafts.migration.migrate import LIBRARIES

TRL = "model_name_or_path: m\ndataset_name: a/b\nlearning_rate: 1.0e-4\n"


@pytest.mark.parametrize(
    ("text", "library"),
    [
        (TRL, "TRL"),
        ("base_model: m\nsequence_len: 64\n", "axolotl"),
        ("model_name_or_path: m\nstage: dpo\npref_beta: 1\n", "LLaMA-Factory"),
    ],
)
def test_a_library_is_known_by_its_own_keys(text: str, library: str, tmp_path: Path) -> None:
    assert migrated(tmp_path, text).library == library


@pytest.mark.parametrize("text", ["learning_rate: 1.0\n", "dataset: a\ndataset_name: b\n"])
def test_where_they_do_not_tell_the_library_is_asked_for(text: str, tmp_path: Path) -> None:
    with refused("migrate.library_unknown") as raised:
        migrated(tmp_path, text)
    assert all(f"from={name}" in raised.value.faults[0].remedy for name in LIBRARIES)
    assert migrated(tmp_path, text, library="trl").library == "TRL"


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with refused("config.not_a_mapping"):
        migrated(tmp_path, "- a\n- b\n")


def test_what_is_written_begins_with_where_it_is_from_and_ends_with_what_is_left(
    tmp_path: Path,
) -> None:
    text = migrated(tmp_path, TRL + "run_name: mine\n").text
    first, *_, last = text.splitlines()
    assert first.startswith("# Carried over from TRL:")
    assert "# Not carried over:" in text and last.startswith("# ")
    assert "run_name: mine" in text.partition("# Not carried over:")[2]
    assert "Not carried over" not in migrated(tmp_path, TRL).text
