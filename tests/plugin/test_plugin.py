"""The package beside this file, installed: what it adds goes wherever our own parts go.

`make test` installs it; without that: `pip install --no-deps -e tests/plugin`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from welltuned_plugin_example.ends_with import EndsWith
from welltuned_plugin_example.matthews import MATTHEWS
from welltuned_plugin_example.norms import Norms
from welltuned_plugin_example.ordinal import EarthMover, OrdinalClassification
from welltuned_plugin_example.raft import Raft

import welltuned as wt
from comparing import values_for, without_processes
from faults import refused
from pipelines import values_of
from support import build, config_values, tune
from tabular import BEST, BETA, REFERENCES, REWARDS, learn
from welltuned.config import run_config_from
from welltuned.data.records import Records
from welltuned.errors import Faults
from welltuned.metrics import METRICS, ClassPredictions, NumberPredictions
from welltuned.reports.run import write_run_report
from welltuned.rlhf import rewards
from welltuned.rlhf.algorithms import ALGORITHMS
from welltuned.runs import Run
from welltuned.schema import plugins
from welltuned.strategies import STRATEGIES
from welltuned.tasks import TASKS, restore_problem
from welltuned.tasks.classification.labels import Labels
from welltuned.training.preparation.prepare import prepare

AUTO = {
    "learning_rate": "auto",
    "num_train_epochs": 1,
    "metric_for_best_model": "matthews",
    "load_best_model_at_end": True,
}
"""Every hyper-parameter is the strategy's own default, and the metric chooses."""


@pytest.fixture(scope="module")
def biased(tiny: Callable[..., str], sentiment: str, tmp_path_factory: Any) -> Run:
    """A finished run of strategy, task and metric together. To be read, not changed."""
    folder = tmp_path_factory.mktemp("biased") / "run"
    return tune(tiny("bert"), sentiment, "norms", folder, training=AUTO, task="ordinal")


@pytest.fixture(scope="module")
def grouped(tiny: Callable[..., str], sentiment: str, tmp_path_factory: Any) -> Run:
    """A finished pipeline: strategy and task in both stages that train, and RAFT. To be read."""
    folder = tmp_path_factory.mktemp("grouped") / "run"
    values = values_of(tiny("bert"), sentiment, folder, strategy="norms", task="ordinal")
    values["reward"] = {"function": "my_judges.wants_negative"}
    shared = {**values.pop("ppo"), "learning_rate": "auto", "total_episodes": 64}
    return wt.train({**values, "raft": {**shared, "num_generations": 4}})


# --- What is added ------------------------------------------------------------------


def test_installed_packages_add_to_what_there_is() -> None:
    assert STRATEGIES.find("norms") is Norms and ALGORITHMS.find("raft") is Raft
    assert TASKS.find("ordinal") is OrdinalClassification
    assert METRICS.find("matthews") is MATTHEWS
    assert "norms" in STRATEGIES.names and "raft" in ALGORITHMS.names
    assert rewards.REWARDS.find("ends_with") is EndsWith
    assert MATTHEWS in ClassPredictions.metrics and MATTHEWS not in NumberPredictions.metrics


def test_norms_train_and_the_head(tiny: Callable[..., str]) -> None:
    model, anatomy, _ = build(tiny("bert"), {"type": "norms"})
    trains = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert any(anatomy.depth(name) == 0 and name.endswith("weight") for name in trains)
    below = {name for name in trains if anatomy.depth(name)}
    assert len(below) == 4 * 2 * 2 and all("LayerNorm" in name for name in below)


def test_a_class_that_is_further_off_costs_more() -> None:
    labels = Labels("single_label", ("1", "2", "3"), ("1", "2", "3"))
    sure = 30 * torch.eye(3)
    said = {k: EarthMover(labels).loss_sum(sure[[0]], {"labels": torch.tensor([k])})
            for k in range(3)}  # fmt: skip
    assert [round(float(said[k]), 4) for k in range(3)] == [0.0, 1.0, 2.0]
    even = EarthMover(labels, label_smoothing=1.0)
    loss = even.loss_sum(torch.zeros(1, 3), {"labels": torch.tensor([0])})
    assert float(loss) == pytest.approx(0.0, abs=1e-6)


def test_ordinal_problems_are_remembered() -> None:
    labels = Labels("single_label", ("1", "2", "10"), ("1", "2", "10"))
    problem = restore_problem({"type": "ordinal", "labels": labels.to_dict(), "folded": False})
    assert isinstance(problem.objective, EarthMover) and problem.labels == ("1", "2", "10")
    assert restore_problem(problem.to_dict()) == problem
    targets = problem.codec.read_targets(Records("t", {"label": [10, 1]}, [1, 2], ()), Faults())
    assert targets.tolist() == [2, 0]


def test_the_metric_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import matthews_corrcoef

    draws = np.random.default_rng(0)
    true_N, other_N = draws.integers(0, 3, (2, 200))
    said_N = np.where(draws.random(200) < 0.4, true_N, other_N)
    predictions = ClassPredictions(true_N, said_N, np.zeros((200, 3)), ("a", "b", "c"))
    expected = matthews_corrcoef(true_N, said_N)
    assert MATTHEWS.value(predictions) == pytest.approx(expected, abs=1e-12)
    lower, upper = MATTHEWS.interval(predictions)
    assert lower < expected < upper
    constant = ClassPredictions(true_N, 0 * true_N, np.zeros((200, 3)), ("a", "b", "c"))
    assert MATTHEWS.value(constant) == 0.0


def policy_of(learner: Any) -> torch.Tensor:
    return learner.actor.policy_SK.detach()


def worth(policy_SK: torch.Tensor) -> float:
    """The mean reward of a policy on the table, less what its KL costs."""
    moved_SK = policy_SK - REFERENCES.log_softmax(-1)
    return float((policy_SK.exp() * (REWARDS - BETA * moved_SK)).sum(dim=1).mean())


def test_a_response_that_ends_as_it_shall_is_rewarded() -> None:
    judge = wt.rl.reward({"type": "ends_with", "text": "!", "weight": 2})
    assert judge([""] * 3, ["yes!", "no.", "so!\n"]).tolist() == [2, 0, 2]


def test_raft_improves_a_policy_on_a_table_without_a_value_head() -> None:
    raft = Raft(learning_rate=0.05, kl_coef=BETA, batch_size=240, max_grad_norm=0)
    learner, stats = learn(60, 240, algorithm=raft)
    turned, _ = learn(60, 240, -REWARDS, algorithm=raft)
    nothing, best = worth(REFERENCES.log_softmax(-1)), worth(BEST)
    assert worth(policy_of(learner)) > nothing + 0.5 * (best - nothing)
    assert worth(policy_of(turned)) < nothing
    assert learner.groups == learner.policy_groups and "clip_fraction" in stats[0].own


def test_raft_learns_the_best_response_of_each_group() -> None:
    rollout: Any = type("R", (), {"log_ratios": lambda self: torch.tensor([0.0, 3.0, 0.0, 0.0])})()
    raft = Raft(num_generations=2, batch_size=4)
    found = raft.experience(rollout, torch.tensor([1.0, 3.0, 5.0, 6.0]), 1.0)
    # Less what they pay for their divergence the rewards are 1 and 0, 5 and 6.
    assert found[1].flatten().tolist() == [1.0, 0.0, 0.0, 1.0]


def test_a_batch_is_whole_groups() -> None:
    with pytest.raises(ValueError, match="not a multiple of the 8 responses to each prompt"):
        Raft(batch_size=12)


# --- Through every verb -------------------------------------------------------------


def test_it_trains_on_defaults_of_its_own(biased: Run) -> None:
    assert biased.state == "finished" and biased.report.exists()
    assert "training" in biased.config
    chosen = " ".join(biased.results["choices"])
    assert "learning_rate = 0.001 (usual for so few weights; not measured here)" in chosen
    assert biased.results["proof"]["frozen_moved"] == 0


def test_its_metric_chooses_and_its_task_is_scored(biased: Run) -> None:
    test = biased.results["test"]
    assert biased.config["task"]["type"] == "ordinal"
    assert biased.results["metric"] == "matthews"
    assert test["matthews_ci95"][0] <= test["matthews"] <= test["matthews_ci95"][1]
    rows = [row for row in biased.read_lines("metrics.jsonl") if row["split"] == "validation"]
    assert rows and all("matthews" in row for row in rows)


def test_both_engines_take_it(
    biased: Run, tiny: Callable[..., str], sentiment: str, tmp_path: Path
) -> None:
    other = tune(tiny("bert"), sentiment, "norms", tmp_path / "run", training=AUTO, task="ordinal",
                 engine="hf")  # fmt: skip
    for metric in ("log_loss", "matthews"):
        expected = pytest.approx(biased.results["test"][metric], abs=1e-4)
        assert other.results["test"][metric] == expected


def test_it_predicts_and_is_exported(biased: Run, tmp_path: Path, call: Any) -> None:
    answer = wt.load(biased).predict(["the film was good"])[0]
    assert answer["prediction"] in ("positive", "negative")
    status, _, _ = call("export", biased.folder, "to=plain", f"out={tmp_path / 'exported'}")
    assert status == 0 and (tmp_path / "exported" / "model.safetensors").exists()


def test_its_report_is_written_again(biased: Run, call: Any) -> None:
    biased.report.unlink()
    status, _, _ = call("report", biased.folder)
    text = biased.report.read_text(encoding="utf-8")
    assert status == 0
    assert all(word in text for word in ("norms", "ordinal", "Matthews correlation"))


@pytest.mark.usefixtures("known")
def test_it_is_planned(tiny: Callable[..., str], sentiment: str, tmp_path: Path, call: Any) -> None:
    status, out, _ = call(
        "plan", f"model={tiny('bert')}", f"data={sentiment}", f"output_dir={tmp_path / 'run'}",
        "task=ordinal", "training.metric_for_best_model=matthews", "--json",
    )  # fmt: skip
    rows = {row["name"]: row for row in json.loads(out)["strategies"]}
    assert status == 0 and "refused" not in rows["norms"]
    trained = {name: rows[name]["trainable"] for name in ("norms", "full")}
    assert trained["norms"] < 0.2 * trained["full"]


def test_it_is_compared(
    tiny: Callable[..., str], sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_processes(monkeypatch, reports=False)
    strategies = [{"type": "norms"}, {"type": "partial", "num_blocks": 0}]
    values = values_for(
        tiny("bert"), sentiment, tmp_path / "c", strategies=strategies, seeds=1,
        training={"learning_rate": "auto", "metric_for_best_model": "matthews"},
        task={"type": "ordinal", "pooling": "mean"},
    )  # fmt: skip
    compared = wt.compare(values)
    assert {row["name"] for row in compared.results["rows"]} >= {"norms"}
    assert compared.results["metric"] == "matthews"
    assert "Matthews correlation" in (compared.folder / "report.html").read_text(encoding="utf-8")


def test_a_pipeline_takes_all_to_its_end(grouped: Run) -> None:
    last = Run(grouped.folder / "stages" / "rl")
    assert grouped.state == last.state == "finished"
    assert last.config["rl"]["type"] == "raft" and "matthews" in last.results["test"]
    assert Run(grouped.folder / "stages" / "sft").config["task"]["type"] == "ordinal"
    assert last.config["strategy"]["type"] == "norms"
    assert "rl.learning_rate = 0.0001 (a tenth of" in " ".join(last.results["choices"])
    assert "value" not in last.results["memory"]["roles"]
    assert "reference" in last.results["memory"]["roles"]  # normalisations cannot be switched off
    for run in (grouped, last):
        assert "RAFT" in run.report.read_text(encoding="utf-8")
    assert wt.load(grouped).predict(["a fine film"])[0]["prediction"] in ("positive", "negative")


def test_each_prompt_is_asked_as_often_as_a_group_is_large(grouped: Run) -> None:
    rows = list(Run(grouped.folder / "stages" / "rl").read_lines("metrics.jsonl"))
    episodes = [row["episodes"] for row in rows if row["split"] == "train"]
    assert episodes == [16, 32, 48, 64]


def test_a_loop_of_ones_own_takes_it(biased: Run) -> None:
    learner = wt.rl.start(biased, total_batches=1, type="raft", batch_size=8, num_generations=4)
    rollout = learner.rollout(["a fine film", "a dull book"])
    assert rollout.prompts == ["a fine film"] * 4 + ["a dull book"] * 4
    wt.rl.step(learner, rollout, [float(said == "negative") for said in rollout.responses])
    with refused("config.key_unknown", key="rl.vf_coef"):
        wt.rl.start(biased, total_batches=1, type="raft", vf_coef=1)


def test_doctor_names_the_package(call: Any) -> None:
    _, out, _ = call("doctor")
    assert "plug-in     norms of welltuned-plugin-example (strategies)" in out
    assert "plug-in     ordinal of welltuned-plugin-example (tasks)" in out
    assert "plug-in     matthews of welltuned-plugin-example (metrics)" in out
    assert "plug-in     raft of welltuned-plugin-example (algorithms)" in out


# --- What cannot be imported ------------------------------------------------------------

GONE: dict[str, Any] = {"plugin": "novelty", "package": "another", "kind": "ModuleNotFoundError"}


@pytest.fixture
def broken_metric(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another package is installed, whose metric cannot be imported."""
    installed = metadata.entry_points

    def fail() -> Any:
        raise ModuleNotFoundError("No module named 'gone'")

    dist = SimpleNamespace(name="another")
    broken = SimpleNamespace(name="novelty", value="gone:NOVELTY", dist=dist, load=fail)

    def entry_points(group: str) -> list[Any]:
        return [*installed(group=group), *([broken] if group == "welltuned.metrics" else [])]

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    plugins.plugins.cache_clear()
    yield
    plugins.plugins.cache_clear()


@pytest.mark.usefixtures("broken_metric")
def test_a_run_that_a_broken_metric_cannot_score_is_refused(
    tiny: Callable[..., str], sentiment: str, tmp_path: Path
) -> None:
    """Its score would be missing, and nobody would know why."""
    config = run_config_from(config_values(tiny("bert"), sentiment, "full", tmp_path))
    with refused("plugin.import_failed", **GONE) as told:
        prepare(config)
    (fault,) = told.value.faults
    assert "No module named 'gone'" in fault.what and "another" in fault.remedy


def test_nor_is_a_finished_model_scored_without_it(
    biased: Run, sentiment: str, request: pytest.FixtureRequest
) -> None:
    predictor = wt.load(biased.folder)
    request.getfixturevalue("broken_metric")
    with refused("plugin.import_failed", **GONE):
        predictor.evaluate(sentiment)


@pytest.mark.usefixtures("broken_metric")
def test_a_report_of_older_scores_does_without_it(biased: Run) -> None:
    assert write_run_report(biased).exists()
    names = [metric.name for metric in METRICS.added_to("single_label")]
    assert names == ["matthews"]
