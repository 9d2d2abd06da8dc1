"""Stages as runs: which strategy, data and folder each has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from welltuned.data.records import Records
from welltuned.errors import InputError
from welltuned.rlhf.config import RlhfConfig
from welltuned.rlhf.read_config import rlhf_config_from
from welltuned.rlhf.stages import check_stages, reward_runs, sft_run, unjudged
from welltuned.training.preparation.data_cache import DataCache

FOLDER = Path("out/stages")


def config_of(**values: Any) -> RlhfConfig:
    base = {"pipeline": "rlhf", "model": "m", "data": "sft.jsonl", "output_dir": "out"}
    reward = {"data": "pairs.jsonl"}
    return rlhf_config_from({**base, "reward": reward, **values})


def test_supervised_fine_tuning_takes_what_all_stages_share() -> None:
    run = sft_run(config_of(strategy="lora"), FOLDER / "sft")
    assert (run.model.name, run.data.train) == ("m", "sft.jsonl")
    assert run.strategy.type == "lora" and run.output_dir == str(FOLDER / "sft")


def test_the_reports_of_its_runs_are_in_the_language_of_the_pipeline() -> None:
    config = config_of(report={"language": "zh"})
    (reward,) = reward_runs(config, FOLDER / "reward")
    assert reward is not None
    assert sft_run(config, FOLDER).report.language == reward.report.language == "zh"


def test_what_a_stage_says_of_itself_goes_first() -> None:
    stage = {"strategy": "full", "data": "own.jsonl", "training": {"seed": 5}}
    run = sft_run(config_of(strategy="lora", sft=stage), FOLDER / "sft")
    assert run.strategy.type == "full" and run.data.train == "own.jsonl"
    assert run.training.seed == 5


def test_an_encoder_decoder_is_no_policy_and_no_judge(
    two_sided: Callable[..., str], instructions: str, preferences: str, tmp_path: Path
) -> None:
    asked = {"model": two_sided("t5"), "data": instructions, "task": "generation"}
    config = config_of(**asked, reward={"data": preferences})
    with refused("rlhf.encoder_decoder_unsupported", "task.encoder_decoder_unsupported"):
        check_stages(config, tmp_path, DataCache())


def test_without_a_word_of_it_everything_is_trained() -> None:
    assert sft_run(config_of(), FOLDER).strategy.type == "full"
    (run,) = reward_runs(config_of(), FOLDER / "reward")
    assert run is not None and run.strategy.type == "full" and run.task.type == "reward"


def test_all_stages_report_to_the_trackers_of_the_pipeline_or_to_their_own() -> None:
    config = config_of(
        training={"report_to": ["tensorboard", "wandb"]},
        reward={"data": "pairs.jsonl", "training": {"report_to": "mlflow"}},
    )
    (reward,) = reward_runs(config, FOLDER / "reward")
    assert sft_run(config, FOLDER).training.report_to == ("tensorboard", "wandb")
    assert reward is not None and reward.training.report_to == ("mlflow",)


def test_a_tracker_that_is_missing_is_refused_whichever_stages_there_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("welltuned.training.trackers.installed_trackers", lambda: [])
    model = str(tmp_path / "none")  # a name would be looked for on the hub
    config = config_of(model=model, training={"report_to": "mlflow"}, sft="runs/none")
    with pytest.raises(InputError) as raised:
        check_stages(config, tmp_path, DataCache())
    assert "training.tracker_missing" in {fault.code for fault in raised.value.faults}


def test_one_reward_has_the_folder_and_several_have_numbers() -> None:
    (one,) = reward_runs(config_of(), FOLDER / "reward")
    assert one is not None and one.output_dir == str(FOLDER / "reward")
    several = [{"data": "a.jsonl"}, {"function": "math.sqrt"}, {"data": "b.jsonl"}]
    first, none, second = reward_runs(config_of(reward=several), FOLDER / "reward")
    assert none is None, "a function is not trained"
    assert first is not None and first.output_dir == str(FOLDER / "reward-1")
    assert second is not None and second.output_dir == str(FOLDER / "reward-2")
    assert (first.data.train, second.data.train) == ("a.jsonl", "b.jsonl")


def judged(*responses: list[str]) -> Records:
    lines = list(range(1, len(responses) + 1))
    return Records("pairs.jsonl", {"responses": list(responses)}, lines, ("prompt",))


@pytest.mark.parametrize(
    "labels, note",
    [
        (("good", "bad"), []),
        (("good", "bad", "so-so"), ["no judgement is about the label so-so"]),
        (("good", "a", "b"), ["no judgement is about the labels a, b"]),
    ],
)
def test_labels_that_nobody_judged_are_named(labels: tuple[str, ...], note: list[str]) -> None:
    assert unjudged(judged(["good ", "bad"]), labels) == note


def test_judgements_of_other_words_are_refused() -> None:
    with refused(
        "rlhf.judged_responses_not_labels",
        place="pairs.jsonl:1",
        labels="good, bad",
        found="'awful', 'fine'",
    ):
        unjudged(judged(["fine", "awful"]), ("good", "bad"))


def test_an_option_that_the_optimizer_does_not_have_is_refused_at_once(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    config = config_of(
        model=tiny("bert"),
        data=sentiment,
        reward={"function": "a.b"},
        rl={"type": "ppo", "optim": "sgd", "optim_args": {"momentun": 0.5}},
    )
    with pytest.raises(InputError) as raised:
        check_stages(config, tmp_path, DataCache())
    found = {fault.code: fault for fault in raised.value.faults}
    assert "momentum" in found["training.optimizer_option_unknown"].remedy
