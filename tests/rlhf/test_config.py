"""A pipeline's config: what is read, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import faults
from faults import full
from welltuned.errors import InputError
from welltuned.rlhf.algorithms import Algorithm
from welltuned.rlhf.algorithms.exact import Exact
from welltuned.rlhf.algorithms.ppo import Ppo
from welltuned.rlhf.config import RlhfConfig
from welltuned.rlhf.read_config import load_rlhf_config, rlhf_config_from
from welltuned.rlhf.rewards import JudgeSource
from welltuned.rlhf.rewards.final_number import FinalNumber
from welltuned.rlhf.rewards.length import Length
from welltuned.strategies import Full, Lora

GOOD = "pipeline: rlhf\nmodel: m\ndata: d.csv\nreward: {function: a.b}\n"


def read(tmp_path: Path, text: str, *overrides: str) -> RlhfConfig:
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    return load_rlhf_config(str(tmp_path / "c.yaml"), overrides)


def refused(tmp_path: Path, text: str, *overrides: str) -> str:
    with pytest.raises(InputError) as error:
        read(tmp_path, text, *overrides)
    assert error.value.exit_status == 2
    return "\n".join(full(error.value.faults))


def test_a_model_data_and_a_reward_are_enough(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD)
    assert config.task.type == "classification" and config.strategy is None
    assert [source.kind for source in config.reward] == ["function"]
    assert config.rl.kl_coef == 0.05 and config.rl.temperature == 1.0


def test_short_forms_are_spelled_out_in_every_part(tmp_path: Path) -> None:
    text = (
        "pipeline: rlhf\nmodel: m\ndata: d.csv\nstrategy: lora\nsft: runs/sft\n"
        "reward: runs/rm\nppo: {strategy: full, second_reward: runs/other}\n"
    )
    config = read(tmp_path, text, "strategy.r=3")
    assert config.strategy == Lora(r=3) and config.rl.strategy == Full()
    assert config.sft.run == "runs/sft" and config.reward == (JudgeSource(run="runs/rm"),)
    assert config.rl.second_reward == JudgeSource(run="runs/other")


@pytest.mark.parametrize(
    ("reward", "kinds"),
    [
        ("runs/rm", ["run"]),
        ("{run: runs/rm, label: good, weight: 2}", ["run"]),
        ("{model: some/classifier, label: POSITIVE}", ["model"]),
        ("{data: ratings.jsonl, strategy: full}", ["trained"]),
        ("{model: m, data: ratings.jsonl}", ["trained"]),
        ("[runs/rm, {function: a.b, weight: -0.5}]", ["run", "function"]),
        ("final_number", ["check"]),
        ("./final_number", ["run"]),
        ("[{type: final_number, column: right, weight: 2}, runs/rm]", ["check", "run"]),
    ],
)
def test_a_reward_is_a_run_a_classifier_a_function_or_to_be_trained(
    reward: str, kinds: list[str], tmp_path: Path
) -> None:
    config = read(tmp_path, GOOD.replace("{function: a.b}", reward))
    assert [source.kind for source in config.reward] == kinds


def test_keys_of_a_rule_may_stand_on_the_line(tmp_path: Path) -> None:
    rule = GOOD.replace("{function: a.b}", "final_number")
    (reward,) = read(tmp_path, rule, "reward.column=right", "rl.second_reward=json").reward
    assert reward == FinalNumber(column="right")
    config = read(tmp_path, rule + "rl: {second_reward: {type: length, at_most: 3}}\n")
    assert config.rl.second_reward == Length(at_most=3)


def test_a_config_that_was_written_down_reads_as_the_same(tmp_path: Path) -> None:
    """Every key with its value, defaults too: a finished run stays one, a judge stays its kind."""
    judges = "[runs/rm, {data: r.jsonl}, {model: c, label: x}, {type: length, at_most: 3}]"
    text = GOOD.replace("{function: a.b}", judges)
    config = read(tmp_path, text + "sft: runs/sft\nppo: {kl_target: 6}\n")
    written = yaml.safe_dump({"schema_version": 1, **config.model_dump(mode="json")})
    assert read(tmp_path, written) == config
    assert rlhf_config_from(yaml.safe_load(written)) == config


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("ppo: {klcoef: 1}\n", "c.yaml:5:7 config.key_unknown key=rl.klcoef"),
        ("ppo: {kl_coef: -1}\n", "c.yaml:5:7 config.value_invalid key=rl.kl_coef given=-1"),
        (
            "sft: {strategy: lroa}\n",
            "config.type_unknown key=sft.strategy given=lroa",
        ),
        (
            "ppo: {batch_size: 10, num_mini_batches: 3}\n",
            "rlhf.batch_not_divisible batch_size=10 num_mini_batches=3",
        ),
        ("ppo: {total_episodes: 5}\n", "rlhf.too_few_episodes"),
        ("engine: hf\n", "rlhf.engine_unsupported"),
        ("task: token_classification\n", "rlhf.task_unsupported task=token classification"),
        ("task: {problem: regression}\n", "rlhf.problem_unsupported problem=regression"),
        ("sft: skip\n", "rlhf.sft_skipped_for_classifier"),
        ("sft: {run: runs/x, strategy: lora}\n", "rlhf.sft_key_unused key=strategy"),
        ("task: generation\nrl: exact\n", "rlhf.algorithm_of_labels"),
    ],
)
def test_what_cannot_be_is_refused_with_the_remedy(change: str, told: str, tmp_path: Path) -> None:
    assert told in refused(tmp_path, GOOD + change)


@pytest.mark.parametrize(
    ("reward", "told"),
    [
        ("{}", "rlhf.reward_without_source"),
        ("{strategy: full}", "rlhf.reward_without_source"),
        (
            "{functon: a.b}",
            "c.yaml:4:10 config.key_unknown key=reward.0.functon",
        ),
        ("{run: a, function: a.b}", "rlhf.reward_ambiguous ways=run and function"),
        ("{function: a.b, data: d}", "rlhf.reward_ambiguous ways=function and data"),
        ("{run: a, training: {seed: 3}}", "rlhf.reward_key_unused kind=run key=training"),
        ("{function: a.b, label: x}", "rlhf.reward_label_of_function"),
        ("[{run: a}, {run: b, wieght: 2}]", "c.yaml:4:29 config.key_unknown key=reward.1.wieght"),
        ("{type: lenght}", "c.yaml:4:10 config.type_unknown key=reward.0 given=lenght"),
        ("{type: length, at_mots: 3}", "c.yaml:4:24 config.key_unknown key=reward.0.at_mots"),
        ("{run: a, columns: [b]}", "rlhf.reward_key_of_functions key=columns"),
        ("{run: a, time_limit: 5s}", "rlhf.reward_key_of_functions key=time_limit"),
        ("[]", "rlhf.no_reward"),
    ],
)
def test_rewards_that_cannot_be_are_refused(reward: str, told: str, tmp_path: Path) -> None:
    assert told in refused(tmp_path, GOOD.replace("{function: a.b}", reward))


@pytest.mark.parametrize(
    ("written", "overrides", "found"),
    [
        ("", [], Ppo()),
        ("ppo: {kl_coef: 0.3}\n", [], Ppo(kl_coef=0.3)),
        ("rl: {type: ppo, kl_coef: 0.3}\n", [], Ppo(kl_coef=0.3)),
        ("rl: {kl_coef: 0.3}\n", [], Ppo(kl_coef=0.3)),
        ("rl: exact\n", [], Exact()),
        ("exact: {kl_coef: 0.3}\n", ["rl.seed=4"], Exact(kl_coef=0.3, seed=4)),
        ("ppo: {kl_coef: 0.3, seed: 1}\n", ["ppo.kl_coef=0.4"], Ppo(kl_coef=0.4, seed=1)),
        ("ppo: {kl_coef: 0.3, seed: 1}\n", ["rl.kl_coef=0.4"], Ppo(kl_coef=0.4, seed=1)),
        ("rl: {kl_coef: 0.3, seed: 1}\n", ["ppo.kl_coef=0.4"], Ppo(kl_coef=0.4, seed=1)),
        ("ppo:\n", [], Ppo()),
    ],
)
def test_an_algorithms_name_is_short_for_rl_of_that_type(
    written: str, overrides: list[str], found: Algorithm, tmp_path: Path
) -> None:
    assert read(tmp_path, GOOD + written, *overrides).rl == found


def test_all_faults_show_at_once(tmp_path: Path) -> None:
    told = refused(tmp_path, GOOD + "ppo: {klcoef: 1}\nsft: {strategy: lroa}\nstratgy: full\n")
    assert len(told.splitlines()) == 3


def test_both_other_stages_take_the_other_engine(tmp_path: Path) -> None:
    text = GOOD.replace("{function: a.b}", "{data: r.jsonl, engine: hf}")
    config = read(tmp_path, text + "sft: {engine: hf}\n")
    (judge,) = config.reward
    assert isinstance(judge, JudgeSource) and config.sft.engine == judge.engine == "hf"


def test_keyword_arguments_are_read_alike() -> None:
    values: dict[str, Any] = {"model": "m", "data": "d.csv", "reward": {"function": "a.b"}}
    assert rlhf_config_from(values).reward == (JudgeSource(function="a.b"),)
    with faults.refused("config.key_unknown", key="rewrd"):
        rlhf_config_from({**values, "rewrd": 1})


def test_the_optimizer_is_named_as_elsewhere_but_must_not_average(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD, "rl.optim=sgd", "rl.optim_args.momentum=0.5")
    assert (config.rl.optim, config.rl.optim_args) == ("sgd", {"momentum": 0.5})
    found = refused(tmp_path, GOOD, "rl.optim=schedule_free_adamw")
    assert "rlhf.optimizer_averages optim=schedule_free_adamw" in found
