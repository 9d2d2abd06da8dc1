"""A whole comparison: its folder, going on, and what goes wrong."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from comparing import HEAD, carried_out, values_for, without_processes
from counting import count_work
from faults import refused
from forking import Forks
from support import config_values, make_rows, write_rows
from welltuned.config import run_config_from
from welltuned.errors import Stopped
from welltuned.experiments.comparison.cells import cell_record
from welltuned.experiments.comparison.observer import (
    Board,
    CellState,
    ComparisonObserver,
    StrategyRow,
)
from welltuned.experiments.comparison.run_cells import CellRunner
from welltuned.runs.comparison_folder import Comparison
from welltuned.training import train as pipeline
from welltuned.training.preparation.data_cache import JOURNAL, DataCache

LORA = {"type": "lora", "r": 2}
HEAD_ALONE = {"type": "partial", "num_blocks": 0}


class Watching(ComparisonObserver):
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.notes: list[str] = []
        self.board: Board | None = None

    def noted(self, text: str) -> None:
        self.notes.append(text)

    def changed(self, board: Board, row: StrategyRow, cell: CellState) -> None:
        self.board = board
        if cell.state == "running" and (row.name, cell.seed) not in self.started:
            self.started.append((row.name, cell.seed))


@pytest.fixture
def copy(compared: Comparison, tmp_path: Path) -> Comparison:
    """A finished comparison that may be changed."""
    return Comparison(Path(shutil.copytree(compared.folder, tmp_path / "copy")))


@pytest.fixture
def again(tiny: Any, sentiment: str, here: None, unread: None) -> Any:
    """`again(comparison, …)`: the same comparison carried out once more in its folder."""

    def run(comparison: Comparison, **changes: Any) -> Watching:
        watching = Watching()
        values = values_for(tiny("bert"), sentiment, comparison.folder, **changes)
        carried_out(values, watching)
        return watching

    return run


# --- What is read -------------------------------------------------------------------


def made(comparison: Comparison) -> Counter[str]:
    """What its processes have read and tokenised, by kind."""
    lines = (comparison.data / JOURNAL).read_text(encoding="utf-8").splitlines()
    return Counter(json.loads(line)["made"] for line in lines)


def test_variants_times_seeds_read_and_tokenise_once(
    tiny: Any, sentiment: str, tmp_path: Path, here: None, unread: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Nothing is passed between workers but what lies in the folder."""
    work = count_work(monkeypatch)
    comparison = carried_out(values_for(tiny("bert"), sentiment, tmp_path / "new"))
    assert work.read == {sentiment: 1}
    assert work.times_tokenised(sentiment) == {1}
    assert made(comparison) == {"splits": 1, "examples": 3}
    assert [file.name for file in comparison.data.iterdir()] == [JOURNAL]


def test_processes_of_their_own_read_and_tokenise_once(
    tiny: Any, sentiment: str, tmp_path: Path, unread: None, forks: Forks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    forks.lend(monkeypatch)
    values = values_for(tiny("bert"), sentiment, tmp_path / "new", seeds=1, strategies=[HEAD])
    assert made(carried_out(values)) == {"splits": 1, "examples": 3}


# --- What is there afterwards ------------------------------------------------------


def test_every_cell_is_an_ordinary_run(compared: Comparison) -> None:
    runs = [compared.cell(slug, seed) for slug in ("head", "lora-r=2") for seed in (0, 1)]
    for run in runs:
        assert run.state == "finished"
        assert run.report.exists() and (run.model / "welltuned.json").exists()
        assert not run.checkpoints.exists(), "the best weights are in the model already"
    assert [run.config["training"]["seed"] for run in runs] == [0, 1, 0, 1]
    assert [run.config["strategy"]["type"] for run in runs] == ["partial"] * 2 + ["lora"] * 2


def test_all_cells_have_the_same_data_budget_and_settings(compared: Comparison) -> None:
    runs = [compared.cell(slug, seed) for slug in ("head", "lora-r=2") for seed in (0, 1)]
    assert len({run.read("environment.json")["data_fingerprint"] for run in runs}) == 1
    assert len({run.read("environment.json")["precision"] for run in runs}) == 1
    assert {run.results["training"]["epochs"] for run in runs} == {1.0}
    assert (
        len({tuple(row["id"] for row in run.read_lines("predictions.jsonl")) for run in runs}) == 1
    )


def test_the_table_says_what_the_runs_say(compared: Comparison) -> None:
    results = compared.results
    assert results["metric"] == "macro_f1"
    rows: Any = {row["name"]: row for row in results["rows"]}
    assert set(rows) == {"head", "lora r=2", "tf-idf", "untouched", "majority"}
    for name, slug in (("head", "head"), ("lora r=2", "lora-r=2")):
        own = [compared.cell(slug, seed).results for seed in (0, 1)]
        score = rows[name]["scores"]["macro_f1"]
        values = [run["test"]["macro_f1"] for run in own]
        assert score["mean"] == pytest.approx(sum(values) / 2)
        assert score["by_seed"] == {"0": values[0], "1": values[1]}
        assert score["interval"][0] < score["mean"] < score["interval"][1] or len(set(values)) == 1
        cost = rows[name]["cost"]
        assert cost["artifact_bytes"] == own[0]["cost"]["artifact_bytes"]
        assert cost["trainable"] == own[0]["parameters"]["trainable"]
        assert 0 < cost["seconds_to_95"] <= cost["train_seconds"] < cost["seconds"]
        assert cost["memory_bytes"] >= 1e7
    assert rows["majority"]["scores"]["accuracy"]["mean"] == 0.5
    assert [pair["real"] for pair in results["pairs"]].count(True) <= 3
    assert {tuple(sorted((p["one"], p["other"]))) for p in results["pairs"]} == {
        ("head", "lora r=2"), ("head", "tf-idf"), ("lora r=2", "tf-idf"),
    }  # fmt: skip


def test_the_recommended_config_trains(compared: Comparison, tmp_path: Path) -> None:
    from welltuned.config import read_run_config
    from welltuned.errors import Faults

    recommendation = compared.results["recommendation"]
    standings = [one["name"] for one in compared.results["standings"]]
    assert recommendation["strategy"] in standings
    file = Path(recommendation["command"].removeprefix("welltuned train "))
    faults = Faults()
    config, _ = read_run_config(file, [f"output_dir={tmp_path / 'run'}"], faults)
    assert config is not None and not list(faults)
    assert config.training.num_train_epochs == 1 and config.training.max_steps is None
    assert config.training.eval_strategy == "epoch"
    assert pipeline.run_training(config).state == "finished"


def test_the_record_tells_how_it_stands(compared: Comparison) -> None:
    record = compared.record
    assert record["state"] == "finished"
    assert record["command"] == "welltuned compare …"
    cells = [cell for row in record["rows"] for cell in row["cells"]]
    assert {cell["state"] for cell in cells} == {"finished"}
    assert all((compared.folder / cell["folder"] / "cell.json").exists() for cell in cells)
    assert compared.report.exists()


# --- Going on ----------------------------------------------------------------------


def test_a_finished_comparison_runs_nothing_again(copy: Comparison, again: Any) -> None:
    before = {file: file.stat().st_mtime_ns for file in copy.folder.rglob("cell.json")}
    started = time.perf_counter()
    watching = again(copy)
    assert time.perf_counter() - started < 5
    assert watching.started == []
    assert {file: file.stat().st_mtime_ns for file in copy.folder.rglob("cell.json")} == before


def test_stopped_before_its_first_cell_it_goes_on(
    copy: Comparison, again: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is a comparison's as soon as anything is written into it."""
    from welltuned.experiments.comparison.worker import requests

    for path in (*copy.folder.glob("*.json"), copy.folder / "cells"):
        path.unlink() if path.is_file() else shutil.rmtree(path)

    def stop(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests, "request_baselines", stop)
        shutil.move(copy.folder / "baselines", copy.folder.parent / "baselines")
        (copy.folder / "report.html").unlink()
        (copy.folder / "recommended.yaml").unlink()
        with pytest.raises(Stopped):
            again(copy, strategies=[HEAD], seeds=1)
    shutil.move(copy.folder.parent / "baselines", copy.folder / "baselines")
    assert again(copy, strategies=[HEAD], seeds=1).started == [("head", 0)]


def test_the_process_that_compares_loads_no_model() -> None:
    """Nor torch, which alone takes longer than going through a finished comparison."""
    code = (
        "import sys\n"
        "from welltuned.experiments.comparison import compare, plan, summary\n"
        "import welltuned.cli\n"
        "assert not {'torch', 'transformers', 'peft'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_missing_cell_alone_is_run(copy: Comparison, again: Any) -> None:
    shutil.rmtree(copy.cell("lora-r=2", 1).folder)
    assert again(copy).started == [("lora r=2", 1)]
    assert copy.record["state"] == "finished"


def test_a_cell_that_did_not_finish_is_run_again(copy: Comparison, again: Any) -> None:
    """As a killed process leaves it: a folder, a status that says running, no record."""
    run = copy.cell("head", 0)
    run.set_status("running", 3)
    (run.folder / "cell.json").unlink()
    assert again(copy).started == [("head", 0)]
    assert run.state == "finished" and cell_record(run)["seed"] == 0


def test_more_seeds_and_strategies_are_added_to_what_is_there(copy: Comparison, again: Any) -> None:
    watching = again(copy, seeds=3, strategies=[HEAD, LORA])
    assert watching.started == [("head", 2), ("lora r=2", 2)]
    assert copy.results["rows"][0]["seeds"] == [0, 1, 2]


def test_other_settings_replace_a_cell_and_keep_the_old_one_aside(
    copy: Comparison, again: Any
) -> None:
    old = copy.cell("lora-r=2", 0).results["test"]
    changed = {**LORA, "name": "lora r=2", "training": {"learning_rate": 1e-4}}
    watching = again(copy, strategies=[HEAD, changed])
    assert watching.started == [("lora r=2", 0), ("lora r=2", 1)]
    aside = copy.folder / "replaced" / "lora-r=2" / "seed-0"
    assert json.loads((aside / "results.json").read_text())["test"] == old
    assert "about 48 training texts" in watching.notes[0]
    assert "had other settings; it is now in replaced" in watching.notes[1]


def test_other_data_in_the_same_folder_are_refused_with_the_difference(
    copy: Comparison, tiny: Any, tmp_path: Path
) -> None:
    data = write_rows(tmp_path / "other.jsonl", make_rows(150, seed=9))
    with refused("compare.folder_of_other_data", place=str(copy.folder)) as error:
        carried_out(values_for(tiny("bert"), data, copy.folder))
    difference = error.value.faults[0].values["difference"]
    assert "train has 118 examples, not 96" in difference
    assert "test has 16 examples, not 12" in difference


def test_strategies_on_different_data_are_refused_with_the_difference(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    less = {"type": "lora", "data": {"max_train_examples": 20}, "name": "less"}
    with refused("compare.data_differ", name="less", first="full") as error:
        carried_out(values_for(tiny("bert"), sentiment, tmp_path / "c", strategies=["full", less]))
    assert "train has 20 examples, not 96" in error.value.faults[0].values["difference"]
    assert not (tmp_path / "c").exists()


def test_a_folder_of_something_else_is_refused(tiny: Any, sentiment: str, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with refused("compare.folder_in_use"):
        carried_out(values_for(tiny("bert"), sentiment, tmp_path))
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_without_a_folder_the_same_comparison_goes_on_where_it_was(
    compared: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from welltuned.errors import Faults
    from welltuned.experiments.comparison.config import comparison_from
    from welltuned.experiments.comparison.folder import check_data, find_folder
    from welltuned.experiments.comparison.variants import find_variants
    from welltuned.schema.document import Document

    monkeypatch.chdir(tmp_path)
    config = comparison_from(compared.record["asked"])
    facts = check_data(find_variants(config, Document(), Faults()), DataCache())
    assert find_folder(config, facts).folder == Path("comparisons/sentiment")
    shutil.copytree(compared.folder, tmp_path / "comparisons/sentiment")
    assert find_folder(config, facts).folder == Path("comparisons/sentiment")
    other = config.model_copy(update={"seeds": 1})
    assert find_folder(other, facts).folder == Path("comparisons/sentiment-2")


def test_without_a_folder_changed_data_are_told_and_overwrite_nothing(
    compared: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from welltuned.errors import Faults
    from welltuned.experiments.comparison.config import comparison_from
    from welltuned.experiments.comparison.folder import check_data, find_folder
    from welltuned.experiments.comparison.variants import find_variants
    from welltuned.schema.document import Document

    monkeypatch.chdir(tmp_path)
    config = comparison_from({**compared.record["asked"], "output_dir": None})
    facts = check_data(find_variants(config, Document(), Faults()), DataCache())
    shutil.copytree(compared.folder, tmp_path / "comparisons/sentiment")
    begun = Comparison(Path("comparisons/sentiment"))
    noted: list[str] = []
    record: Any = begun.record
    splits = {**record["data"]["splits"], "train": {"rows": 7, "fingerprint": "other"}}
    data = {"fingerprint": "other", "splits": splits}
    begun.write("comparison.json", {**record, "data": data})
    found = find_folder(config, facts, noted.append)
    assert found.folder == Path("comparisons/sentiment-2")
    [note] = noted
    assert "comparisons/sentiment: train has 96 examples, not 7" in note
    assert begun.report.exists() and not found.folder.exists()


# --- What goes wrong ----------------------------------------------------------------


def test_a_cell_that_fails_stops_no_other(
    tiny: Any, sentiment: str, tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = pipeline.run_training

    def fail(config: Any, *arguments: Any) -> Any:
        if config.strategy.type == "lora":
            raise MemoryError("no luck")
        return train(config, *arguments)

    monkeypatch.setattr(pipeline, "run_training", fail)
    values = values_for(tiny("bert"), sentiment, tmp_path / "c", seeds=1, strategies=[LORA, HEAD])
    comparison = carried_out(values)
    rows = {row["name"]: row for row in comparison.results["rows"]}
    assert rows["lora r=2"]["failed"] == [{"seed": 0, "error": "MemoryError: no luck"}]
    assert rows["lora r=2"]["scores"] == {}
    assert rows["head"]["seeds"] == [0]
    assert comparison.results["recommendation"]["strategy"] == "head"
    assert "lora r=2, seed 0, failed: MemoryError: no luck" in comparison.report.read_text()
    monkeypatch.setattr(pipeline, "run_training", train)
    watching = Watching()
    carried_out(values, watching)
    assert watching.started == [("lora r=2", 0)], "a failed cell has another chance"
    assert {row["name"]: row["failed"] for row in comparison.results["rows"]}["lora r=2"] == []


def test_what_cannot_work_is_refused_when_named_and_left_out_of_all(
    tiny: Any, sentiment: str, tmp_path: Path, here: None, unread: None
) -> None:
    too_deep = {"type": "partial", "num_blocks": 9}
    with refused("strategy.too_many_blocks", number=9, blocks=4):
        carried_out(
            values_for(tiny("bert"), sentiment, tmp_path / "a", strategies=[HEAD, too_deep])
        )
    long = {"pooling": "mean", "max_length": 60}  # a prompt of 20 does not fit beside it
    watching = Watching()
    values = values_for(
        tiny("bert"), sentiment, tmp_path / "b", strategies=["all"], task=long,
        budget={"steps": 1}, seeds=1,
    )  # fmt: skip
    comparison = carried_out(values, watching)
    rows: Any = {row["name"]: row for row in comparison.results["rows"]}
    assert " 44 tokens" in rows["prompt"]["impossible"]
    assert [row["name"] for row in comparison.results["rows"] if row["seeds"]] == [
        "full", "partial", "gradual", "lora", "prefix", "adapter",
    ]  # fmt: skip
    assert "budget.steps=12 is one epoch" in watching.notes[0]


def test_a_few_steps_are_timed(tiny: Any, sentiment: str, tmp_path: Path) -> None:
    from welltuned.experiments.comparison.worker import feasibility

    values = config_values(tiny("bert"), sentiment, HEAD_ALONE, tmp_path, task={"pooling": "mean"})
    found = feasibility._time(
        run_config_from(values), tmp_path / "timing", DataCache(tmp_path / "cache")
    )
    assert 0 < found["step"] < found["rest"] and found["look"] > 0
    assert not (tmp_path / "timing").exists()


def test_a_time_is_shared_out(
    tiny: Any,
    sentiment: str,
    tmp_path: Path,
    here: None,
    unread: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In equal parts, however fast this machine is; LoRA's steps are said to take twice as long."""
    from welltuned.experiments.comparison.worker import feasibility

    def timed(config: Any, folder: Path, cache: Any) -> dict[str, float]:
        return {"step": 2.0 if config.strategy.type == "lora" else 1.0, "look": 0.0, "rest": 0.0}

    monkeypatch.setattr(feasibility, "_time", timed)
    values = values_for(
        tiny("bert"), sentiment, tmp_path / "c", seeds=1, budget="90s", adaptive=False
    )
    comparison = carried_out(values)
    spending: Any = comparison.record["scouted"]["spending"]
    assert spending["head"]["max_steps"] == pytest.approx(
        2 * spending["lora r=2"]["max_steps"], 0.1
    )
    for row in comparison.results["rows"]:
        for seed in row["seeds"]:
            run = comparison.cell(row["slug"], seed)
            assert run.results["training"]["steps"] == spending[row["name"]]["max_steps"]


def test_all_cells_fail_and_the_exit_status_says_so(
    copy: Comparison, tiny: Any, sentiment: str, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import typer

    from welltuned.cli.compare import print_comparison

    def fail(*arguments: Any) -> Any:
        raise MemoryError("no luck")

    monkeypatch.setattr(pipeline, "run_training", fail)
    shutil.rmtree(copy.folder / "cells")
    carried_out(values_for(tiny("bert"), sentiment, copy.folder))
    assert copy.results["best"] is None and not (copy.folder / "recommended.yaml").exists()
    with pytest.raises(typer.Exit) as end:
        print_comparison(copy, as_json=False)
    assert end.value.exit_code == 1


def test_ctrl_c_ends_it_and_says_so(
    copy: Comparison, again: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (0, 1):
        shutil.rmtree(copy.cell("head", seed).folder)
    hear = CellRunner._hear

    def interrupt(runner: CellRunner) -> None:
        hear(runner)
        raise KeyboardInterrupt

    monkeypatch.setattr(CellRunner, "_hear", interrupt)
    with pytest.raises(Stopped) as stop:
        again(copy)
    assert stop.value.exit_status == 128 + signal.SIGINT
    assert copy.record["state"] == "stopped"
    monkeypatch.setattr(CellRunner, "_hear", hear)
    again(copy)
    assert copy.record["state"] == "finished"


# --- Processes of their own ------------------------------------------------------------


def test_killed_in_the_middle_it_loses_at_most_the_cell_in_progress(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """SIGKILL to the comparison: its cell ends with it, and the next start goes on.

    What comes before that cell is made here, without a process for each.
    """
    folder = tmp_path / "c"
    values = values_for(
        tiny("bert"), sentiment, folder, strategies=[HEAD], budget={"steps": 3}, seeds=1
    )
    with pytest.MonkeyPatch.context() as patch:
        without_processes(patch, reports=False)
        carried_out(values)
    file = tmp_path / "compare.yaml"
    file.write_text(yaml.safe_dump({**values, "seeds": 2}))
    command = [sys.executable, "-m", "welltuned.cli", "compare", str(file)]
    first, second = (Comparison(folder).cell("head", seed) for seed in (0, 1))
    written = (first.folder / "cell.json").stat().st_mtime_ns
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_for(lambda: (second.folder / "status.json").exists() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (second.folder / "cell.json").exists()
    _wait_for(lambda: not _cells_alive(folder))
    with pytest.MonkeyPatch.context() as patch:
        without_processes(patch, reports=False)
        done = carried_out({**values, "seeds": 2})
    assert (first.folder / "cell.json").stat().st_mtime_ns == written
    assert (first.state, second.state) == ("finished", "finished")
    assert done.results["recommendation"]["strategy"] == "head"


def _wait_for(condition: Any, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def _cells_alive(folder: Path) -> bool:
    """Whether a process still has the folder in what it was asked; Linux only, else False."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"welltuned.experiments.executors" in (process / "cmdline").read_bytes():
                parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if parent == 1:
                    return True
        except OSError:
            continue
    return False
