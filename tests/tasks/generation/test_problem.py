"""Text generation: what is learned, how it is scored, and what is refused."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import welltuned as wt
from faults import refused
from support import job_for, tune, write_rows
from welltuned import cli
from welltuned.artifact.save_load import load_artifact
from welltuned.data.tokens.encoding import IGNORED
from welltuned.evaluation.predict import predict_outputs, to_device

TASK = {"type": "generation", "max_length": 64, "scored_examples": 4}
SHORT = {"max_new_tokens": 6}


@pytest.fixture(scope="module")
def tuned(causal: Any, instructions: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    task = {**TASK, "decoding": SHORT}
    folder = tmp_path_factory.mktemp("generation") / "run"
    return tune(causal("llama"), instructions, {"type": "full"}, folder, task=task)


def test_tuning_lowers_the_loss_below_that_of_the_untouched_model(tuned: Any) -> None:
    test, before = tuned.results["test"], tuned.results["baselines"]["untrained"]
    assert test["loss"] < before["loss"] - 0.5
    assert test["perplexity"] == pytest.approx(math.exp(test["loss"]))
    low, high = test["loss_ci95"]
    assert low < test["loss"] < high
    assert {"exact_match", "rouge_l", "length_ratio"} <= set(test) and "majority" not in before


def test_answers_stand_beside_their_references_before_and_after(tuned: Any) -> None:
    rows = list(tuned.read_lines("predictions.jsonl"))
    answered = [row for row in rows if "response" in row]
    assert len(answered) == 4 < len(rows)
    assert all(row["reference"].startswith("it was") for row in answered)
    assert any(row["before"] != row["response"] for row in answered)
    assert "Answers" in tuned.report.read_text(encoding="utf-8")


def test_the_loss_is_that_of_the_plain_library(tuned: Any, instructions: str, causal: Any) -> None:
    job = job_for(causal("llama"), instructions, {"type": "full"}, task=TASK)
    batch = to_device(job.problem.codec.collate(job.examples, [0, 5, 9], job.pad_id), job.device)
    job.model.eval()
    with torch.no_grad():
        theirs = job.model(**batch).loss  # the mean over labelled tokens of the batch
        ours = job.problem.objective.loss(job.model, batch) / job.problem.objective.count(batch)
    assert float(ours) == pytest.approx(float(theirs), abs=1e-6)


def test_only_the_answer_is_learned_and_its_end_with_it(causal: Any, instructions: str) -> None:
    """(S4) The tokenizer pads with its end token; the real end is learned all the same."""
    job = job_for(causal("llama"), instructions, {"type": "full"}, task=TASK)
    ids, labels = job.examples.encoded[0], job.examples.encoded.labels
    learned = labels[: len(ids)] != IGNORED
    assert 0 < learned.sum() < len(ids) and not learned[:3].any()
    assert job.pad_id == 5 and ids[learned][-1] == 5
    batch = job.problem.codec.collate(job.examples, list(range(8)), job.pad_id)
    assert (batch["labels"][batch["attention_mask"] == 0] == IGNORED).all()


def test_everything_is_learned_where_asked(causal: Any, instructions: str) -> None:
    task = {**TASK, "train_on": "all"}
    job = job_for(causal("llama"), instructions, {"type": "full"}, task=task)
    assert (job.examples.encoded.labels != IGNORED).mean() > 0.9


def test_packed_rows_have_the_losses_of_their_texts(causal: Any, instructions: str) -> None:
    def loss(packing: bool) -> tuple[float, float, int]:
        task = {**TASK, "packing": packing}
        job = job_for(causal("llama"), instructions, {"type": "full"}, task=task)
        job.model.eval()
        rows = list(range(len(job.examples)))
        batch = to_device(job.problem.codec.collate(job.examples, rows, job.pad_id), job.device)
        with torch.no_grad():
            total = float(job.problem.objective.loss(job.model, batch))
        return total, job.problem.objective.count(batch), len(rows)

    apart, together = loss(False), loss(True)
    assert together[0] == pytest.approx(apart[0], rel=1e-5)
    assert together[1] == apart[1] and together[2] < apart[2]


def test_packing_trains_like_anything_else(causal: Any, instructions: str, tmp_path: Path) -> None:
    task = {**TASK, "packing": True, "scored_examples": 0}
    run = tune(causal("qwen2"), instructions, {"type": "lora"}, tmp_path / "run", task=task)
    assert run.results["cost"]["padding_fraction"] < 0.3
    assert run.results["test"]["loss"] < run.results["baselines"]["untrained"]["loss"]


def test_examples_without_anything_to_learn_are_left_out_and_counted(
    causal: Any, tmp_path: Path
) -> None:
    long = "good " * 60
    rows = [
        {"prompt": f"{long}{i}" if i % 3 == 0 else f"a {i}", "completion": "film book"}
        for i in range(40)
    ]
    data = write_rows(tmp_path / "data.jsonl", rows)
    task = {**TASK, "max_length": 32, "decoding": SHORT}
    run = tune(causal("gpt2"), data, {"type": "full"}, tmp_path / "run", task=task)
    notes = {note["code"]: note["values"] for note in run.read("data.json")["notes"]}
    left_out = notes["task.unlearnable_left_out"]
    assert left_out["max_length"] == 32
    assert all(int(line) % 3 == 1 for line in left_out["lines"].removesuffix(", …").split(", "))


def test_a_tuned_model_answers_texts_and_conversations(tuned: Any) -> None:
    predictor = wt.load(tuned)
    asked: list[Any] = ["was it good", [{"role": "user", "content": "was it good"}]]
    rows = predictor.predict(asked)
    assert [set(row) for row in rows] == [{"id", "prediction"}] * 2
    assert rows[0] == {**rows[1], "id": "texts:1"}


def test_a_file_of_questions_is_answered_and_scored(tuned: Any, instructions: str) -> None:
    predictor = wt.load(tuned)
    answers = list(predictor.answer_file(instructions))
    assert len(answers) == 60 and all(isinstance(row["prediction"], str) for _, row in answers)
    scores = predictor.evaluate(instructions)
    assert scores["examples"] == 60 and 0 <= scores["rouge_l"] <= 1 and scores["loss"] > 0


def test_the_saved_model_is_a_plain_one_with_its_template(tuned: Any) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tuned.model)
    assert type(model).__name__ == "LlamaForCausalLM"
    assert AutoTokenizer.from_pretrained(tuned.model).chat_template
    memory = json.loads((tuned.model / "welltuned.json").read_text(encoding="utf-8"))
    assert memory["task"]["config"]["decoding"]["max_new_tokens"] == 6


def test_evaluation_keeps_three_numbers_an_example(tuned: Any, instructions: str) -> None:
    artifact = load_artifact(tuned.model)
    job = job_for(str(tuned.model), instructions, {"type": "full"}, task=TASK)
    outputs = predict_outputs(artifact.model, job.problem, job.examples, job.pad_id, 8)
    assert outputs.shape == (len(job.examples), 3)
    np.testing.assert_array_equal(outputs[:, 1], job.examples.targets)


@pytest.mark.parametrize(
    ("family", "strategy", "code"),
    [
        ("bert", {"type": "full"}, "task.encoder_cannot_generate"),
        ("llama", {"type": "partial", "num_blocks": 0}, "strategy.nothing_trains"),
    ],
)
def test_what_cannot_work_is_refused(
    family: str, strategy: dict[str, Any], code: str, causal: Any, tiny: Any, instructions: str
) -> None:
    model = tiny(family) if family == "bert" else causal(family)
    with refused(code):
        job_for(model, instructions, strategy, task=TASK)


def test_a_prompt_and_packing_are_refused_together(causal: Any, instructions: str) -> None:
    task = {**TASK, "packing": True}
    with refused("task.packing_unsupported", "task.max_length_too_large", strategy="prompt"):
        job_for(causal("llama"), instructions, {"type": "prompt"}, task=task)


def test_an_answer_comes_piece_by_piece_and_is_the_whole_answer(tuned: Any) -> None:
    predictor = wt.load(tuned)
    pieces: list[str] = []
    answer = predictor.say("was it good", pieces.append)
    assert len(pieces) > 1 and "".join(pieces).strip() == answer
    assert answer == predictor.predict(["was it good"])[0]["prediction"]


def test_one_can_talk_with_it_at_a_terminal(
    tuned: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = io.StringIO("was it good\n/new\nwas it good\n/quit\n")
    monkeypatch.setattr("sys.stdin", lines)
    monkeypatch.setattr("sys.argv", ["welltuned", "chat", str(tuned.folder)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr().out.splitlines()
    assert end.value.code == 0 and len(said) == 2 and said[0] == said[1] != ""


def test_a_classifier_cannot_chat(finished: Any) -> None:
    with refused("predict.not_generative"):
        wt.load(finished).say("hello", print)


def test_long_texts_become_rows_that_together_hold_every_token(causal: Any, tmp_path: Path) -> None:
    rows = [{"text": " ".join(["film", "book", "good"] * (10 + i))} for i in range(30)]
    data = write_rows(tmp_path / "texts.jsonl", rows)
    split = job_for(causal("llama"), data, {"type": "full"}, task={**TASK, "max_length": 16})
    cut = {**TASK, "max_length": 16, "long_texts": "cut"}
    short = job_for(causal("llama"), data, {"type": "full"}, task=cut)
    assert split.examples.targets.sum() > 2 * short.examples.targets.sum()
    assert split.examples.lengths.max() == 16 and not split.examples.encoded.truncated.any()
    assert short.examples.encoded.truncated.all()
