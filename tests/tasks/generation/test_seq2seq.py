"""Generation by an encoder-decoder: a run, its answers, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import welltuned as wt
from faults import refused
from support import make_config, tune
from welltuned.artifact.manifest import ArtifactManifest
from welltuned.models import loading
from welltuned.tasks.generation import Generation, GenerationProblem
from welltuned.tasks.generation.seq2seq import Seq2SeqProblem
from welltuned.tasks.preference import Preference

TASK = {"type": "generation", "scored_examples": 4, "decoding": {"max_new_tokens": 6}}


@pytest.fixture(scope="module")
def tuned(two_sided: Any, instructions: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("seq2seq") / "run"
    training = {"num_train_epochs": 4}
    return tune(two_sided("t5"), instructions, "full", folder, task=TASK, training=training)


def test_tuning_lowers_the_loss_and_answers_stand_beside_their_references(tuned: Any) -> None:
    test, before = tuned.results["test"], tuned.results["baselines"]["untrained"]
    assert test["loss"] < before["loss"] - 0.5
    answered = [row for row in tuned.read_lines("predictions.jsonl") if "response" in row]
    assert len(answered) == 4
    assert all(row["reference"].startswith("it was") for row in answered)
    assert any(row["before"] != row["response"] for row in answered)


def test_the_answers_of_the_artifact_are_those_of_plain_transformers(tuned: Any) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    model = AutoModelForSeq2SeqLM.from_pretrained(tuned.model)
    tokenizer = AutoTokenizer.from_pretrained(tuned.model)
    asked = ["was it good", "was it good the room felt cold and slow"]
    found = [row["prediction"] for row in wt.load(tuned).predict(asked)]
    for text, answer in zip(asked, found, strict=True):
        # Its own cache is as deep as the encoder, and this decoder is deeper.
        given = {"max_new_tokens": 6, "use_cache": False}
        ids = model.generate(**tokenizer(text, return_tensors="pt"), **given)
        assert str(tokenizer.decode(ids[0], skip_special_tokens=True)).strip() == answer
    said: list[str] = []
    assert wt.load(tuned).say(asked[0], said.append) == found[0] == "".join(said).strip()


@pytest.mark.slow
@pytest.mark.parametrize("protection", ["l2sp", "ewc", "wise_ft"])
def test_what_was_forgotten_is_measured_on_the_encoder(
    protection: str, two_sided: Callable[..., str], instructions: str, tmp_path: Path
) -> None:
    keys = {"evaluation": {"retention": "auto"}, "protection": [protection]}
    run = tune(two_sided("bart"), instructions, "full", tmp_path / "run", task=TASK, **keys)
    kinds = {entry["kind"] for entry in run.results["retention"].values() if type(entry) is dict}
    assert kinds == {"probe", "cka"}


def test_an_artifact_remembers_that_it_has_an_encoder(tuned: Any) -> None:
    manifest = ArtifactManifest.read(Path(tuned.model))
    assert type(manifest.problem) is Seq2SeqProblem
    assert type(Generation.restore({"config": {}, "style": "chat"})) is GenerationProblem


@pytest.mark.parametrize("key", ["packing: true", "train_on: all"])
def test_what_only_a_decoder_can_do_is_refused(key: str) -> None:
    name, _, value = key.partition(": ")
    task = Generation.model_validate({name: True if value == "true" else value})
    with refused("task.key_of_decoders", key=key):
        task.for_family(GenerationProblem(task, "chat"), make_config("t5"))


def test_a_family_of_one_stack_poses_the_problem_as_it_is() -> None:
    problem = GenerationProblem(Generation(), "chat")
    assert Generation().for_family(problem, make_config("llama")) is problem
    assert Preference().for_family(problem, make_config("t5")) is problem


@pytest.mark.parametrize("task", ["preference", "reward"])
def test_tasks_that_compare_responses_refuse_it_before_weights_load(
    task: str,
    two_sided: Callable[..., str],
    preferences: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "load_model", lambda *_, **__: pytest.fail("weights were loaded"))
    with refused("task.encoder_decoder_unsupported", family="t5"):
        tune(two_sided("t5"), preferences, "lora", tmp_path / "run", task=task)
