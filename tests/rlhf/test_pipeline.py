"""The pipeline of three runs, whole: on tiny models, as users start it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import welltuned as wt
from counting import count_work
from drawing import without_charts
from faults import codes, fails, refused
from pipelines import SHORT, generation, values_of
from support import STRATEGIES, make_rows, write_rows
from welltuned.errors import InputError
from welltuned.reports.write import write_report
from welltuned.rlhf.read_config import rlhf_config_from
from welltuned.rlhf.stages import check_stages
from welltuned.runs import Run
from welltuned.runs.checkpoints import load_checkpoint, newest_checkpoint
from welltuned.training.preparation.data_cache import DataCache

pytestmark = pytest.mark.charts


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def bandit(tiny: Callable[..., str], sentiment: str, tmp_path_factory: Any) -> Run:
    """A finished classification pipeline. To be read, not changed."""
    folder = tmp_path_factory.mktemp("bandit") / "run"
    return wt.train(values_of(tiny("bert"), sentiment, folder))


@pytest.fixture(scope="module")
def writer(causal: Callable[..., str], stories: str, tmp_path_factory: Any) -> Run:
    """A finished generation pipeline. To be read, not changed."""
    folder = tmp_path_factory.mktemp("writer") / "run"
    ppo = {"second_reward": {"function": "my_judges.wants_negative"}, "missing_eos_penalty": 0.1}
    return wt.train(generation(causal("llama"), stories, folder, ppo=ppo))


@pytest.fixture
def copied(bandit: Run, tmp_path: Path) -> Run:
    """The finished pipeline again, to be changed."""
    shutil.copytree(bandit.folder, tmp_path / "run")
    return Run(tmp_path / "run")


def restart(run: Run, **changes: Any) -> Run:
    """The pipeline started again on its folder, from the config it left there."""
    values = yaml.safe_load((run.folder / "config.yaml").read_text(encoding="utf-8"))
    values["output_dir"] = str(run.folder)
    for key, change in changes.items():
        values[key] = {**values[key], **change} if isinstance(change, dict) else change
    with pytest.MonkeyPatch.context() as patch:
        without_charts(patch)
        return wt.train(values)


def unfinish(run: Run, stage: str) -> None:
    Run(run.folder / "stages" / stage).set_status("failed", 3, "as if")


# --- What it reads ---------------------------------------------------------------


def test_all_stages_together_read_and_tokenise_once(
    tiny: Any, sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checks, runs, forecasts and prompts: each file is read once, each split tokenised once."""
    work = count_work(monkeypatch)
    reward = rated(tmp_path / "rated.jsonl", "negative", "positive")
    ppo = {"allow_weak_reward": True}
    wt.train(values_of(tiny("bert"), sentiment, tmp_path / "run", reward=reward, ppo=ppo))
    assert work.read == {sentiment: 1, reward["data"]: 1}
    assert work.times_tokenised(sentiment) == work.times_tokenised(reward["data"]) == {1}


# --- What it leaves ---------------------------------------------------------------


def test_three_runs_and_a_whole_are_left(bandit: Run) -> None:
    assert bandit.state == "finished"
    for stage in ("sft", "rl"):
        run = Run(bandit.folder / "stages" / stage)
        assert run.state == "finished" and run.report.exists()
        assert run.proven_model() == run.model
    assert not (bandit.folder / "stages" / "reward").exists()  # a function is not trained
    results = bandit.results
    assert results["stages"] == {
        "sft": "stages/sft",
        "reward": [{"name": "my_judges.wants_negative", "weight": 1.0, "run": None}],
        "rl": "stages/rl",
    }
    assert bandit.config["pipeline"] == "rlhf"


def test_the_reward_rises_and_the_errors_move_where_it_wants_them(bandit: Run) -> None:
    test, before = bandit.results["test"], bandit.results["baselines"]["sft"]
    assert test["reward"] > before["reward"] and test["reward_gain"] > 0
    assert test["reward_gain"] == pytest.approx(test["reward"] - before["reward"])
    low, high = test["reward_gain_ci95"]
    assert low <= test["reward_gain"] <= high
    negative = np.array(test["confusion"])[:, 0].sum()
    assert negative > np.array(before["confusion"])[:, 0].sum()
    assert before["kl"] == 0 and test["kl"] > 0
    assert test["share.negative"] == pytest.approx(negative / np.array(test["confusion"]).sum())


def test_numbers_agree_with_the_predictions_file(bandit: Run) -> None:
    rows = lines(bandit.folder / "stages/rl/predictions.jsonl")
    test = bandit.results["test"]
    assert len(rows) == np.array(test["confusion"]).sum()
    assert test["reward"] == pytest.approx(np.mean([row["reward"] for row in rows]))
    gains = [row["reward"] - row["reward_before"] for row in rows]
    assert test["reward_gain"] == pytest.approx(np.mean(gains))
    accuracy = np.mean([row["prediction"] == row["label"] for row in rows])
    assert test["accuracy"] == pytest.approx(accuracy)
    for row in rows:
        assert row["prediction"] == row["response"]
        assert row["reward"] == (1.0 if row["response"] == "negative" else -0.5)


def test_the_pipeline_and_its_last_stage_load_and_answer_as_they_were_tested(bandit: Run) -> None:
    rows = lines(bandit.folder / "stages/rl/predictions.jsonl")
    for where in (bandit, bandit.folder / "stages" / "rl"):
        answers = wt.load(where).predict([row["prompt"] for row in rows])
        assert [answer["prediction"] for answer in answers] == [row["response"] for row in rows]


def test_every_batch_and_look_is_noted(bandit: Run) -> None:
    folder = bandit.folder / "stages" / "rl"
    metrics = lines(folder / "metrics.jsonl")
    train = [row for row in metrics if row["split"] == "train"]
    looks = [row for row in metrics if row["split"] == "validation"]
    assert [row["step"] for row in train] == [1, 2, 3, 4, 5, 6]
    assert [row["episodes"] for row in train] == [16, 32, 48, 64, 80, 96]
    assert [row["step"] for row in looks] == [0, 2, 4, 6]
    assert looks[0]["kl"] == 0 and {"reward", "kl", "share.negative"} <= set(looks[0])
    assert abs(train[0]["kl"]) < 1e-6
    samples = lines(folder / "samples.jsonl")
    assert {row["step"] for row in samples} == {0, 2, 4, 6}
    assert {"prompt", "response", "reward", "kl"} <= set(samples[0])


def test_memory_is_told_before_and_measured_after(bandit: Run) -> None:
    memory, cost = bandit.results["memory"], bandit.results["cost"]
    assert memory["roles"]["policy"] > memory["roles"]["reference"] > 0
    assert cost["peak_memory_bytes"] > sum(memory["roles"].values())
    assert set(cost["seconds"]) == {"rollout", "reward", "learning", "looking"}


def test_the_rl_stage_says_where_its_time_went(bandit: Run) -> None:
    stage = Run(bandit.folder / "stages/rl")
    cost = stage.results["cost"]
    parts = {"load", "rollout", "reward", "learning", "looking", "test", "save", "proof", "report"}
    assert parts <= set(cost["phases"])
    for part in ("rollout", "reward", "looking"):
        assert cost["phases"][part] == pytest.approx(cost["seconds"][part], rel=0.01, abs=0.01)
    assert "scoring responses" in stage.report.read_text(encoding="utf-8")


def test_a_generator_is_told_by_what_it_says(writer: Run) -> None:
    results = writer.results
    test, before = results["test"], results["baselines"]["sft"]
    facts = {"length", "eos_rate", "distinct_1", "distinct_2", "repetition", "empty"}
    assert facts | {"second_reward", "second_reward_ci95"} <= set(test) & set(before)
    rows = lines(writer.folder / "stages/rl/predictions.jsonl")
    assert {"prompt", "before", "response", "reward", "reward_before", "second_reward"} <= set(
        rows[0]
    )
    assert all("label" not in row for row in rows)
    assert isinstance(wt.load(writer).predict(["the film"])[0]["prediction"], str)


def test_pages_tell_the_story_from_the_folders_alone(bandit: Run, writer: Run) -> None:
    for run in (bandit, writer):
        page = run.report.read_text(encoding="utf-8")
        assert "What PPO changed" in page and 'href="stages/sft/report.html"' in page
        assert "<svg" in page and "http://" not in page.replace("http://www.w3.org", "")
        stage = (run.folder / "stages/rl/report.html").read_text(encoding="utf-8")
        assert "Watched besides the reward" in stage and "memory: reference" in stage
    assert "Errors before and after" in bandit.report.read_text(encoding="utf-8")
    assert "second reward" in writer.report.read_text(encoding="utf-8")


def test_reports_can_be_written_again(copied: Run, bandit: Run) -> None:
    for folder in (copied.folder, copied.folder / "stages/rl", copied.folder / "stages/sft"):
        page = (folder / "report.html").read_text(encoding="utf-8")
        (folder / "report.html").unlink()
        write_report(Run(folder))
        again = (folder / "report.html").read_text(encoding="utf-8")
        # Where no command was noted, the page says where the folder is.
        assert again.replace(str(copied.folder), str(bandit.folder)) == page


def test_a_tuned_policy_can_be_exported_and_tuned_further(bandit: Run, tmp_path: Path) -> None:
    from welltuned.deployment.export.run_export import export_run

    export_run(bandit.folder, "plain", tmp_path / "plain")
    assert (tmp_path / "plain" / "config.json").exists()
    ppo = bandit.folder / "stages" / "rl"
    values = yaml.safe_load((bandit.folder / "config.yaml").read_text(encoding="utf-8"))
    values |= {"sft": str(ppo), "output_dir": str(tmp_path / "again"), "strategy": None}
    values["rl"] |= {"total_episodes": 16}
    again = wt.train(values)
    assert again.results["baselines"]["sft"]["reward"] == bandit.results["test"]["reward"]


def test_reports_of_earlier_releases_can_be_written_again(copied: Run, bandit: Run) -> None:
    """As folders were while there was one algorithm alone."""
    stage = Run(copied.folder / "stages" / "rl")
    config = {key: value for key, value in stage.config.items() if key not in ("rl", "title")}
    options = {key: value for key, value in stage.config["rl"].items() if key != "type"}
    stage.write("config.yaml", {**config, "stage": "ppo", "ppo": options})
    facts = stage.read("data.json")
    facts["task"] = {"problem": "single_label", "labels": facts["task"]["labels"]}
    stage.write("data.json", facts)
    stages = {key: value for key, value in copied.results["stages"].items() if key != "rl"}
    copied.write("results.json", {**copied.results, "stages": {**stages, "ppo": "stages/ppo"}})
    stage.folder.rename(copied.folder / "stages" / "ppo")
    for name, today in (("", "."), ("stages/ppo", "stages/rl")):
        page = write_report(Run(copied.folder / name)).read_text(encoding="utf-8")
        before = (bandit.folder / today / "report.html").read_text(encoding="utf-8")
        assert "<h1>PPO" in page or "3 · PPO" in page
        assert page.count("<svg") == before.count("<svg") > 0
        assert page.count("<td") == before.count("<td") > 0


def test_runs_and_data_can_be_looked_at(bandit: Run) -> None:
    from welltuned.cli.console.runs import describe_runs
    from welltuned.cli.data_request import read_data_request
    from welltuned.training.preparation.data_summary import summarise_data

    rows = {Path(row["run"]).name: row for row in describe_runs(bandit.folder)}
    assert {"run", "sft", "rl"} == set(rows)
    assert rows["run"]["strategy"] == "rlhf" and rows["rl"]["strategy"] == "lora"
    assert rows["run"]["metric"] == "reward"
    assert rows["run"]["score"] == bandit.results["test"]["reward"]
    asked = read_data_request(str(bandit.folder / "config.yaml"), [])
    facts = summarise_data(asked.data, asked.task, asked.model).facts
    assert facts.task["labels"] == ["negative", "positive"]


# --- Going on ---------------------------------------------------------------------


def test_started_again_nothing_is_run_again(copied: Run) -> None:
    before = {file: file.stat().st_mtime_ns for file in (copied.folder / "stages").rglob("*.json*")}
    again = restart(copied)
    assert again.results["test"] == copied.results["test"]
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_a_stage_that_failed_is_run_again_and_its_remains_are_kept(copied: Run) -> None:
    first = copied.results["test"]["reward"]
    made = (copied.folder / "stages/sft/status.json").stat().st_mtime_ns
    unfinish(copied, "rl")
    again = restart(copied)
    assert again.state == "finished"
    assert Run(copied.folder / "stages/rl").state == "finished"
    assert Run(copied.folder / "stages/rl-unfinished").state == "failed"
    assert (copied.folder / "stages/sft/status.json").stat().st_mtime_ns == made
    assert again.results["test"]["reward"] == first  # the same seed, the same run


def test_what_a_finished_stage_was_made_with_must_not_change(copied: Run) -> None:
    with refused("rlhf.finished_stages_differ", changes="rl.kl_coef: 0.05 then, 0.5 now"):
        restart(copied, rl={"kl_coef": 0.5})
    unfinish(copied, "rl")
    with refused("rlhf.finished_stages_differ", changes="strategy.r: 4 then, 7 now"):
        restart(copied, strategy={"r": 7})
    # And nothing was touched by these attempts.
    assert yaml.safe_load((copied.folder / "config.yaml").read_text())["rl"]["kl_coef"] == 0.05


def test_what_is_unfinished_may_change(copied: Run) -> None:
    unfinish(copied, "rl")
    again = restart(copied, rl={"total_episodes": 16, "kl_coef": 0.5})
    assert again.results["training"]["episodes"] == 16
    assert again.config["rl"]["kl_coef"] == 0.5


def test_a_folder_of_something_else_is_left_alone(copied: Run, sentiment: str) -> None:
    with refused("rlhf.folder_in_use"):
        wt.train(values_of("m", sentiment, copied.folder / "stages" / "sft"))


def test_a_reward_that_breaks_loses_nothing(copied: Run) -> None:
    unfinish(copied, "rl")
    with fails("rlhf.reward_failed", name="my_judges.breaks"):
        restart(copied, reward=[{"function": "my_judges.breaks"}])
    assert copied.state == "failed" and "gone home" in str(copied.status["error"])
    assert Run(copied.folder / "stages/sft").state == "finished"
    assert restart(copied, reward=[{"function": "my_judges.wants_negative"}]).state == "finished"


# --- Explosions -------------------------------------------------------------------


def code_of(said: object) -> str:
    """The code of a message in a run's results."""
    assert isinstance(said, dict)
    return str(said["code"])


def test_an_explosion_stops_and_goes_back_to_the_last_good_weights(copied: Run) -> None:
    unfinish(copied, "rl")
    limit = lines(copied.folder / "stages/rl/metrics.jsonl")
    kl = {row["step"]: row["kl"] for row in limit if row["split"] == "train"}
    assert kl[3] < kl[4] < kl[5]
    again = restart(copied, rl={"max_kl": (kl[4] + kl[5]) / 2})
    training = again.results["training"]
    assert code_of(training["exploded"]) == "rlhf.kl_too_large" and training["went_back_to"] == 4
    assert training["steps"] == 5 and again.state == "finished"
    kept = newest_checkpoint(again.folder / "stages/rl/checkpoints")
    assert kept is not None and kept.name == "step-4"
    weights, state = load_checkpoint(kept)
    tuned = dict(wt.load(again, merge=False).model.named_parameters())
    for name, tensor in weights.items():
        if not name.startswith("value."):
            assert torch.equal(tuned[name], tensor), name
    assert again.results["validation"] == pytest.approx(state["validation"])
    assert "PPO stopped early" in again.report.read_text(encoding="utf-8")


def test_an_explosion_before_the_first_look_fails_with_a_remedy(copied: Run) -> None:
    unfinish(copied, "rl")
    with fails("rlhf.exploded", number=2):
        restart(copied, rl={"max_kl": 1e-6, "eval_steps": 3})


def test_weights_that_are_no_numbers_are_an_explosion(
    copied: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from welltuned.rlhf import learner, loop

    unfinish(copied, "rl")
    real = learner.step

    def spoil(learner: Any, rollout: Any, scores: Any) -> Any:
        stats = real(learner, rollout, scores)
        if learner.batches == 5:
            with torch.no_grad():
                next(iter(learner.groups[0].parameters)).fill_(float("nan"))
        return stats

    monkeypatch.setattr(loop, "step", spoil)
    again = restart(copied)
    assert code_of(again.results["training"]["exploded"]) == "rlhf.probabilities_not_finite"
    assert again.results["training"]["went_back_to"] == 4


# --- Stages replaced, skipped, or of a kind that cannot be ------------------------


def test_a_finished_run_replaces_the_first_stage(
    bandit: Run, sentiment: str, tiny: Callable[..., str], tmp_path: Path
) -> None:
    sft = bandit.folder / "stages" / "sft"
    values = values_of(tiny("bert"), sentiment, tmp_path / "run", sft=str(sft))
    del values["strategy"]  # as the run had it
    values["ppo"]["total_episodes"] = 16
    run = wt.train(values)
    assert not (run.folder / "stages" / "sft").exists()
    used = run.folder / str(run.results["stages"]["sft"])
    assert used != sft
    assert used.resolve() == sft.resolve()
    ppo = Run(run.folder / "stages/rl")
    assert ppo.config["strategy"]["type"] == "lora"


def test_a_generator_may_skip_it(
    causal: Callable[..., str], stories: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the policy is checked on and what it is asked are the same file, read once."""
    work = count_work(monkeypatch)
    values = generation(causal("llama"), stories, tmp_path / "run", sft="skip")
    values["ppo"]["total_episodes"] = 16
    run = wt.train(values)
    assert work.read == {stories: 1}
    assert run.results["stages"]["sft"] is None and run.results["skipped"] == ["sft"]
    assert [path.name for path in (run.folder / "stages").iterdir()] == ["rl"]
    assert "Skipped" in run.report.read_text(encoding="utf-8")


def test_a_judge_can_be_trained_and_judges_with_its_label(
    causal: Callable[..., str],
    tiny: Callable[..., str],
    stories: str,
    sentiment: str,
    tmp_path: Path,
) -> None:
    judge = {
        "model": tiny("bert"), "data": sentiment, "label": "positive",
        "task": {"type": "classification", "pooling": "mean"}, "strategy": "full",
        "training": {**SHORT, "num_train_epochs": 3}, "evaluation": {"untrained": False},
    }  # fmt: skip
    values = generation(
        causal("llama"), stories, tmp_path / "run", sft="skip",
        reward=[judge, {"function": "my_judges.wants_good", "weight": 0.5}],
        ppo={"total_episodes": 16, "allow_weak_reward": True},
    )  # fmt: skip
    run = wt.train(values)
    assert [row["run"] for row in run.results["stages"]["reward"]] == ["stages/reward", None]
    assert Run(run.folder / "stages/reward").results["test"]["accuracy"] >= 0
    assert 'href="stages/reward/report.html"' in run.report.read_text(encoding="utf-8")


@pytest.fixture
def weak(classified: Callable[..., Run], tmp_path: Path) -> Run:
    """A run whose results say that it guesses."""
    run = classified("full")
    shutil.copytree(run.folder, tmp_path / "weak")
    weak = Run(tmp_path / "weak")
    results = weak.results
    results["test"] |= {"accuracy": 0.5, "accuracy_ci95": [0.4, 0.6]}
    results["baselines"] = {"majority": {"accuracy": 0.5}}
    weak.write("results.json", results)
    return weak


def test_ppo_does_not_start_on_a_judge_that_guesses(
    weak: Run, causal: Callable[..., str], stories: str, tmp_path: Path
) -> None:
    reward = {"run": str(weak.folder), "label": "positive"}
    values = generation(causal("llama"), stories, tmp_path / "run", sft="skip", reward=reward)
    values["ppo"] |= {"total_episodes": 16}
    with refused("rlhf.reward_no_better_than_chance", place=str(weak.folder)):
        wt.train(values)
    assert not (tmp_path / "run/stages/rl").exists()
    values["ppo"]["allow_weak_reward"] = True
    assert wt.train(values).state == "finished"


def stopped(config: dict[str, Any], *expected: str, **values: Any) -> None:
    """The pipeline is stopped by these faults before its folder is made."""
    with refused(*expected, **values):
        wt.train(config)
    assert not Path(config["output_dir"]).exists()


def test_everything_that_cannot_work_is_said_before_anything_runs(
    tiny: Callable[..., str], causal: Callable[..., str], sentiment: str, stories: str,
    classified: Callable[..., Run], told: Callable[..., Run], tmp_path: Path,
) -> None:  # fmt: skip
    bert, llama, folder = tiny("bert"), causal("llama"), tmp_path / "run"
    asked = partial(values_of, bert, sentiment, folder)
    another = {"found": "generation", "task": "classification", "type": "generation"}
    stopped(asked(sft=str(told("full").folder)), "rlhf.sft_run_of_another_task", **another)
    stopped(asked(sft=str(tmp_path / "none")), "run.not_a_run")
    nowhere = {"function": "nowhere.at_all"}
    stopped(asked(reward=nowhere), "import.failed", path="nowhere.at_all")
    stopped(asked(reward={"run": str(classified("full").folder)}), "rlhf.reward_label_missing")
    stopped(asked(reward={"run": str(told("full").folder)}), "rlhf.run_cannot_judge")
    differing = {"option": "type", "sft": "prefix", "rl": "lora"}
    changed = asked(sft={"strategy": "prefix"}, strategy="lora")
    stopped(changed, "rlhf.adapter_options_differ", **differing)
    long = generation(llama, stories, folder, ppo={"response_length": 64})
    stopped(long, "rlhf.response_length_too_large", response_length=64)
    second = {"second_reward": {"data": sentiment, "label": "positive"}}
    stopped(asked(ppo=second), "rlhf.second_reward_untrained")
    missing = {"data": str(tmp_path / "none.jsonl"), "task": "classification", "label": "x"}
    both = values_of(bert, str(tmp_path / "gone.csv"), folder, reward=missing)
    stopped(both, "data.file_missing", "data.file_missing", place=str(tmp_path / "gone.csv"))


def rated(path: Path, *labels: str) -> dict[str, Any]:
    """A judge to be trained on ratings of these labels."""
    made = [
        {"prompt": row["text"], "response": label, "score": float(row["label"] == "positive")}
        for row in make_rows(60)
        for label in labels
    ]
    return {"data": write_rows(path, made), "training": SHORT}


def test_ratings_of_other_words_than_the_labels_are_refused(
    tiny: Callable[..., str], sentiment: str, tmp_path: Path
) -> None:
    """A judge of 'good' and 'bad' would steer a classifier of other labels anywhere."""
    reward = rated(tmp_path / "rated.jsonl", "good", "bad")
    stopped(
        values_of(tiny("bert"), sentiment, tmp_path / "run", reward=reward),
        "rlhf.judged_responses_not_labels",
        labels="negative, positive",
        found="'bad', 'good'",
    )


def test_a_pipeline_can_begin_from_a_run(adapted: Run, sentiment: str, tmp_path: Path) -> None:
    """Of an adapter: SFT, the judge and the policy go on from the merged model."""
    reward = rated(tmp_path / "rated.jsonl", "negative", "positive")
    values = values_of(str(adapted.folder), sentiment, tmp_path / "run", reward=reward)
    assert check_stages(rlhf_config_from(values), tmp_path / "run", DataCache()) == []


def test_a_label_that_nobody_rated_is_noted(
    tiny: Callable[..., str], sentiment: str, tmp_path: Path
) -> None:
    for labels, noted in (
        (("negative",), ["no judgement is about the label positive"]),
        (("negative", "positive"), []),
    ):
        reward = rated(tmp_path / "rated.jsonl", *labels)
        config = rlhf_config_from(
            values_of(tiny("bert"), sentiment, tmp_path / "run", reward=reward)
        )
        assert check_stages(config, tmp_path / "run", DataCache()) == noted


def test_labels_that_a_finished_run_does_not_know_are_refused(
    tiny: Callable[..., str], classified: Callable[..., Run], tmp_path: Path
) -> None:
    rows = [{**row, "label": f"{row['label']}s"} for row in make_rows(60)]
    data = write_rows(tmp_path / "other.jsonl", rows)
    run = str(classified("full").folder)
    values = values_of(tiny("bert"), data, tmp_path / "run", sft=run, strategy="full")
    with pytest.raises(InputError) as error:
        wt.train(values)
    unseen = {fault.values.get("label") for fault in error.value.faults}
    assert set(codes(error.value.faults)) == {"task.label_unseen"} and "negatives" in unseen
    assert not (tmp_path / "run").exists()


def test_several_processes_are_refused(
    tiny: Callable[..., str], sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    stopped(values_of(tiny("bert"), sentiment, tmp_path / "run"), "rlhf.several_processes")


# --- Other policies ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("sft", "rl"),
    [("full", "lora"), ("lora", "full"), ("full", "partial"), ("gradual", "gradual")],
)
def test_stages_of_different_strategies_make_one_artifact(
    sft: str, rl: str, tiny: Callable[..., str], sentiment: str, tmp_path: Path
) -> None:
    values = values_of(tiny("bert"), sentiment, tmp_path / "run")
    values["sft"] |= {"strategy": STRATEGIES[sft]}
    values["exact"] = values.pop("ppo") | {"strategy": STRATEGIES[rl], "total_episodes": 48}
    run = wt.train(values)
    metrics = lines(run.folder / "stages/rl/metrics.jsonl")
    assert any("change" in row for row in metrics) == (rl == "gradual")
    rows = lines(run.folder / "stages/rl/predictions.jsonl")
    # A pipeline's folder can be moved: an adapter finds the model beside it.
    run.folder.rename(tmp_path / "moved")
    answers = wt.load(tmp_path / "moved").predict([row["prompt"] for row in rows])
    assert [answer["prediction"] for answer in answers] == [row["response"] for row in rows]


def test_the_other_engine_tunes_what_ppo_goes_on_with(
    tiny: Callable[..., str], sentiment: str, tmp_path: Path
) -> None:
    """Both engines give the same policy, and PPO the same answers."""
    found = []
    for engine in ("torch", "hf"):
        values = values_of(tiny("bert"), sentiment, tmp_path / engine)
        values["sft"] |= {"engine": engine}
        values["ppo"] |= {"total_episodes": 16}
        test = wt.train(values).results["test"]
        found.append({name: test[name] for name in ("reward", "kl", "log_loss", "accuracy")})
    assert found[0] == pytest.approx(found[1], abs=1e-4)


# --- The command line and a loop of one's own -------------------------------------


def test_the_command_tells_results_on_standard_output_alone(
    tiny: Callable[..., str], sentiment: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from welltuned import cli

    values = values_of(tiny("bert"), sentiment, tmp_path / "run")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    arguments = ["welltuned", "train", str(tmp_path / "c.yaml"), "ppo.total_episodes=16"]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert end.value.code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "run", "reward", "KL", "accuracy", "macro_f1", "cost", "time", "report",
    ]  # fmt: skip
    assert "memory by role: policy" in err and "PPO 1/1 · reward" in err
    assert "ppo.total_episodes=16" in Run(tmp_path / "run").report.read_text(encoding="utf-8")
    monkeypatch.setattr("sys.argv", [*arguments, "ppo.klcoef=1"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2 and "did you mean 'kl_coef'" in capsys.readouterr().err


def test_a_loop_of_ones_own(classified: Callable[..., Run], tmp_path: Path) -> None:
    run = classified("lora")
    learner = wt.rl.start(run, total_batches=3, learning_rate=1e-2, batch_size=8)
    texts = [row["text"] for row in make_rows(8, seed=9)]
    stats = []
    for _ in range(3):
        rollout = learner.rollout(texts)
        assert rollout.prompts == texts
        stats.append(
            wt.rl.step(learner, rollout, [float(r == "negative") for r in rollout.responses])
        )
    assert stats[-1].reward > stats[0].reward and stats[0].kl == 0
    folder = wt.rl.save(learner, tmp_path / "policy")
    answers = [row["prediction"] for row in wt.load(folder).predict(texts)]
    now = learner.rollout(texts).all_logprobs_BK
    assert now is not None
    names = learner.actor.policy.problem.labels
    assert answers == [names[i] for i in now.argmax(1).tolist()]
    with refused("export.target_in_use"):
        wt.rl.save(learner, folder)
    with refused("config.key_unknown", key="rl.kl_coeff"):
        wt.rl.start(run, total_batches=3, kl_coeff=1)
