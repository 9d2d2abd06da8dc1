"""`rlhf` as a strategy: a pipeline beside ordinary runs, judged as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from comparing import HEAD, carried_out, values_for, without_processes
from faults import full, refused
from support import STRATEGIES, make_rows, write_rows
from welltuned.errors import Faults
from welltuned.experiments.comparison.cells import cell_record
from welltuned.experiments.comparison.config import comparison_from
from welltuned.experiments.comparison.variants import Variant, find_variants
from welltuned.rlhf.rewards import JudgeSource
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison
from welltuned.schema.document import Document
from welltuned.strategies import Lora
from welltuned.training.preparation.data_cache import DataCache

PPO = {"batch_size": 16, "total_episodes": 48, "learning_rate": 3e-3, "eval_steps": 2}
WANTS_NEGATIVE = {"function": "my_judges.wants_negative"}
SHORT = {"num_train_epochs": 1, "learning_rate": 3e-3, "device": "cpu", "eval_strategy": "no"}


@pytest.fixture(scope="module")
def ratings_of_labels(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What people say of labels they are shown; of texts that no test split has."""
    rows = [
        {
            "prompt": f"was it {row['text']}",
            "response": label,
            "score": float(label == row["label"]),
        }
        for row in make_rows(60, seed=7)
        for label in ("positive", "negative")
    ]
    return write_rows(tmp_path_factory.mktemp("ratings") / "labels.jsonl", rows)


@pytest.fixture(scope="module")
def rewarded_comparison(
    tiny: Any, sentiment: str, ratings_of_labels: str, tmp_path_factory: pytest.TempPathFactory
) -> Comparison:
    """The head alone beside a pipeline with a trained judge. To be read, not changed."""
    training = {**SHORT, "precision": "fp32", "load_best_model_at_end": False}
    values = values_for(
        tiny("bert"), sentiment, tmp_path_factory.mktemp("policies") / "c", seeds=1,
        strategies=[HEAD, {"type": "rlhf", "strategy": STRATEGIES["lora"], "name": "rlhf"}],
        reward={"data": ratings_of_labels, "training": training, "strategy": "full"},
        ppo={**PPO, "allow_weak_reward": True},
        evaluation={"retention": "auto"},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        without_processes(patch, reports=False)
        return carried_out(values)


def variants(**values: Any) -> tuple[list[Variant], list[str]]:
    faults = Faults()
    config = comparison_from({"model": "m", "data": "d.jsonl", **values})
    return find_variants(config, Document(), faults), full(faults)


# --- What is asked --------------------------------------------------------------------


def test_algorithms_are_compared_as_variants() -> None:
    judged = {"type": "rlhf", "reward": WANTS_NEGATIVE}
    asked = [{**judged, "rl": name} for name in ("ppo", "grpo")]
    asked += [{**judged, "rloo": {"num_generations": 2}}]
    found, faults = variants(strategies=asked, rl={"type": "grpo", "batch_size": 16})
    assert not faults
    names = ["rlhf rl=ppo", "rlhf rl=grpo", "rlhf rloo.num_generations=2"]
    assert [one.name for one in found] == names
    kinds = [(one.pipeline.rl.type, one.pipeline.rl.batch_size) for one in found if one.pipeline]
    assert kinds == [("ppo", 64), ("grpo", 16), ("rloo", 64)]


def test_all_has_it_exactly_where_somebody_judges() -> None:
    without, faults = variants()
    assert not faults and without[-1].name == "rlhf" and without[-1].pipeline is None
    assert str(without[-1].impossible).startswith("'rlhf' has no reward")
    found, faults = variants(reward=WANTS_NEGATIVE)
    assert not faults and found[-1].impossible is None
    assert found[-1].pipeline is not None and len(found) == 8
    assert found[-1].pipeline.reward == (JudgeSource(function="my_judges.wants_negative"),)


def test_named_without_a_judge_it_is_refused() -> None:
    _, faults = variants(strategies=["full", "rlhf"])
    assert len(faults) == 1
    assert faults == ["command line compare.pipeline_without_reward"]


def test_a_judge_that_nobody_asks_is_not_passed_over() -> None:
    with refused("compare.key_without_pipeline", key="reward", pipeline="rlhf"):
        variants(strategies=["full"], reward=WANTS_NEGATIVE)


@pytest.mark.parametrize(
    ("given", "parts", "told"),
    [
        ({"sft": "runs/mine"}, {}, "compare.pipeline_without_training given=runs/mine"),
        ({"sft": "skip"}, {}, "compare.pipeline_without_training given=skip"),
        ({}, {"protection": "l2sp"}, "compare.pipeline_unprotected"),
        ({}, {"data": {"train": "d", "folds": 5}}, "compare.pipeline_with_folds"),
        (
            {},
            {"engine": "mine.loop.train"},
            "compare.pipeline_engine_unsupported engine=mine.loop.train",
        ),
        ({}, {"task": "token_classification"}, "rlhf.task_unsupported"),
        ({"ppo": {"kl": 1}}, {}, "config.key_unknown key=rl.kl"),
        ({"sft": {"trainings": {}}}, {}, "config.key_unknown key=sft.trainings"),
        ({"rewards": 1}, {}, "config.key_unknown key=rewards"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    given: dict[str, Any], parts: dict[str, Any], told: str
) -> None:
    asked = {"type": "rlhf", "reward": WANTS_NEGATIVE, **given}
    _, faults = variants(strategies=["lora", asked], **parts)
    assert len(faults) == 1 and told in faults[0]


def test_its_parts_are_its_own_and_the_first_stage_is_as_the_others_are() -> None:
    asked = {
        "type": "rlhf", "strategy": {"type": "lora", "r": 3}, "ppo": {"kl_coef": 0.3},
        "sft": {"training": {"weight_decay": 0.2}}, "name": "policy",
    }  # fmt: skip
    found, faults = variants(
        strategies=["full", asked], reward=WANTS_NEGATIVE, ppo={"batch_size": 8},
        training={"learning_rate": 0.1},
    )  # fmt: skip
    assert not faults
    full, policy = found
    assert policy.config.strategy == Lora(r=3)
    assert policy.config.training == full.config.training.model_copy(update={"weight_decay": 0.2})
    assert policy.pipeline is not None
    assert (policy.pipeline.rl.kl_coef, policy.pipeline.rl.batch_size) == (0.3, 8)
    assert policy.pipeline.strategy == policy.config.strategy


def test_named_it_stands_for_what_all_means() -> None:
    asked = {"type": "rlhf", "reward": WANTS_NEGATIVE}
    found, faults = variants(strategies=["all", asked])
    assert not faults
    assert [variant.impossible for variant in found if variant.pipeline or variant.impossible] == [
        None
    ]


# --- What comes of it -----------------------------------------------------------------


def test_the_cell_is_a_pipeline_with_the_budget_of_the_others(
    rewarded_comparison: Comparison,
) -> None:
    head, policy = (rewarded_comparison.cell(slug, 0) for slug in ("head", "rlhf"))
    assert policy.config["pipeline"] == "rlhf" and policy.state == "finished"
    stages = {name: Run(policy.folder / "stages" / name) for name in ("sft", "reward", "rl")}
    assert all(stage.state == "finished" for stage in stages.values())
    sft = stages["sft"].results["training"]
    assert sft["steps"] == head.results["training"]["steps"]
    fingerprints = {
        run.read("environment.json")["data_fingerprint"] for run in (head, policy, stages["rl"])
    }
    assert len(fingerprints) == 1
    seeds = [stages["rl"].config["rl"]["seed"], stages["reward"].config["training"]["seed"]]
    assert seeds == [0, 0]


def test_its_scores_are_those_of_the_final_policy(rewarded_comparison: Comparison) -> None:
    import welltuned as wt

    policy = rewarded_comparison.cell("rlhf", 0)
    rows = list(policy.read_lines("predictions.jsonl"))
    answers = wt.load(policy).predict([row["text"] for row in rows])
    assert [row["prediction"] for row in rows] == [answer["prediction"] for answer in answers]
    row = next(r for r in rewarded_comparison.results["rows"] if r["name"] == "rlhf")
    right = sum(r["label"] == r["prediction"] for r in rows) / len(rows)
    assert row["scores"]["accuracy"]["mean"] == pytest.approx(right)
    assert "reward" in policy.results["test"], "what PPO earned stays"
    pairs = {frozenset((p["one"], p["other"])) for p in rewarded_comparison.results["pairs"]}
    assert frozenset(("head", "rlhf")) in pairs


def test_what_it_costs_more_is_told(rewarded_comparison: Comparison) -> None:
    policy = rewarded_comparison.cell("rlhf", 0)
    row: Any = next(r for r in rewarded_comparison.results["rows"] if r["name"] == "rlhf")
    stages = row["stages"]
    for name in ("sft", "reward", "rl"):
        own = Run(policy.folder / "stages" / name).results["cost"]["train_seconds"]
        assert stages[name] == own > 0
    assert row["cost"]["train_seconds"] == pytest.approx(sum(stages.values()))
    assert row["cost"]["artifact_bytes"] > 0 and row["cost"]["memory_bytes"] > 1e7
    page = rewarded_comparison.report.read_text(encoding="utf-8")
    assert "of supervised fine-tuning, with the budget of the other strategies" in page


def test_what_the_final_policy_forgot_is_measured_since_before_the_first_stage(
    rewarded_comparison: Comparison,
) -> None:
    rows = {row["name"]: row for row in rewarded_comparison.results["rows"]}
    for name, values in rows["rlhf"]["retention"].items():
        assert values["before"] == pytest.approx(rows["head"]["retention"][name]["before"])
    drift = next(v for k, v in rows["rlhf"]["retention"].items() if k.startswith("cka"))
    assert drift["kept"] < 1 - 1e-4, "LoRA moves representations"
    head = next(v for k, v in rows["head"]["retention"].items() if k.startswith("cka"))
    assert head["kept"] == pytest.approx(1), "a head alone does not"


def test_its_curve_ends_with_the_final_policy(rewarded_comparison: Comparison) -> None:
    policy = rewarded_comparison.cell("rlhf", 0)
    looks = list(policy.read_lines("metrics.jsonl"))
    assert looks[-1]["macro_f1"] == policy.results["validation"]["macro_f1"]
    seconds = [look["seconds"] for look in looks]
    assert seconds == sorted(seconds) and seconds[-1] == policy.results["cost"]["train_seconds"]


def test_recommended_it_is_a_pipeline_to_train(
    rewarded_comparison: Comparison, tmp_path: Path
) -> None:
    from welltuned.experiments.comparison.verdict.recommended_config import write_config
    from welltuned.rlhf.read_config import load_rlhf_config

    chosen: Any = {"strategy": "rlhf", "slug": "rlhf", "seed": 0}
    copy = Comparison(Path(shutil.copytree(rewarded_comparison.folder, tmp_path / "c")))
    write_config(copy, chosen)
    config = load_rlhf_config(str(copy.folder / "recommended.yaml"), [])
    assert config.output_dir is None and config.sft.training.num_train_epochs == 1
    assert config.sft.evaluation.untrained and config.rl.total_episodes == 48


def test_finished_it_is_not_run_again_and_another_judge_is(
    rewarded_comparison: Comparison, tmp_path: Path, here: None, unread: None
) -> None:
    copy = Comparison(Path(shutil.copytree(rewarded_comparison.folder, tmp_path / "c")))
    asked = {**copy.record["asked"], "output_dir": str(copy.folder)}
    before = copy.cell("rlhf", 0).read("cell.json")
    carried_out(asked)
    assert copy.cell("rlhf", 0).read("cell.json") == before
    config = comparison_from(asked)
    from welltuned.experiments.comparison.rlhf_variant import identity

    [variant] = [v for v in find_variants(config, Document(), Faults()) if v.pipeline]
    assert variant.pipeline is not None
    known = identity(variant.pipeline, DataCache())
    ratings = Path(str(asked["reward"][0]["data"]["train"]))
    text = ratings.read_text(encoding="utf-8")
    try:
        ratings.write_text(text.replace('"score": 0.0', '"score": 0.5', 1), encoding="utf-8")
        assert identity(variant.pipeline, DataCache()) != known
    finally:
        ratings.write_text(text, encoding="utf-8")


def test_interrupted_it_goes_on_with_the_stage_that_was_under_way(
    rewarded_comparison: Comparison, tmp_path: Path, here: None, unread: None
) -> None:
    """What its finished stages took is part of what it took."""
    copy = Comparison(Path(shutil.copytree(rewarded_comparison.folder, tmp_path / "c")))
    policy = copy.cell("rlhf", 0)
    before, stages = policy.results, policy.folder / "stages"
    shutil.rmtree(stages / "rl")
    (policy.folder / "cell.json").unlink()
    policy.set_status("running")
    kept = [Run(stages / name) for name in ("sft", "reward")]
    written = [(stage.folder / "results.json").stat().st_mtime_ns for stage in kept]
    carried_out({**copy.record["asked"], "output_dir": str(copy.folder)})
    assert [(stage.folder / "results.json").stat().st_mtime_ns for stage in kept] == written
    assert policy.results["test"] == before["test"]
    spent = sum(sum(stage.results["cost"]["phases"].values()) for stage in kept)
    assert policy.results["cost"]["before_resuming"]["seconds"] == pytest.approx(spent)
    assert cell_record(policy)["cost"]["seconds"] > spent


def test_a_generator_is_compared_by_its_loss(
    causal: Any, instructions: str, tmp_path: Path, here: None, unread: None
) -> None:
    ppo = {**PPO, "total_episodes": 16, "response_length": 4}
    values = values_for(
        causal("llama"), instructions, tmp_path / "c", seeds=1, budget={"steps": 2},
        strategies=["lora", {"type": "rlhf", "strategy": "lora", "name": "rlhf"}],
        task={"type": "generation", "scored_examples": 2, "decoding": {"max_new_tokens": 4}},
        reward={"function": "my_judges.wants_good"}, ppo=ppo, evaluation={"retention": "auto"},
    )  # fmt: skip
    comparison = carried_out(values)
    rows: Any = {row["name"]: row for row in comparison.results["rows"]}
    assert comparison.results["metric"] == "loss"
    predictions = list(comparison.cell("rlhf", 0).read_lines("predictions.jsonl"))
    tokens = sum(row["tokens"] for row in predictions)
    loss = sum(row["loss"] * row["tokens"] for row in predictions) / tokens
    assert rows["rlhf"]["scores"]["loss"]["mean"] == pytest.approx(loss, abs=1e-4)
    divergence = rows["rlhf"]["retention"]["kl_validation"]
    assert divergence["after"] > 0 and rows["rlhf"]["stages"]["reward"] == 0


def test_the_policy_may_be_tuned_otherwise_than_the_first_stage(
    tiny: Any, sentiment: str, tmp_path: Path, here: None, unread: None
) -> None:
    """An adapter on whole weights is judged, probed and asked what it forgot as all are."""
    asked = {"type": "rlhf", "sft": {"strategy": "full"}, "strategy": "lora", "name": "rlhf"}
    values = values_for(
        tiny("bert"), sentiment, tmp_path / "c", seeds=1, budget={"steps": 2}, strategies=[asked],
        reward=WANTS_NEGATIVE, ppo={**PPO, "total_episodes": 16},
        evaluation={"retention": "auto", "probe": True},
    )  # fmt: skip
    comparison = carried_out(values)
    row: Any
    [row] = [row for row in comparison.results["rows"] if row["kind"] == "strategy"]
    policy = comparison.cell("rlhf", 0)
    kinds = [
        Run(policy.folder / "stages" / stage).config["strategy"]["type"] for stage in ("sft", "rl")
    ]
    assert kinds == ["full", "lora"] and not row["failed"]
    assert len(row["probe"]["before"]) == len(row["probe"]["after"]) == 5
    assert row["kept"] is not None and row["cost"]["trainable_share"] < 0.5


def test_ratings_of_test_texts_are_refused(
    tiny: Any, sentiment: str, tmp_path: Path, here: None
) -> None:
    """A judge that has seen what is tested on would tell the policy."""
    rows = [
        {"prompt": json.loads(line)["text"], "response": "positive", "score": i % 2}
        for i, line in enumerate(Path(sentiment).read_text().splitlines()[30:])
    ]  # of fewer rows others are drawn for its own test split
    values = values_for(
        tiny("bert"), sentiment, tmp_path / "c", strategies=[HEAD, "rlhf"],
        reward={"data": write_rows(tmp_path / "leak.jsonl", rows)}, ppo=PPO,
    )  # fmt: skip
    where = "the test split, and 'reward.data' is learned from"
    with refused("data.texts_shared", where=where):
        carried_out(values)
    assert not (tmp_path / "c" / "cells").exists()
