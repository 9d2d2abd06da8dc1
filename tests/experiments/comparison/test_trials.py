"""`tune: N`: each strategy at its best of as many trials, before its cells."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from comparing import HEAD, carried_out, values_for, without_processes
from faults import refused
from trials import Imagined, imagine
from welltuned.errors import Fault, RunFailed, Stopped
from welltuned.experiments.comparison.budget import Feasibility, spend
from welltuned.experiments.comparison.config import comparison_from
from welltuned.experiments.comparison.observer import ComparisonObserver
from welltuned.runs.comparison_folder import Comparison
from welltuned.schema.messages import render_message

LORA = {"type": "lora", "r": 2}


def asked(tiny: Any, sentiment: str, folder: Path, **parts: Any) -> dict[str, Any]:
    training = {"learning_rate": "auto", **parts.pop("training", {})}
    values = {"seeds": 1, "budget": {"steps": 2}, "tune": 4, **parts}
    return values_for(tiny("bert"), sentiment, folder, training=training, **values)


@pytest.fixture(scope="module")
def tuned(tiny: Any, sentiment: str, tmp_path_factory: Any) -> tuple[Comparison, Imagined]:
    """A finished comparison of two, and the trials it made. To be read, not changed."""
    with pytest.MonkeyPatch.context() as patch:
        without_processes(patch, reports=False)
        imagined = imagine(patch)
        return carried_out(asked(tiny, sentiment, tmp_path_factory.mktemp("tuned") / "c")), imagined


@pytest.fixture
def copy(tuned: tuple[Comparison, Imagined], tmp_path: Path) -> Comparison:
    return Comparison(Path(shutil.copytree(tuned[0].folder, tmp_path / "c")))


def sweep_of(comparison: Comparison, slug: str) -> dict[str, Any]:
    file = comparison.folder / "tuning" / slug / "sweep.json"
    return dict(json.loads(file.read_text(encoding="utf-8")))


def test_every_strategy_has_as_many_trials_and_none_reads_the_test_split(
    tuned: tuple[Comparison, Imagined],
) -> None:
    tried = tuned[1].configs
    assert [config.strategy.type for config in tried] == ["partial", "lora"] * 4, "in turn"
    assert not any(config.evaluation.test for config in tried)
    assert {config.training.max_steps for config in tried} == {2}, "the cells' budget"
    assert {config.training.precision for config in tried} == {"fp32"}, "settled"
    assert all(getattr(config.strategy, "r", None) == 2 for config in tried[1::2]), (
        "as it was written"
    )


def test_the_cells_train_with_what_was_found(tuned: tuple[Comparison, Imagined]) -> None:
    comparison = tuned[0]
    for slug in ("head", "lora-r=2"):
        sweep = sweep_of(comparison, slug)
        best = sweep["trials"][sweep["best"]]
        config = comparison.cell(slug, 0).config
        assert config["training"]["learning_rate"] == best["values"]["training.learning_rate"]
        assert comparison.cell(slug, 0).results["test"], "and read the test split once"
        row: Any = next(r for r in comparison.results["rows"] if r["slug"] == slug)
        assert row["tuned"]["values"] == best["values"]
        assert row["tuned"]["trials"] == 4 and row["tuned"]["score"] == best["value"]
        assert row["tuned"]["usual"] == sweep["trials"][0]["value"] <= best["value"]
        assert row["cost"]["tuning_seconds"] == sum(t["seconds"] for t in sweep["trials"])
    recommended = (comparison.folder / "recommended.yaml").read_text()
    chosen = comparison.results["recommendation"]["slug"]
    assert str(comparison.cell(chosen, 0).config["training"]["learning_rate"]) in recommended


def test_what_was_chosen_and_what_it_took_are_told(tuned: tuple[Comparison, Imagined]) -> None:
    comparison = tuned[0]
    remarks = [render_message(remark) for remark in comparison.results["remarks"]]
    first = comparison.results["remarks"][0]
    assert first["code"].startswith("compare.tuned") and first["values"]["trials"] == "4"
    assert first["values"]["values"].startswith("learning_rate ")
    page = comparison.report.read_text(encoding="utf-8")
    for remark in remarks:
        assert remark in page
    assert "each at its best of 4 trials" in page and ">search</th>" in page


def test_finished_trials_are_never_made_again_and_more_are_added(
    copy: Comparison, imagined: Imagined, tiny: Any, sentiment: str, here: None, unread: None
) -> None:
    carried_out(asked(tiny, sentiment, copy.folder))
    assert imagined.configs == []
    carried_out(asked(tiny, sentiment, copy.folder, tune=5))
    assert [config.strategy.type for config in imagined.configs] == ["partial", "lora"]
    row: Any = copy.results["rows"][0]
    assert row["tuned"]["trials"] == 5


def test_stopped_in_the_middle_of_its_trials_it_goes_on(
    copy: Comparison, imagined: Imagined, tiny: Any, sentiment: str, here: None, unread: None
) -> None:
    for path in (copy.folder / "tuning").glob("head*"):
        path.unlink() if path.is_file() else shutil.rmtree(path)

    class Stopping(ComparisonObserver):
        def working(self, what: str, done: int, total: int) -> None:
            if what == "tuning head, trial 3 of 4":
                raise Stopped(15)

    imagined.before = lambda config: imagined.tell("halfway")
    with pytest.raises(Stopped):
        carried_out(asked(tiny, sentiment, copy.folder), Stopping())
    assert len(imagined.configs) == 3
    assert "head" not in copy.record["tuned"]
    carried_out(asked(tiny, sentiment, copy.folder))
    assert len(imagined.configs) == 5, "two were finished, one was stopped, one had not begun"
    assert copy.record["tuned"]["head"]["trials"] == 4


def test_other_settings_put_the_old_trials_aside(
    copy: Comparison, imagined: Imagined, tiny: Any, sentiment: str, here: None, unread: None
) -> None:
    carried_out(asked(tiny, sentiment, copy.folder, budget={"steps": 3}))
    assert (copy.folder / "replaced" / "tuning" / "head" / "sweep.json").exists()
    assert {config.training.max_steps for config in imagined.configs} == {3}
    assert len(imagined.configs) == 8


def test_a_strategy_none_of_whose_trials_ends_is_left_out_with_its_reason(
    tiny: Any, sentiment: str, tmp_path: Path, here: None, unread: None, imagined: Imagined
) -> None:
    def fail(config: Any) -> None:
        if config.strategy.type == "lora":
            raise RunFailed(Fault("training.not_finite", "the loss is not finite"))

    imagined.before = fail
    comparison = carried_out(asked(tiny, sentiment, tmp_path / "c"))
    rows: Any = {row["name"]: row for row in comparison.results["rows"]}
    assert "its 4 trials found nothing" in rows["lora r=2"]["impossible"]
    assert "the loss is not finite" in rows["lora r=2"]["impossible"]
    assert rows["head"]["seeds"] == [0]
    assert comparison.results["recommendation"]["strategy"] == "head"


def test_a_time_is_shared_with_the_trials() -> None:
    found = {"a": Feasibility(10, 100, 20, "accuracy", step=0.1, look=0.0, rest=0.0)}
    base = {"model": "m", "data": "d", "strategies": ["full"], "seeds": 2, "budget": "100s"}
    plain, session = comparison_from(base), comparison_from({**base, "tune": 8})
    trainings = {"a": plain.training}
    steps = spend(plain, found, trainings, 0.0)["a"].max_steps
    shared = spend(session, found, trainings, 0.0)["a"].max_steps
    assert steps is not None and shared == pytest.approx(steps / 5, abs=1)
    with refused("compare.budget_too_small", trials="8 trials of each, "):
        spend(comparison_from({**base, "tune": 8, "budget": "5s"}), found, trainings, 0.0)


def test_real_trials_leave_no_weights(
    tiny: Any, sentiment: str, tmp_path: Path, here: None, unread: None
) -> None:
    comparison = carried_out(asked(tiny, sentiment, tmp_path / "c", strategies=[HEAD], tune=2))
    assert len(sweep_of(comparison, "head")["trials"]) == 2
    assert not list((comparison.folder / "tuning").rglob("model"))
    row: Any = comparison.results["rows"][0]
    assert row["cost"]["tuning_seconds"] > 0
