"""A sweep from the first trial to the best config; its trials are imagined unless a test trains."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from comparing import Thread, without_processes
from counting import count_work
from faults import fails, refused
from forking import Forks
from trials import Ask, Imagined, fail
from welltuned.config import RunConfig, read_run_config
from welltuned.errors import Faults, Stopped
from welltuned.experiments.executors.local import LocalPool
from welltuned.experiments.search.journal import Trial, TrialRow
from welltuned.experiments.search.sweep import SweepObserver, run_sweep
from welltuned.runs import Run
from welltuned.training import train
from welltuned.training.session.session import Session

RATES = {"space": {"training.learning_rate": {"low": 1e-5, "high": 1e-1, "log": True}}}


def summary(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "sweep.json").read_text(encoding="utf-8")))


def states(folder: Path) -> list[str]:
    return [trial["state"] for trial in summary(folder)["trials"]]


# --- Trials are runs, and test is sealed -------------------------------------


def test_a_whole_small_sweep(ask: Ask, sentiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Really trained: every trial is a run folder, and nobody has read the test split."""
    without_processes(monkeypatch)
    work = count_work(monkeypatch)
    read: list[str] = []
    predict = Session.predict

    def noting(self: Session, split: str, *rest: Any) -> Any:
        read.append(split)
        return predict(self, split, *rest)

    monkeypatch.setattr(Session, "predict", noting)
    strategy = {"type": "partial", "num_blocks": 0}
    folder = run_sweep(ask(strategy, sweep={**RATES, "trials": 3, "pruner": "none"}))
    assert set(read) == {"validation"}
    assert work.read == {sentiment: 1} and work.times_tokenised(sentiment) == {1}
    for trial in summary(folder)["trials"]:
        run = Run.open(folder / trial["run"])
        assert run.state == "finished" and run.report.exists()
        assert run.config["training"]["learning_rate"] == trial["values"]["training.learning_rate"]
        assert "test" not in run.results and set(run.results["baselines"]) == {"majority"}
        assert trial["value"] == run.results["validation"]["macro_f1"]
        evaluations = [
            row["macro_f1"]
            for row in run.read_lines("metrics.jsonl")
            if row["split"] == "validation"
        ]
        assert trial["curve"] == evaluations and len(evaluations) == 2
        assert trial["value"] == max(evaluations), "the best weights are what it is judged by"
    assert (folder / "report.html").exists()
    best = summary(folder)["trials"][summary(folder)["best"]]
    assert best["value"] == max(trial["value"] for trial in summary(folder)["trials"])

    config, _ = read_run_config(
        folder / "best.yaml", ["output_dir=" + str(folder / "tested")], Faults()
    )
    assert config is not None
    tested = train.run_training(config)
    assert "test" in read and "test" in tested.results
    assert tested.results["validation"]["macro_f1"] == best["value"], "the same run, to the bit"


# --- The best ----------------------------------------------------------------


def test_the_best_is_found_and_written_as_a_config(ask: Ask, imagined: Imagined) -> None:
    folder = run_sweep(ask("lora", sweep={**RATES, "trials": 12}, training={"learning_rate": 0.05}))
    found = summary(folder)
    rates = {t["number"]: t["values"]["training.learning_rate"] for t in found["trials"]}
    assert rates[0] == 0.05 and found["trials"][0]["usual"]
    best = found["trials"][found["best"]]
    assert best["value"] > found["trials"][0]["value"] + 0.15
    text = (folder / "best.yaml").read_text(encoding="utf-8")
    assert f"validation macro_f1 {best['value']:.4f} (trial {best['number']})" in text
    values = yaml.safe_load(text)
    assert values["training"]["learning_rate"] == rates[best["number"]]
    assert values["evaluation"]["test"] is True and values["evaluation"]["untrained"] is True
    assert not {"output_dir", "schema_version", "sweep"} & set(values)
    assert found["command"] == f"welltuned train {folder / 'best.yaml'}"


def test_less_can_be_better(ask: Ask, imagined: Imagined) -> None:
    config = ask("lora", sweep={**RATES, "trials": 6, "direction": "minimize", "pruner": "none"})
    found = summary(run_sweep(config))
    values = [trial["value"] for trial in found["trials"]]
    assert values[found["best"]] == min(values) < max(values)


def test_of_equal_scores_the_earlier_trial_is_the_best(
    ask: Ask, imagined: Imagined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Imagined, "score", lambda self, config: 0.5)
    assert summary(run_sweep(ask("lora", sweep={"trials": 3, "pruner": "none"})))["best"] == 0


def test_what_matters_is_told(ask: Ask, imagined: Imagined) -> None:
    """The imagined score depends on the learning rate alone."""
    space = {**RATES["space"], "strategy.lora_dropout": "auto"}
    found = summary(run_sweep(ask("lora", sweep={"space": space, "trials": 12, "pruner": "none"})))
    assert list(found["importance"]) == ["training.learning_rate", "strategy.lora_dropout"]
    assert found["importance"]["training.learning_rate"] > 0.6
    assert sum(found["importance"].values()) == pytest.approx(1)


def test_only_the_best_weights_stay_on_disk(ask: Ask, imagined: Imagined) -> None:
    folder = run_sweep(ask("lora", sweep={**RATES, "trials": 5, "pruner": "none"}))
    kept = {int(file.parent.name) for file in folder.glob("trials/*/model")}
    assert kept == {summary(folder)["best"]}
    assert len(list(folder.glob("trials/*/results.json"))) == 5


@pytest.mark.parametrize(("keep", "kept"), [("all", 3), ("none", 0)])
def test_all_weights_or_none_stay_where_that_is_asked_for(
    ask: Ask, imagined: Imagined, keep: str, kept: int
) -> None:
    folder = run_sweep(ask("lora", sweep={**RATES, "trials": 3, "pruner": "none", "keep": keep}))
    assert len(list(folder.glob("trials/*/model"))) == kept


# --- Pruning -----------------------------------------------------------------


def test_a_trial_behind_the_median_is_given_up(ask: Ask, imagined: Imagined) -> None:
    grid = [1e-3, 2e-3, 3e-3, 4e-3, 1e-1, 1e-3 * 1.1]
    config = ask(
        "lora", sweep={"space": {"training.learning_rate": grid}, "sampler": "grid", "trials": 9}
    )
    folder = run_sweep(config)
    assert states(folder) == ["finished"] * 4 + ["pruned", "finished"]
    trial = summary(folder)["trials"][4]
    assert trial["value"] is None and len(trial["curve"]) == 1, "given up at the first look"
    assert trial["reason"].startswith("pruned at step 1 of 3: macro_f1 0.1667 is behind")
    run = Run.open(folder / "trials/4")
    assert run.status == {"state": "stopped", "step": 0, "error": trial["reason"]}
    assert not run.model.exists(), "its weights are of no use"


def test_a_trial_is_not_given_up_at_its_last_look(ask: Ask, imagined: Imagined) -> None:
    """Its score is known by then."""
    imagined.looks = 1
    grid = [1e-3, 2e-3, 3e-3, 4e-3, 1e-1]
    sweep_ = {"space": {"training.learning_rate": grid}, "sampler": "grid"}
    assert states(run_sweep(ask("lora", sweep=sweep_))) == ["finished"] * 5


@pytest.mark.parametrize(("pruner", "pruned"), [("none", False), ("hyperband", True)])
def test_pruners_are_what_was_asked_for(
    ask: Ask, imagined: Imagined, pruner: str, pruned: bool
) -> None:
    imagined.looks = 9
    config = ask("lora", sweep={**RATES, "trials": 12, "pruner": pruner, "sampler": "random"})
    assert ("pruned" in states(run_sweep(config))) == pruned


# --- Side by side ------------------------------------------------------------


class Unequal(Thread):
    """Trials that take unequal times: of two side by side, the later one ends first."""

    def _work(self) -> None:
        folder = Path(str(self.request["config"]["output_dir"]))  # type: ignore[index]
        time.sleep(0.1 if int(folder.name) % 2 == 0 else 0.0)
        super()._work()


def tried(folder: Path) -> list[Any]:
    """What follows from the seed."""
    kept = ("number", "state", "values", "value", "curve", "reason", "usual")
    return [{key: trial[key] for key in kept} for trial in summary(folder)["trials"]]


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_trials_do_not_depend_on_which_ends_first(
    ask: Ask, imagined: Imagined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pruner: str
) -> None:
    imagined.looks = 9
    found = {}
    for name, worker in (("equal", Thread), ("unequal", Unequal)):
        monkeypatch.setattr(
            LocalPool, "start", lambda pool, *asked, worker=worker: worker(*asked).start()
        )
        config = ask("lora", sweep={**RATES, "trials": 10, "pruner": pruner, "workers": 2})
        config = config.model_copy(update={"output_dir": str(tmp_path / name)})
        found[name] = tried(run_sweep(config))
    assert found["equal"] == found["unequal"]
    assert len({trial["values"]["training.learning_rate"] for trial in found["equal"]}) == 10
    assert "pruned" in {trial["state"] for trial in found["equal"]}


def test_times_side_by_side_are_cpu_seconds(ask: Ask, imagined: Imagined) -> None:
    imagined.before = lambda config: time.sleep(0.05)
    rows: list[TrialRow] = []

    class Hearing(SweepObserver):
        def trial_ended(self, row: TrialRow, now: list[TrialRow]) -> None:
            rows.append(row)

    run_sweep(ask("lora", sweep={**RATES, "trials": 2, "workers": 2}), observer=Hearing())
    run_sweep(ask("lora", sweep={**RATES, "trials": 3, "workers": 1}), observer=Hearing())
    assert [row.side_by_side for row in rows] == [True, True, False]
    assert rows[2].seconds is not None and rows[2].seconds >= 0.05


def test_a_trial_whose_process_dies_is_begun_again_and_nothing_else_changes(
    ask: Ask, imagined: Imagined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(name: str) -> list[Any]:
        config = ask("lora", sweep={**RATES, "trials": 6, "workers": 2})
        return tried(
            run_sweep(config.model_copy(update={"output_dir": str(tmp_path / name)}), None, lost)
        )

    class Lost(SweepObserver):
        def __init__(self) -> None:
            self.heard: list[Any] = []

        def trial_lost(self, trial: Trial, reason: str) -> None:
            self.heard.append((trial.number, "SIGKILL" in reason))

    lost = Lost()
    sound = found("sound")
    left, carry_out = [2], Thread._work

    def dies(worker: Thread) -> None:
        folder = Path(str(worker.request["config"]["output_dir"]))  # type: ignore[index]
        if folder.name == "3" and left[0]:
            left[0] -= 1
            (folder / "model").mkdir(parents=True)
            look: Any = {"event": "looked", "look": 1, "value": 0.0, "rungs": {}}
            worker.hear(look)
            worker.end(-signal.SIGKILL)
        else:
            carry_out(worker)

    monkeypatch.setattr(Thread, "_work", dies)
    assert found("dying") == sound
    assert lost.heard == [(3, True)] * 2
    left[0] = 3
    assert [trial["state"] for trial in found("dead")][3] == "failed"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
def test_in_processes_of_their_own_a_killed_trial_is_begun_again_with_the_same_result(
    ask: Ask, forks: Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Really trained, and really killed."""
    forks.lend(monkeypatch)

    class Killing(SweepObserver):
        def __init__(self) -> None:
            self.lost: list[int] = []
            self.killed = False

        def trial_advanced(self, trial: Trial, doing: str, done: int, total: int) -> None:
            if trial.number >= 2 and doing.startswith("step") and not self.killed:
                self.killed = True
                os.kill(forks.children()[0], signal.SIGKILL)

        def trial_lost(self, trial: Trial, reason: str) -> None:
            self.lost.append(trial.number)

    def found(name: str, observer: SweepObserver) -> list[Any]:
        sweep = {**RATES, "trials": 4, "workers": 2, "threads": 1}
        config = ask({"type": "partial", "num_blocks": 0}, sweep=sweep)
        config = config.model_copy(update={"output_dir": str(tmp_path / name)})
        return tried(run_sweep(config, observer=observer))

    killing = Killing()
    assert found("killed", killing) == found("unharmed", SweepObserver())
    assert len(killing.lost) == 1


# --- What goes wrong ---------------------------------------------------------


def test_a_trial_that_diverges_is_a_failed_one_and_the_sweep_goes_on(
    ask: Ask, imagined: Imagined
) -> None:
    imagined.before = lambda config: (
        fail("the loss is not finite")(config) if config.training.learning_rate > 5e-3 else None  # type: ignore[operator]
    )
    grid = [1e-3, 1e-2, 2e-2, 3e-2, 4e-2, 2e-3]
    config = ask("lora", sweep={"space": {"training.learning_rate": grid}, "sampler": "grid"})
    folder = run_sweep(config)
    assert states(folder) == ["finished", "failed", "failed", "failed", "failed", "finished"]
    assert "[training.not_finite]" in summary(folder)["trials"][1]["reason"]
    assert Run.open(folder / "trials/1").state == "failed"


def test_a_score_that_is_no_number_is_a_failed_trial(
    ask: Ask, imagined: Imagined, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = Imagined.score
    monkeypatch.setattr(
        Imagined,
        "score",
        lambda self, config: (
            float("nan") if config.training.learning_rate > 5e-3 else score(self, config)
        ),
    )
    config = ask(
        "lora",
        sweep={
            "space": {"training.learning_rate": [1e-3, 1e-2]},
            "sampler": "grid",
            "pruner": "none",
        },
    )
    folder = run_sweep(config)
    assert states(folder) == ["finished", "failed"]
    assert "is not a finite number" in summary(folder)["trials"][1]["reason"]


def test_values_that_contradict_each_other_cost_that_trial_alone(
    ask: Ask, imagined: Imagined
) -> None:
    """Each by itself is right."""
    space = {"strategy.num_blocks": [None, 2], "strategy.patterns": [[], ["bias"]]}
    config = ask(
        "partial", training={"learning_rate": 1e-3}, sweep={"space": space, "sampler": "grid"}
    )
    folder = run_sweep(config)
    assert states(folder) == ["finished", "finished", "finished", "failed"]
    assert "strategy.num_blocks_and_patterns" in summary(folder)["trials"][3]["reason"]
    assert summary(folder)["trials"][3]["run"] is None


def crash(config: RunConfig) -> None:
    raise OSError("no space left on device")


def test_when_the_machine_is_at_fault_the_sweep_ends(ask: Ask, imagined: Imagined) -> None:
    imagined.before = crash
    with fails("sweep.trials_keep_failing", number=3):
        run_sweep(ask("lora", sweep={**RATES, "trials": 9}))
    assert len(imagined.configs) == 3


def test_a_sweep_without_any_finished_trial_has_failed(ask: Ask, imagined: Imagined) -> None:
    imagined.before = fail("the loss is not finite")
    with fails("sweep.no_trial_finished"):
        run_sweep(ask("lora", sweep={**RATES, "trials": 4}))
    assert len(imagined.configs) == 4


# --- Stopping and going on ---------------------------------------------------


@pytest.mark.parametrize("stop", [Stopped(signal.SIGTERM), KeyboardInterrupt()])
def test_a_stopped_sweep_goes_on_with_the_trial_it_was_at(
    ask: Ask, imagined: Imagined, stop: BaseException
) -> None:
    config = ask("lora", sweep={**RATES, "trials": 4, "pruner": "none"})

    class Stopping(SweepObserver):
        def trial_advanced(self, trial: Trial, doing: str, done: int, total: int) -> None:
            if trial.number == 2:
                raise stop

    def stop_third(config: RunConfig) -> None:
        imagined.tell("halfway")
        if len(imagined.configs) == 3:
            fail("its process is stopped")(config)

    imagined.before = stop_third
    with pytest.raises(Stopped):
        run_sweep(config, observer=Stopping())
    before = {
        file: file.read_bytes()
        for file in Path(str(config.output_dir)).glob("trials/*/results.json")
    }
    assert len(before) == 2
    folder = run_sweep(config)
    assert states(folder) == ["finished", "finished", "repeated", "finished", "finished"]
    rates = [config.training.learning_rate for config in imagined.configs]
    assert rates[2] == rates[3] and len(rates) == 5
    assert all(file.read_bytes() == content for file, content in before.items())


def test_the_same_command_again_does_nothing_and_more_trials_go_on(
    ask: Ask, imagined: Imagined
) -> None:
    run_sweep(ask("lora", sweep={**RATES, "trials": 3, "pruner": "none"}))
    run_sweep(ask("lora", sweep={**RATES, "trials": 3, "pruner": "none"}))
    assert len(imagined.configs) == 3
    folder = run_sweep(ask("lora", sweep={**RATES, "trials": 5, "pruner": "none"}))
    assert len(imagined.configs) == 5 and states(folder) == ["finished"] * 5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"training": {"seed": 3}}, "training.seed was 0 and is 3"),
        (
            {"sweep": {"space": {"strategy.r": [2]}}},
            "sweep.space.training.learning_rate.low was 1e-05",
        ),
        (
            {"sweep": {**RATES, "metric": "accuracy"}},
            'sweep.metric was "macro_f1" and is "accuracy"',
        ),
    ],
)
def test_another_sweep_s_folder_is_refused_with_the_difference(
    ask: Ask, imagined: Imagined, change: dict[str, Any], told: str
) -> None:
    run_sweep(ask("lora", sweep={**RATES, "trials": 1}))
    with refused("run.folder_of_another_config") as error:
        run_sweep(ask("lora", **{"sweep": RATES, **change}))
    assert told in error.value.faults[0].values["changes"]
    assert len(imagined.configs) == 1


def test_other_data_are_another_sweep(ask: Ask, imagined: Imagined, tmp_path: Path) -> None:
    config = ask("lora", sweep={**RATES, "trials": 1})
    copied = tmp_path / "data.jsonl"
    lines = Path(config.data.train).read_text().splitlines(keepends=True)
    data = config.data.model_copy(update={"train": str(copied)})
    config = config.model_copy(update={"data": data})
    copied.write_text("".join(lines))
    run_sweep(config)
    copied.write_text("".join(lines[:-2]))
    with refused("run.folder_of_another_config", changes="the data differ"):
        run_sweep(config)


def test_after_the_time_no_trial_begins(
    ask: Ask, imagined: Imagined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "welltuned.experiments.search.sweep.time.monotonic", lambda: 31.0 * len(imagined.configs)
    )
    run_sweep(ask("lora", sweep={**RATES, "trials": 9, "timeout": "1m"}))
    assert len(imagined.configs) == 2


# --- Watching ----------------------------------------------------------------


def test_observers_hear_of_everything_in_order(ask: Ask, imagined: Imagined) -> None:
    heard: list[Any] = []

    class Hearing(SweepObserver):
        def planned(self, plan: Any, rows: list[TrialRow]) -> None:
            heard.append(("planned", plan.metric, len(rows)))

        def trial_started(self, trial: Any) -> None:
            heard.append(("started", trial.number))

        def trial_advanced(self, trial: Trial, doing: str, done: int, total: int) -> None:
            heard.append(("advanced", trial.number, doing, done, total))

        def trial_ended(self, row: TrialRow, rows: list[TrialRow]) -> None:
            heard.append(("ended", row.number, row.state, len(rows)))

    imagined.before = lambda config: imagined.tell("reading")
    run_sweep(ask("lora", sweep={**RATES, "trials": 2}), observer=Hearing())
    assert heard == [
        ("planned", "macro_f1", 1),
        *[("started", 0), ("advanced", 0, "reading", 1, 1), ("ended", 0, "finished", 1)],
        *[("started", 1), ("advanced", 1, "reading", 1, 1), ("ended", 1, "finished", 2)],
    ]
