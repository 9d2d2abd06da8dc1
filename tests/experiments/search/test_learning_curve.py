"""A learning curve from the smallest share to the advice."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from comparing import Thread, without_processes
from counting import count_work
from faults import fails, refused
from support import config_values, make_rows, write_rows
from trials import Imagined, fail
from welltuned.config import RunConfig
from welltuned.errors import Stopped
from welltuned.experiments.search import learning_curve as curves
from welltuned.experiments.search.config import CurveConfig, CurveSettings
from welltuned.experiments.search.learning_curve import (
    learning_curve,
    plan_curve,
)
from welltuned.experiments.search.run_points import CurveObserver
from welltuned.models import loading
from welltuned.runs import Run
from welltuned.runs.locks import holding
from welltuned.schema.validation import expand_shorthand
from welltuned.training import train
from welltuned.training.observer import Observer
from welltuned.training.preparation.prepare import prepare


@pytest.fixture
def ask(tiny: Any, sentiment: str, tmp_path: Path) -> Any:
    """`ask(curve={…})`: a learning curve over 96 training examples, in `tmp_path/curve`."""

    def make(**parts: Any) -> CurveConfig:
        training = {"num_train_epochs": 2, "learning_rate": 3e-2, **parts.pop("training", {})}
        curve = {"shares": [0.1, 0.25, 0.5, 1], "workers": 1, **parts.pop("curve", {})}
        values = config_values(
            tiny("bert"),
            parts.pop("data", sentiment),
            {"type": "partial", "num_blocks": 0},
            tmp_path / "curve",
            training=training,
            **{"task": {"pooling": "mean"}, **parts, "curve": curve},
        )
        return CurveConfig.model_validate(expand_shorthand(CurveConfig, values))

    return make


class Growing(Imagined):
    """Runs whose error falls with the root of the number of examples."""

    def score(self, config: RunConfig) -> float:
        number = config.data.max_train_examples
        assert number is not None
        return 1 - number**-0.5 + 0.002 * (config.training.seed - 1)

    def __call__(self, config: RunConfig, observer: Observer, *more: Any) -> Run:
        run = super().__call__(config, observer)
        run.write("results.json", {**run.results, "cost": {"train_seconds": 3.0}})
        return run


@pytest.fixture
def growing(monkeypatch: pytest.MonkeyPatch) -> Growing:
    double = Growing()
    without_processes(monkeypatch)
    monkeypatch.setattr(train, "run_training", double)
    return double


def found(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "learning_curve.json").read_text(encoding="utf-8")))


# --- The plan ----------------------------------------------------------------


def test_the_runs_are_the_config_at_growing_shares_with_test_sealed(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_model", lambda *args: pytest.fail("weights were loaded"))
    plan = plan_curve(ask(training={"seed": 7}))
    assert plan.sizes == (10, 24, 48, 96)
    assert list(plan.points())[:4] == [(10, 0), (10, 1), (10, 2), (24, 0)]
    run = plan.run(24, 2)
    assert run.data.max_train_examples == 24
    assert (run.data.sample_seed, run.training.seed) == (9, 9)
    assert not run.evaluation.test and not run.evaluation.untrained
    assert run.output_dir == str(plan.folder / "points" / "24-2")


def test_smaller_shares_are_part_of_larger_ones_and_validation_is_always_the_same(
    ask: Any,
) -> None:
    plan = plan_curve(ask())
    seen: dict[tuple[int, int], set[int]] = {}
    held: set[tuple[int, ...]] = set()
    for size, seed in plan.points():
        data = prepare(plan.run(size, seed)).data
        seen[size, seed] = set(data.train.lines)
        held.add(tuple(data.validation.lines))
        counts = Counter(data.train["label"])
        assert abs(counts["negative"] - counts["positive"]) <= 1, "stratified"
    assert len(held) == 1
    for seed in range(3):
        parts = [seen[size, seed] for size in plan.sizes]
        assert all(smaller < larger for smaller, larger in itertools.pairwise(parts))
        assert [len(part) for part in parts] == list(plan.sizes)
    assert seen[24, 0] != seen[24, 1], "another seed, other examples"


def test_no_share_lacks_steps_when_it_is_data_that_it_lacks(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many passes as the whole data have, as long as those are few."""
    plan = plan_curve(ask(training={"num_train_epochs": 3}))
    assert [size * plan.epochs_at(size) for size in plan.sizes] == pytest.approx([288] * 4)
    monkeypatch.setattr(curves, "_PASSES", 100)
    assert [plan.epochs_at(size) for size in plan.sizes] == pytest.approx([10, 100 / 24, 3, 3])


def test_a_small_share_looks_at_validation_as_often_as_the_whole(ask: Any) -> None:
    """More epochs would mean more looks, which take longer than the training itself."""
    plan = plan_curve(ask(training={"num_train_epochs": 3}))
    small, whole = plan.run(10, 0).training, plan.run(96, 0).training
    assert (whole.eval_strategy, whole.eval_steps) == ("epoch", None)
    assert small.eval_strategy == "steps" and small.eval_steps is not None
    steps = float(small.num_train_epochs) * np.ceil(10 / 8)
    assert steps / small.eval_steps == pytest.approx(3, abs=0.2)


def test_a_number_of_steps_that_was_asked_for_is_kept(ask: Any) -> None:
    plan = plan_curve(ask(training={"num_train_epochs": "auto", "max_steps": 5}))
    for size in plan.sizes:
        training = plan.run(size, 0).training
        assert (training.max_steps, training.num_train_epochs) == (5, "auto")


@pytest.mark.parametrize(
    "shares", [[0.5, 1], [0.1, 0.5, 0.4, 1], [0.1, 0.1, 0.5, 1], [0, 0.1, 0.5, 1], [0.1, 0.5, 1, 2]]
)
def test_shares_that_make_no_curve_are_refused(shares: list[float]) -> None:
    with pytest.raises(ValueError, match=r"curve\.shares"):
        CurveSettings(shares=tuple(shares))


def test_one_seed_has_no_interval(ask: Any) -> None:
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        ask(curve={"seeds": 1})


def test_a_share_of_too_few_examples_is_refused_with_what_would_do(ask: Any) -> None:
    with refused("curve.share_too_small", total=96, examples=2):
        plan_curve(ask(curve={"shares": [0.02, 0.25, 0.5, 1]}))


def test_rare_classes_are_in_the_smallest_share_too(ask: Any, tmp_path: Path) -> None:
    """A label that no training example has could not be scored."""
    rows = make_rows(200)
    for row in rows[::25]:
        row["label"] = "mixed"
    plan = plan_curve(ask(data=write_rows(tmp_path / "rare.jsonl", rows)))
    labels = prepare(plan.run(plan.sizes[0], 0)).data.train["label"]
    assert set(labels) == {"negative", "positive", "mixed"}


# --- Measuring ---------------------------------------------------------------


def test_a_whole_curve_really_trained(
    ask: Any, sentiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its plan and its points read the file once, and tokenise the same examples once."""
    without_processes(monkeypatch)
    work = count_work(monkeypatch)
    monkeypatch.setattr(train, "write_run_report", lambda run: None)
    steps = {"num_train_epochs": "auto", "max_steps": 2}
    config = ask(curve={"shares": [0.1, 0.25, 0.5, 1], "seeds": 2}, training=steps)
    folder = learning_curve(config)
    assert work.read == {sentiment: 1} and work.times_tokenised(sentiment) == {1}
    result = found(folder)
    assert [point["examples"] for point in result["points"]] == [10, 24, 48, 96]
    for point in result["points"]:
        for seed, score in enumerate(point["scores"]):
            run = Run.open(folder / "points" / f"{point['examples']}-{seed}")
            assert run.results["validation"]["macro_f1"] == score
            assert "test" not in run.results
            assert not run.model.exists() and not run.checkpoints.exists()
    assert result["metric"] == "macro_f1" and result["examples"] == 96
    assert (folder / "report.html").exists() and result["advice"] in (
        folder / "report.html"
    ).read_text().replace("&#39;", "'")


def test_what_is_measured_leads_to_the_prediction(ask: Any, growing: Growing) -> None:
    result = found(learning_curve(ask()))
    assert result["law"]["exponent"]["value"] == pytest.approx(0.5, rel=0.1)
    twice = result["predictions"][1]
    assert twice["value"] == pytest.approx(1 - 192**-0.5, abs=3e-3)
    assert result["verdict"] == "worth"
    assert result["points"][3]["scores"] == pytest.approx(
        [1 - 96**-0.5 - 0.002, 1 - 96**-0.5, 1 - 96**-0.5 + 0.002]
    )


def test_a_killed_curve_goes_on_and_keeps_what_is_finished(ask: Any, growing: Growing) -> None:
    """A run that was under way has left a folder that says it is running."""

    class Stopping(CurveObserver):
        def point_started(self, size: int, seed: int) -> None:
            if (size, seed) == (24, 0):
                raise Stopped(signal.SIGTERM)

    config = ask()
    with pytest.raises(Stopped):
        learning_curve(config, observer=Stopping())
    folder = Path(str(config.output_dir))
    killed = folder / "points" / "24-1"
    killed.mkdir()
    Run(killed).set_status("running", 3)
    before = {file: file.stat().st_mtime_ns for file in folder.glob("points/*/results.json")}
    assert len(before) == 3
    ended: list[tuple[int, int, float | None]] = []

    class Hearing(CurveObserver):
        def point_ended(self, size: int, seed: int, score: float, seconds: float | None) -> None:
            ended.append((size, seed, seconds))

    learning_curve(config, observer=Hearing())
    assert len(growing.configs) == 3 + 9
    assert [seconds for *_, seconds in ended] == [None] * 3 + [3.0] * 9
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())
    learning_curve(config)
    assert len(growing.configs) == 12


def test_another_curve_s_folder_is_refused_with_the_difference(ask: Any, growing: Growing) -> None:
    learning_curve(ask())
    with refused("run.folder_of_another_config", changes="curve.seeds was 3 and is 4"):
        learning_curve(ask(curve={"shares": [0.1, 0.25, 0.5, 1], "seeds": 4}))


def test_two_processes_do_not_measure_the_same_curve(ask: Any, growing: Growing) -> None:
    config = ask()
    folder = Path(str(config.output_dir))
    with (
        holding(folder / ".locks" / "work"),
        refused("curve.in_progress"),
    ):
        learning_curve(config)
    assert not growing.configs
    learning_curve(config)
    assert os.listdir(folder / "points")


def test_a_score_that_is_no_number_ends_the_curve(
    ask: Any, growing: Growing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Growing, "score", lambda self, config: float("nan"))
    with fails("curve.score_not_finite"):
        learning_curve(ask())


def test_looks_are_counted_with_the_batch_that_is_yet_to_be_found(ask: Any) -> None:
    sizes = {"per_device_train_batch_size": "auto", "global_batch_size": 8}
    found = plan_curve(ask(training={"num_train_epochs": 3, **sizes})).run(10, 0).training
    asked = plan_curve(ask(training={"num_train_epochs": 3})).run(10, 0).training
    assert asked.per_device_train_batch_size == 8
    assert found.eval_steps == asked.eval_steps


# --- Side by side ------------------------------------------------------------


def test_points_go_side_by_side_and_one_whose_process_dies_is_begun_again(
    ask: Any, growing: Growing, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = found(learning_curve(ask()))
    left, carry_out = [1], Thread._work

    def dies(worker: Thread) -> None:
        config: Any = worker.request["config"]
        if config["output_dir"].endswith("24-1") and left[0]:
            left[0] -= 1
            Path(config["output_dir"]).mkdir(parents=True)
            worker.end(-signal.SIGKILL)
        else:
            carry_out(worker)

    monkeypatch.setattr(Thread, "_work", dies)
    lost: list[tuple[int, int]] = []

    class Hearing(CurveObserver):
        def point_lost(self, size: int, seed: int, reason: str) -> None:
            lost.append((size, seed))

    config = ask(curve={"workers": 3})
    folder = Path(str(config.output_dir))
    beside = learning_curve(
        config.model_copy(update={"output_dir": f"{folder}-2"}), observer=Hearing()
    )
    assert lost == [(24, 1)] and found(beside) == alone


def test_a_run_that_fails_ends_the_curve(ask: Any, growing: Growing) -> None:
    growing.before = fail("the loss is not finite")
    with fails("curve.run_failed"):
        learning_curve(ask())
