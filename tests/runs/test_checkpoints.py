"""Checkpoints: written whole, found by looking, proved by their hash."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from faults import fails
from welltuned.runs.checkpoints import (
    finish_saves,
    is_whole,
    keep_only,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)

WEIGHTS = {
    "a.weight": torch.arange(6.0).reshape(2, 3),
    "b": torch.tensor([1.5], dtype=torch.bfloat16),
}


def save(folder: Path, *steps: int) -> None:
    for step in steps:
        save_checkpoint(
            folder, step, {"a": torch.full((4,), float(step))}, {"scores": {"f1": step}}
        )


def test_what_was_saved_is_loaded_bit_for_bit(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, 7, WEIGHTS, {"epoch": 1.5})
    weights, state = load_checkpoint(folder)
    assert folder == tmp_path / "step-7"
    assert set(weights) == set(WEIGHTS)
    assert all(torch.equal(weights[name], WEIGHTS[name]) for name in WEIGHTS)
    assert all(weights[name].dtype == WEIGHTS[name].dtype for name in WEIGHTS)
    assert (state["step"], state["epoch"]) == (7, 1.5)


def test_tied_views_and_trained_weights_can_be_saved(tmp_path: Path) -> None:
    whole = torch.nn.Parameter(torch.arange(12.0).reshape(3, 4))
    given = {"whole": whole, "tied": whole, "view": whole.T[1:3]}
    weights, _ = load_checkpoint(save_checkpoint(tmp_path, 1, given, {}))
    assert all(torch.equal(weights[name], given[name].detach()) for name in given)


def test_nothing_in_a_checkpoint_is_a_pickle(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, 1, WEIGHTS, {})
    assert {path.name for path in folder.iterdir()} == {"weights.safetensors", "state.json"}
    assert json.loads((folder / "state.json").read_text())["sha256"]


def test_nothing_is_left_beside_a_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-1", "step-2"]


def test_a_step_saved_again_holds_the_new_weights(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 3, {"a": torch.zeros(1)}, {})
    folder = save_checkpoint(tmp_path, 3, {"a": torch.ones(1)}, {})
    assert load_checkpoint(folder)[0]["a"].item() == 1
    assert is_whole(folder)


def test_the_newest_has_the_most_steps_by_number_not_by_name(tmp_path: Path) -> None:
    save(tmp_path, 100, 9, 20)
    assert newest_checkpoint(tmp_path) == tmp_path / "step-100"


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path / "nowhere") is None
    assert newest_checkpoint(tmp_path) is None


@pytest.mark.parametrize("file", ["weights.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "flipped"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    tmp_path: Path, file: str, damage: str
) -> None:
    save(tmp_path, 1, 2)
    target = tmp_path / "step-2" / file
    raw = target.read_bytes()
    if damage == "gone":
        target.unlink()
    elif damage == "flipped":  # one bit, of the last weight or of the hash
        position = len(raw) - 1 if file.startswith("weights") else raw.index(b"sha256") + 12
        target.write_bytes(raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :])
    else:
        target.write_bytes(raw[: len(raw) // 2 if damage == "cut" else 0])
    assert not is_whole(tmp_path / "step-2")
    assert newest_checkpoint(tmp_path) == tmp_path / "step-1"


@pytest.mark.parametrize("text", ["[]", "null", "{}", '"x"'])
def test_a_state_of_another_shape_is_not_whole(tmp_path: Path, text: str) -> None:
    save(tmp_path, 1)
    (tmp_path / "step-1" / "state.json").write_text(text)
    assert not is_whole(tmp_path / "step-1")


def test_folders_with_other_names_are_no_checkpoints(tmp_path: Path) -> None:
    save(tmp_path, 1, 2)
    (tmp_path / "step-2").rename(tmp_path / "step-final")
    (tmp_path / ".step-9.new").mkdir()
    assert newest_checkpoint(tmp_path) == tmp_path / "step-1"


def test_a_save_that_fails_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with fails("run.disk_full", reason="No space left on device"):
        save(tmp_path, 2)
    assert newest_checkpoint(tmp_path) == tmp_path / "step-1"


def test_what_a_crash_left_behind_hinders_no_save(tmp_path: Path) -> None:
    (tmp_path / ".step-2.new").mkdir()
    (tmp_path / ".step-2.new" / "junk").write_text("x")
    save(tmp_path, 2)
    assert sorted(path.name for path in (tmp_path / "step-2").iterdir()) == [
        "state.json",
        "weights.safetensors",
    ]


def test_one_that_was_whole_but_for_its_name_gets_it(tmp_path: Path) -> None:
    save(tmp_path, 1, 2)
    (tmp_path / "step-2").rename(tmp_path / ".step-2.new")
    (tmp_path / ".step-3.new").mkdir()
    finish_saves(tmp_path)
    assert newest_checkpoint(tmp_path) == tmp_path / "step-2"
    assert not (tmp_path / "step-3").exists()


def test_weights_and_folder_are_on_disk_before_the_name_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: named.append((tmp_path / "step-1").exists()))
    save(tmp_path, 1)
    assert named == [False, False, False, True]


def test_all_but_the_kept_are_removed(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 3)
    (tmp_path / ".step-4.new").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    keep_only(tmp_path, tmp_path / "step-2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "step-2"]
