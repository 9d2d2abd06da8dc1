"""A pipeline's config: what is read, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from welltuned.errors import InputError
from welltuned.rlhf.config import RlhfConfig
from welltuned.rlhf.read_config import load_rlhf_config, rlhf_config_from
from welltuned.strategies import Full, Lora

GOOD = "pipeline: rlhf\nmodel: m\ndata: d.csv\nreward: {function: a.b}\n"


def read(tmp_path: Path, text: str, *overrides: str) -> RlhfConfig:
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    return load_rlhf_config(str(tmp_path / "c.yaml"), overrides)


def refused(tmp_path: Path, text: str, *overrides: str) -> str:
    with pytest.raises(InputError) as error:
        read(tmp_path, text, *overrides)
    assert error.value.exit_status == 2
    return str(error.value).replace(str(tmp_path / "c.yaml"), "c.yaml")


def test_a_model_data_and_a_reward_are_enough(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD)
    assert config.task.type == "classification" and config.strategy is None
    assert [source.kind for source in config.reward] == ["function"]
    assert config.ppo.kl_coef == 0.05 and config.ppo.temperature == 1.0


def test_short_forms_are_spelled_out_in_every_part(tmp_path: Path) -> None:
    text = (
        "pipeline: rlhf\nmodel: m\ndata: d.csv\nstrategy: lora\nsft: runs/sft\n"
        "reward: runs/rm\nppo: {strategy: full, second_reward: runs/other}\n"
    )
    config = read(tmp_path, text, "strategy.r=3")
    assert config.strategy == Lora(r=3) and config.ppo.strategy == Full()
    assert config.sft.run == "runs/sft" and config.reward[0].run == "runs/rm"
    assert config.ppo.second_reward is not None and config.ppo.second_reward.run == "runs/other"


@pytest.mark.parametrize(
    ("reward", "kinds"),
    [
        ("runs/rm", ["run"]),
        ("{run: runs/rm, label: good, weight: 2}", ["run"]),
        ("{model: some/classifier, label: POSITIVE}", ["model"]),
        ("{data: ratings.jsonl, strategy: full}", ["trained"]),
        ("{model: m, data: ratings.jsonl}", ["trained"]),
        ("[runs/rm, {function: a.b, weight: -0.5}]", ["run", "function"]),
    ],
)
def test_a_reward_is_a_run_a_classifier_a_function_or_to_be_trained(
    reward: str, kinds: list[str], tmp_path: Path
) -> None:
    config = read(tmp_path, GOOD.replace("{function: a.b}", reward))
    assert [source.kind for source in config.reward] == kinds


def test_a_config_that_was_written_down_reads_as_the_same(tmp_path: Path) -> None:
    """Every key with its value, defaults too: a finished run stays one, a judge stays its kind."""
    text = GOOD.replace("{function: a.b}", "[runs/rm, {data: r.jsonl}, {model: c, label: x}]")
    config = read(tmp_path, text + "sft: runs/sft\nppo: {kl_target: 6}\n")
    written = yaml.safe_dump({"schema_version": 1, **config.model_dump(mode="json")})
    assert read(tmp_path, written) == config
    assert rlhf_config_from(yaml.safe_load(written)) == config


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("ppo: {klcoef: 1}\n", "c.yaml:5:7: unknown key 'ppo.klcoef' -> did you mean 'kl_coef'?"),
        ("ppo: {kl_coef: -1}\n", "c.yaml:5:7: 'ppo.kl_coef' is -1"),
        (
            "sft: {strategy: lroa}\n",
            "unknown type 'lroa' in 'sft.strategy' -> did you mean 'lora'?",
        ),
        ("ppo: {batch_size: 10, num_mini_batches: 3}\n", "is not a multiple of"),
        ("ppo: {total_episodes: 5}\n", "less than one 'ppo.batch_size'"),
        ("engine: hf\n", "PPO does not run on 'engine: hf'"),
        ("task: token_classification\n", "a policy cannot do token classification"),
        ("task: {problem: regression}\n", "a policy chooses one label"),
        ("sft: skip\n", "leaves a classifier with an untrained head"),
        ("sft: {run: runs/x, strategy: lora}\n", "so 'strategy' is not read"),
        ("task: generation\nppo: {gradient: exact}\n", "texts are too many"),
    ],
)
def test_what_cannot_be_is_refused_with_the_remedy(change: str, told: str, tmp_path: Path) -> None:
    assert told in refused(tmp_path, GOOD + change)


@pytest.mark.parametrize(
    ("reward", "told"),
    [
        ("{}", "neither what to train a judge on nor which judge to use"),
        ("{strategy: full}", "neither what to train a judge on"),
        (
            "{functon: a.b}",
            "c.yaml:4:10: unknown key 'reward.0.functon' -> did you mean 'function'",
        ),
        ("{run: a, function: a.b}", "'reward' has both run and function"),
        ("{function: a.b, data: d}", "'reward' has both function and data"),
        ("{run: a, training: {seed: 3}}", "so 'training' is not read"),
        ("{function: a.b, label: x}", "goes with classifiers"),
        ("[{run: a}, {run: b, wieght: 2}]", "c.yaml:4:29: unknown key 'reward.1.wieght'"),
        ("[]", "names no judge"),
    ],
)
def test_rewards_that_cannot_be_are_refused(reward: str, told: str, tmp_path: Path) -> None:
    assert told in refused(tmp_path, GOOD.replace("{function: a.b}", reward))


def test_all_faults_show_at_once(tmp_path: Path) -> None:
    told = refused(tmp_path, GOOD + "ppo: {klcoef: 1}\nsft: {strategy: lroa}\nstratgy: full\n")
    assert len(told.splitlines()) == 3


def test_both_other_stages_take_the_other_engine(tmp_path: Path) -> None:
    text = GOOD.replace("{function: a.b}", "{data: r.jsonl, engine: hf}")
    config = read(tmp_path, text + "sft: {engine: hf}\n")
    assert config.sft.engine == config.reward[0].engine == "hf"


def test_keyword_arguments_are_read_alike() -> None:
    values: dict[str, Any] = {"model": "m", "data": "d.csv", "reward": {"function": "a.b"}}
    assert rlhf_config_from(values).reward[0].function == "a.b"
    with pytest.raises(InputError, match="unknown key 'rewrd'"):
        rlhf_config_from({**values, "rewrd": 1})
