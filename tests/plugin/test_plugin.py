"""The package beside this file, installed: what it adds goes wherever our own parts go.

`make test` installs it; without that: `pip install --no-deps -e tests/plugin`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from welltuned_plugin_example.bitfit import BitFit
from welltuned_plugin_example.grpo import Grpo

import welltuned as wt
from comparing import values_for, without_processes
from pipelines import values_of
from support import build, tune
from tabular import BEST, BETA, REFERENCES, REWARDS, learn
from welltuned.errors import InputError
from welltuned.rlhf.algorithms import ALGORITHMS
from welltuned.runs import Run
from welltuned.strategies import STRATEGIES

AUTO = {"learning_rate": "auto", "num_train_epochs": 1}
"""Every hyper-parameter is the strategy's own default."""


@pytest.fixture(scope="module")
def biased(tiny: Callable[..., str], sentiment: str, tmp_path_factory: Any) -> Run:
    """A finished run by BitFit, on its own defaults. To be read, not changed."""
    folder = tmp_path_factory.mktemp("biased") / "run"
    return tune(tiny("bert"), sentiment, "bitfit", folder, training=AUTO)


@pytest.fixture(scope="module")
def grouped(tiny: Callable[..., str], sentiment: str, tmp_path_factory: Any) -> Run:
    """A finished pipeline: BitFit in both stages that train, and GRPO. To be read."""
    folder = tmp_path_factory.mktemp("grouped") / "run"
    values = values_of(tiny("bert"), sentiment, folder, strategy="bitfit")
    values["reward"] = {"function": "my_judges.wants_negative"}
    shared = {**values.pop("ppo"), "learning_rate": "auto", "total_episodes": 64}
    return wt.train({**values, "grpo": {**shared, "num_generations": 4}})


# --- What is added ------------------------------------------------------------------


def test_installed_packages_add_to_what_there_is() -> None:
    assert STRATEGIES.find("bitfit") is BitFit and ALGORITHMS.find("grpo") is Grpo
    assert "bitfit" in STRATEGIES.names and "grpo" in ALGORITHMS.names


def test_bitfit_trains_biases_and_the_head(tiny: Callable[..., str]) -> None:
    model, anatomy, _ = build(tiny("bert"), {"type": "bitfit"})
    trains = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert any(anatomy.depth(name) == 0 and name.endswith("weight") for name in trains)
    assert all(name.endswith(".bias") or anatomy.depth(name) == 0 for name in trains)


def policy_of(learner: Any) -> torch.Tensor:
    return learner.actor.policy_SK.detach()


def worth(policy_SK: torch.Tensor) -> float:
    """The mean reward of a policy on the table, less what its KL costs."""
    moved_SK = policy_SK - REFERENCES.log_softmax(-1)
    return float((policy_SK.exp() * (REWARDS - BETA * moved_SK)).sum(dim=1).mean())


def test_grpo_improves_a_policy_on_a_table_without_a_value_head() -> None:
    grpo = Grpo(learning_rate=0.05, kl_coef=BETA, batch_size=240, max_grad_norm=0)
    learner, stats = learn(60, 240, algorithm=grpo)
    turned, _ = learn(60, 240, -REWARDS, algorithm=grpo)
    nothing, best = worth(REFERENCES.log_softmax(-1)), worth(BEST)
    assert worth(policy_of(learner)) > nothing + 0.5 * (best - nothing)
    assert worth(policy_of(turned)) < nothing
    assert learner.groups == learner.policy_groups and "clip_fraction" in stats[0].own


def test_grpo_compares_each_response_with_its_group() -> None:
    rollout: Any = type("R", (), {"kl": lambda self: torch.tensor([0.0, 1.0, 0.0, 0.0])})()
    grpo = Grpo(num_generations=2, batch_size=4)
    found = grpo.experience(rollout, torch.tensor([1.0, 3.0, 5.0, 5.0]), 1.0)
    # Less KL the rewards are 1 and 2, 5 and 5; a group's deviation is that of a sample.
    half = 0.5 / (0.5**0.5 + 1e-4)
    torch.testing.assert_close(found.advantages_B, torch.tensor([-half, half, 0.0, 0.0]))


def test_a_batch_is_whole_groups() -> None:
    with pytest.raises(ValueError, match="not a multiple of the 8 responses to each prompt"):
        Grpo(batch_size=12)


# --- Through every verb -------------------------------------------------------------


def test_it_trains_on_defaults_of_its_own(biased: Run) -> None:
    assert biased.state == "finished" and biased.report.exists()
    assert "training" in biased.config
    chosen = " ".join(biased.results["choices"])
    assert "learning_rate = 0.001 (published for BitFit; not measured here)" in chosen
    assert biased.results["proof"]["frozen_moved"] == 0


def test_both_engines_take_it(
    biased: Run, tiny: Callable[..., str], sentiment: str, tmp_path: Path
) -> None:
    other = tune(tiny("bert"), sentiment, "bitfit", tmp_path / "run", training=AUTO, engine="hf")
    assert other.results["test"]["loss"] == pytest.approx(biased.results["test"]["loss"], abs=1e-4)


def test_it_predicts_and_is_exported(biased: Run, tmp_path: Path, call: Any) -> None:
    answer = wt.load(biased).predict(["the film was good"])[0]
    assert answer["prediction"] in ("positive", "negative")
    status, _, _ = call("export", biased.folder, tmp_path / "exported")
    assert status == 0 and (tmp_path / "exported" / "model.safetensors").exists()


def test_its_report_is_written_again(biased: Run, call: Any) -> None:
    biased.report.unlink()
    status, _, _ = call("report", biased.folder)
    assert status == 0 and "bitfit" in biased.report.read_text(encoding="utf-8")


@pytest.mark.usefixtures("known")
def test_it_is_planned(tiny: Callable[..., str], sentiment: str, tmp_path: Path, call: Any) -> None:
    status, out, _ = call(
        "plan", f"model={tiny('bert')}", f"data={sentiment}", f"output_dir={tmp_path / 'run'}",
        "--json",
    )  # fmt: skip
    rows = {row["name"]: row for row in json.loads(out)["strategies"]}
    assert status == 0 and rows["bitfit"]["refused"] is None
    trained = {name: rows[name]["forecast"]["trainable"] for name in ("bitfit", "full")}
    assert trained["bitfit"] < 0.2 * trained["full"]


def test_it_is_compared(
    tiny: Callable[..., str], sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_processes(monkeypatch, reports=False)
    strategies = [{"type": "bitfit"}, {"type": "partial", "num_blocks": 0}]
    values = values_for(
        tiny("bert"), sentiment, tmp_path / "c", strategies=strategies, seeds=1,
        training={"learning_rate": "auto"},
    )  # fmt: skip
    compared = wt.compare(values)
    assert {row["name"] for row in compared.results["rows"]} >= {"bitfit"}
    assert (compared.folder / "report.html").exists()


def test_a_pipeline_takes_both_to_its_end(grouped: Run) -> None:
    last = Run(grouped.folder / "stages" / "rl")
    assert grouped.state == last.state == "finished"
    assert last.config["rl"]["type"] == "grpo" and last.config["strategy"]["type"] == "bitfit"
    assert "rl.learning_rate = 0.0001 (a tenth of" in " ".join(last.results["choices"])
    assert "value" not in last.results["memory"]["roles"]
    assert "reference" in last.results["memory"]["roles"]  # biases cannot be switched off
    for run in (grouped, last):
        assert "GRPO" in run.report.read_text(encoding="utf-8")
    assert wt.load(grouped).predict(["a fine film"])[0]["prediction"] in ("positive", "negative")


def test_each_prompt_is_asked_as_often_as_a_group_is_large(grouped: Run) -> None:
    rows = list(Run(grouped.folder / "stages" / "rl").read_lines("metrics.jsonl"))
    episodes = [row["episodes"] for row in rows if row["split"] == "train"]
    assert episodes == [16, 32, 48, 64]


def test_a_loop_of_ones_own_takes_it(biased: Run) -> None:
    learner = wt.rl.start(biased, total_batches=1, type="grpo", batch_size=8, num_generations=4)
    rollout = learner.rollout(["a fine film", "a dull book"])
    assert rollout.prompts == ["a fine film"] * 4 + ["a dull book"] * 4
    wt.rl.step(learner, rollout, [float(said == "negative") for said in rollout.responses])
    with pytest.raises(InputError, match=r"unknown key 'rl\.vf_coef'"):
        wt.rl.start(biased, total_batches=1, type="grpo", vf_coef=1)


def test_doctor_names_the_package(call: Any) -> None:
    _, out, _ = call("doctor")
    assert "plug-in     bitfit of welltuned-plugin-example (strategies)" in out
    assert "plug-in     grpo of welltuned-plugin-example (algorithms)" in out
