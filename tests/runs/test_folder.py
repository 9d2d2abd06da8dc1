"""The run folder: plain files, each written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from faults import fails, refused
from welltuned.errors import InputError
from welltuned.runs.folder import Run, list_runs, next_free, write_atomically


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "runs" / "mine")


def test_a_run_begins_in_a_new_or_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert Run.create(tmp_path / "empty").folder.is_dir()
    assert Run.create(tmp_path / "new" / "deep").folder.is_dir()


def test_a_folder_that_holds_anything_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("precious")
    with refused("run.folder_in_use"):
        Run.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".hidden"]


def test_a_folder_without_a_status_is_no_run(tmp_path: Path) -> None:
    with refused("run.not_a_run") as raised:
        Run.open(tmp_path)
    assert raised.value.faults[0].place is not None
    assert raised.value.faults[0].place.source == str(tmp_path)


def test_a_run_is_opened_with_what_was_written(run: Run) -> None:
    run.set_status("failed", step=7, error="no memory")
    run.write("results.json", {"test": {"accuracy": 0.5}})
    run.write("config.yaml", {"model": "größe", "schema_version": 1})
    again = Run.open(str(run.folder))
    assert again.status == {"state": "failed", "step": 7, "error": "no memory"}
    assert (again.state, again.name) == ("failed", "mine")
    assert dict(again.results) == {"test": {"accuracy": 0.5}}
    assert again.config == {"model": "größe", "schema_version": 1}


def test_what_is_not_there_yet_is_empty(run: Run) -> None:
    assert dict(run.results) == run.config == {}
    assert list(run.read_lines("metrics.jsonl")) == []


def test_numbers_that_json_does_not_know_become_null(run: Run) -> None:
    values = [float("nan"), float("inf"), -float("inf"), 1.5]
    run.write("results.json", {"a": values, "b": {"c": tuple(values)}})
    text = (run.folder / "results.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text) == {"a": [None, None, None, 1.5], "b": {"c": [None, None, None, 1.5]}}


def test_lines_are_added_one_by_one(run: Run) -> None:
    run.append("metrics.jsonl", {"step": 1, "loss": 0.5})
    assert list(run.read_lines("metrics.jsonl")) == [{"step": 1, "loss": 0.5}]
    run.append("metrics.jsonl", {"step": 2, "loss": float("nan")})
    assert list(run.read_lines("metrics.jsonl"))[1:] == [{"step": 2, "loss": None}]


def test_a_line_is_on_disk_before_the_call_returns(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []
    file = run.folder / "metrics.jsonl"
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(file.read_bytes()))
    run.append("metrics.jsonl", {"step": 1})
    assert synced == [b'{"step": 1}\n']


@pytest.mark.parametrize("torn", ['{"step": 3, "lo', "{", '{"step": 3}'])
def test_a_last_line_cut_short_by_a_crash_is_passed_over(run: Run, torn: str) -> None:
    run.write_lines("metrics.jsonl", [{"step": 1}, {"step": 2}])
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write(torn)
    assert list(run.read_lines("metrics.jsonl")) == [{"step": 1}, {"step": 2}]


def test_a_text_with_line_separators_stays_one_row(run: Run) -> None:
    rows = [{"text": "a\u2028b\x85c\nd"}, {"text": "e"}]
    run.write_lines("predictions.jsonl", rows)
    assert list(run.read_lines("predictions.jsonl")) == rows


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_atomically(file, "a long first version")
    write_atomically(file, "short")
    assert file.read_text() == "short"
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.json"
    write_atomically(file, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with fails("run.disk_full", reason="No space left on device"):
        write_atomically(file, "new")
    assert file.read_text() == "old"


def test_a_reader_never_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When bytes go to disk, the name still means the old file."""
    file = tmp_path / "a.json"
    write_atomically(file, "old")
    seen: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(file.read_text()))
    write_atomically(file, "new")
    assert seen == ["old"]
    assert file.read_text() == "new"


def test_what_cannot_be_written_as_json_leaves_the_old_file(run: Run) -> None:
    run.write("results.json", {"a": 1})
    with pytest.raises(TypeError):
        run.write("results.json", {"a": object()})
    assert dict(run.results) == {"a": 1}


def test_all_runs_are_listed_oldest_first_with_those_inside_others(tmp_path: Path) -> None:
    names = ["b", "b/stages/sft", "a"]
    for age, name in enumerate(names):
        run = Run.create(tmp_path / name)
        run.set_status("finished")
        os.utime(run.folder / "status.json", (age, age))
    found = list_runs(tmp_path)
    assert [str(run.folder.relative_to(tmp_path)) for run in found] == names


def test_a_folder_without_runs_lists_none(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "nowhere") == []


def test_a_free_name_is_the_stem_or_the_lowest_number_behind_it(tmp_path: Path) -> None:
    assert next_free(tmp_path, "run") == tmp_path / "run"
    (tmp_path / "run").mkdir()
    (tmp_path / "run-3").mkdir()
    assert next_free(tmp_path, "run") == tmp_path / "run-2"
    (tmp_path / "run-2").write_text("a file")
    assert next_free(tmp_path, "run") == tmp_path / "run-4"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"step": 3}'])
def test_a_damaged_status_is_refused_and_can_be_written_anew(text: str, run: Run) -> None:
    (run.folder / "status.json").write_text(text)
    with pytest.raises(InputError) as caught:
        _ = run.status
    assert str(caught.value.faults[0].place).startswith(str(run.folder / "status.json"))
    assert (run.is_finished, run.is_running, run.step) == (False, False, 0)
    run.set_status("failed", 3, "it was damaged")
    assert (run.state, run.step) == ("failed", 3)


def test_a_run_stands_where_its_status_says(run: Run) -> None:
    assert not run.is_finished and not run.is_running
    run.set_status("running", 2)
    assert run.is_running and not run.is_finished and run.step == 2
    run.set_status("finished", 4)
    assert run.is_finished and not run.is_running
