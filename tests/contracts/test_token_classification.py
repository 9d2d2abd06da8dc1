"""Token classification end to end: every strategy, every family, both engines."""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from faults import refused
from sentences import make_sentences, write_conll
from support import DECODERS, ENCODERS, STRATEGIES, fit, job_for, short_tune, tune, write_rows
from welltuned import cli
from welltuned.artifact.predictor import Predictor
from welltuned.artifact.save_load import load_artifact
from welltuned.cli.console import answers
from welltuned.data.tokens.encoding import IGNORED
from welltuned.deployment.export.run_export import export_run
from welltuned.engines import hf_trainer, torch_loop
from welltuned.engines.accumulate import accumulate
from welltuned.engines.events import Listener, Step
from welltuned.engines.step_plan import StepPlan
from welltuned.engines.throughput import Meter
from welltuned.metrics import EntityPredictions

TASK = "token_classification"
TEXTS = [" ".join(words) for words, _ in make_sentences(9, seed=5)]


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_conll(tmp_path_factory.mktemp("data") / "few.conll", make_sentences(30))


@pytest.fixture(scope="module")
def tuned(tiny: Any, few: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`tuned(strategy, family)`: a short run, made once."""

    @cache
    def make(strategy: str, family: str = "bert") -> Any:
        folder = tmp_path_factory.mktemp(f"{strategy}-{family}") / "run"
        training = {"per_device_train_batch_size": 4}
        return short_tune(
            tiny(family), few, STRATEGIES[strategy], folder, task=TASK, training=training
        )

    return make


@pytest.fixture(scope="module")
def learned(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A whole run that learned its task, with its report. To be read, not changed."""
    folder = tmp_path_factory.mktemp("learned")
    data = write_conll(folder / "entities.conll", make_sentences(150))
    training = {"num_train_epochs": 4, "learning_rate": 3e-3}
    return tune(
        tiny("bert"), data, STRATEGIES["full"], folder / "run", task=TASK, training=training
    )


# --- Strategies and families --------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_proves_what_it_promises(strategy: str, tuned: Any) -> None:
    """Frozen bits are unchanged, trainable ones moved, and the saved model answers as trained."""
    run = tuned(strategy)
    proof = run.results["proof"]
    assert run.state == "finished" and proof["frozen_moved"] == 0
    assert proof["trainable_moved"] == proof["trainable_weights"] > 0
    assert proof["reloaded_difference"] <= 1e-5
    assert 0 <= run.results["test"]["entity_f1"] <= 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_padding_changes_no_answer(strategy: str, tuned: Any) -> None:
    """Nor does the longest sentence of the others: words beyond a sentence's own are empty."""
    predictor = Predictor.load(tuned(strategy))
    together = predictor.outputs(predictor.problem.codec.records_of(TEXTS))
    for text, row in zip(TEXTS, together, strict=True):
        (alone,) = predictor.outputs(predictor.problem.codec.records_of([text]))
        np.testing.assert_allclose(row[: len(alone)], alone, atol=2e-5)
        assert not row[len(alone) :].any() and len(alone) == len(text.split())


@pytest.mark.parametrize("family", [*ENCODERS[1:], *DECODERS])
def test_every_family_is_tuned_and_proved(family: str, tuned: Any) -> None:
    run = tuned("full", family)
    assert run.results["proof"]["reloaded_difference"] <= 1e-5
    assert run.results["proof"]["trainable_moved"] == run.results["proof"]["trainable_weights"]


@pytest.mark.parametrize("strategy", ["full", "lora"])
def test_plain_libraries_answer_the_same(strategy: str, tuned: Any, tmp_path: Path) -> None:
    """With transformers' own loader, the merged model too; labels have their names."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    folder = export_run(tuned(strategy).folder, "plain", tmp_path / "plain")
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert type(model).__module__.startswith("transformers.")
    predictor = Predictor.load(tuned(strategy))
    assert model.config.id2label == dict(enumerate(predictor.problem.tags))  # type: ignore[attr-defined]
    for text in TEXTS:
        with torch.no_grad():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
        (ours,) = predictor.outputs(predictor.problem.codec.records_of([text]))
        np.testing.assert_allclose(ours, logits.log_softmax(-1)[1:-1].numpy(), atol=1e-5)


def test_a_family_without_a_head_for_tokens_is_refused_before_weights_load(
    few: str, tmp_path: Path
) -> None:
    from transformers import OPTConfig

    from support import make_tokenizer

    config = OPTConfig(hidden_size=32, num_hidden_layers=2, ffn_dim=48, word_embed_proj_dim=32)
    config.save_pretrained(tmp_path / "model")
    make_tokenizer("decoder", "llama").save_pretrained(tmp_path / "model")
    with refused("task.token_classification_unsupported", family="opt"):
        tune(str(tmp_path / "model"), few, "full", tmp_path / "run", task=TASK)
    assert not (tmp_path / "run").exists()


# --- Engines ------------------------------------------------------------------


class Losses(Listener):
    def __init__(self) -> None:
        self.steps: list[Step] = []

    def stepped(self, step: Step) -> None:
        self.steps.append(step)


def turn(engine: Any, model: str, data: str, folder: Path, **training: Any) -> list[Step]:
    losses = Losses()
    settings = {"num_train_epochs": 1, "label_smoothing_factor": 0.1, **training}
    settings["eval_strategy"] = "no"
    job = job_for(model, data, STRATEGIES["lora"], losses, task=TASK, training=settings)
    job.folder = folder
    fit(engine, job)
    return losses.steps


@pytest.mark.parametrize("accumulation", [1, 4])
def test_the_engines_agree_step_by_step(
    accumulation: int, tiny: Any, few: str, tmp_path: Path
) -> None:
    model = tiny("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    training = {"gradient_accumulation_steps": accumulation, "per_device_train_batch_size": 4}
    plain = turn(torch_loop, model, few, tmp_path, **training)
    hf = turn(hf_trainer, model, few, tmp_path, **training)
    assert len(plain) == len(hf) >= 2
    for ours, theirs in zip(plain, hf, strict=True):
        assert theirs.loss == pytest.approx(ours.loss, abs=1e-6)
        assert theirs.gradient_norm == pytest.approx(ours.gradient_norm, rel=1e-5)


def test_eight_at_once_are_two_times_four(tiny: Any, few: str, tmp_path: Path) -> None:
    """Sentences have unequal numbers of words: a mean of means would weigh them differently."""
    model = tiny("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    once = turn(torch_loop, model, few, tmp_path, per_device_train_batch_size=8)
    split = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    for one, parts in zip(once, turn(torch_loop, model, few, tmp_path, **split), strict=True):
        assert parts.loss == pytest.approx(one.loss, abs=1e-5)


def test_a_step_without_any_labelled_token_has_no_loss(tiny: Any, few: str, tmp_path: Path) -> None:
    """Such as one whose sentences hold only signs that the tokenizer drops."""
    job = job_for(tiny("bert"), few, {"type": "full"}, task=TASK)
    job.examples.encoded.labels[:] = IGNORED
    step = next(iter(StepPlan.of(job.batches, job.training)))
    assert accumulate(job, step, Meter(1), torch.Tensor.backward).total == 0.0


# --- What a person sees -------------------------------------------------------


def test_the_rule_is_learned_and_the_test_split_shows_it(learned: Any) -> None:
    results = learned.results
    assert results["metric"] == "entity_f1" and results["test"]["entity_f1"] > 0.8
    low, high = results["test"]["entity_f1_ci95"]
    assert low <= results["test"]["entity_f1"] <= high
    assert results["baselines"]["majority"]["entity_f1"] == 0.0
    assert set(results["test"]["per_type"]) == {"GOOD", "BAD"}


def test_predictions_hold_words_tags_and_entities(learned: Any) -> None:
    for row in learned.read_lines("predictions.jsonl"):
        assert len(row["words"]) == len(row["label"]) == len(row["prediction"])
        assert row["text"] == " ".join(row["words"])
        for entity in row["entities"]:
            assert entity["text"] == " ".join(row["words"][entity["start"] : entity["stop"]])


def test_the_report_shows_types_and_wrong_sentences(learned: Any) -> None:
    html = learned.report.read_text(encoding="utf-8")
    assert "<th>type</th>" in html and "<td>GOOD</td>" in html
    perfect = learned.results["test"]["entity_f1"] == 1.0
    assert perfect == ("None on this test split" in html)
    assert perfect or re.search(r"\((GOOD|BAD)\)", html)


def test_mistakes_are_sentences_with_what_is_there_and_what_was_found() -> None:
    words = ["Ada", "Lovelace", "in", "Oslo"]
    rows = [
        {"words": words, "label": label, "prediction": prediction, "entities": []}
        for label, prediction in (
            (["B-PER", "I-PER", "O", "B-LOC"], ["B-PER", "O", "O", None]),
            (["O", "O", "O", "B-LOC"], ["O", "O", "O", "O"]),
            (["O", "O", "O", "B-LOC"], ["O", "O", "O", "I-LOC"]),
        )
    ]
    first, second = EntityPredictions.mistakes(rows, 20)
    assert first["label"] == ["Ada Lovelace (PER)", "Oslo (LOC)"]
    assert first["prediction"] == ["Ada (PER)"]
    assert second["label"] == ["Oslo (LOC)"] and second["prediction"] == ["nothing"]


def test_the_saved_model_is_loaded_and_asked_by_lines_or_lists(learned: Any) -> None:
    predictor = Predictor.load(learned)
    assert type(load_artifact(learned.model).model).__name__ == "BertForTokenClassification"
    by_line, by_list = predictor.predict(["the  good film was bad", ["the", "good", "film"]])
    assert by_line["words"] == ["the", "good", "film", "was", "bad"]
    assert [entity["text"] for entity in by_line["entities"]] == ["good", "bad"]
    assert by_list["prediction"] == by_line["prediction"][:3]


def ask(capsys: Any, *arguments: str) -> str:
    """What the command line prints."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["welltuned", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
    found = capsys.readouterr()
    assert stop.value.code == 0, found.err
    return str(found.out)


def test_the_command_line_tags_lines_and_files(learned: Any, tmp_path: Path, capsys: Any) -> None:
    row = json.loads(ask(capsys, "predict", str(learned.folder), "the good film"))
    assert row["text"] == "the good film" and row["entities"][0]["text"] == "good"
    assert answers.pretty(row["text"], row) == "the [good GOOD] film"
    plain = {"words": ["it", "is"], "prediction": ["PRON", None]}
    assert answers.pretty("it is", plain) == "it/PRON is/?"
    for name, content in (
        ("a.conll", "the\ngood\n\nfilm\n"),
        ("a.txt", "the O\ngood O\n\nfilm O\n"),
    ):
        (tmp_path / name).write_text(content)
        lines = ask(capsys, "predict", str(learned.folder), f"data={tmp_path / name}").splitlines()
        assert [json.loads(line)["text"] for line in lines] == ["the good", "film"]


def test_another_file_is_scored(learned: Any, tmp_path: Path, capsys: Any) -> None:
    file = write_conll(tmp_path / "more.conll", make_sentences(30, seed=9))
    assert "entity_f1" in ask(capsys, "evaluate", str(learned.folder), f"data={file}")
    (tmp_path / "odd.conll").write_text("the O\ngood B-ODD\n")
    with refused("task.tag_unseen", position=2, word="good", tag="B-ODD"):
        Predictor.load(learned).evaluate(str(tmp_path / "odd.conll"))


def test_data_are_shown_with_their_tags(few: str, tiny: Any, capsys: Any) -> None:
    shown = ask(capsys, "data", few, f"task={TASK}")
    pairs = [dict(zip(words, tags, strict=True)) for words, tags in make_sentences(30)]
    assert "tags: O " in shown and "I-GOOD" in shown
    tagged = re.findall(r"(\w+)/([BI]-\w+)", shown)
    assert tagged and all(any(tag == row.get(word) for row in pairs) for word, tag in tagged)
    assert "[CLS]·2" in ask(capsys, "data", few, f"task={TASK}", f"model={tiny('bert')}")


def test_plain_tags_run_through_too(tiny: Any, tmp_path: Path) -> None:
    """Parts of speech, say: scored word by word, with a report; some sentences are too long.

    By Hugging Face's Trainer, from the first file to the report.
    """
    rows = [
        {"tokens": words, "pos": [tag.replace("-", "") for tag in tags]}
        for words, tags in make_sentences(40)
    ]
    data = write_rows(tmp_path / "pos.jsonl", rows)
    task = {"type": TASK, "max_length": 8, "label_all_pieces": True}
    run = tune(tiny("bert"), data, {"type": "full"}, tmp_path / "run", task=task, engine="hf")
    assert run.results["metric"] == "accuracy" and "per_class" in run.results["test"]
    notes = [note["code"] for note in run.read("data.json")["notes"]]
    assert {"task.tags_without_entities", "task.words_without_token"} <= set(notes)
    html = run.report.read_text(encoding="utf-8")
    assert "<td>BGOOD</td>" in html and "(?)" in html


def test_with_a_faulty_config_the_data_are_looked_at_as_the_task_reads_them(
    tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "a.conll").write_text("the O\ngood\n")
    (tmp_path / "c.yaml").write_text(
        f"model: m\ndata: {tmp_path / 'a.conll'}\ntask: {{type: {TASK}, max_lenght: 9}}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["welltuned", "train", str(tmp_path / "c.yaml")])
        with pytest.raises(SystemExit):
            cli.main()
    told = capsys.readouterr().err
    assert "did you mean 'max_length'?" in told and "a.conll:2: 1 columns" in told
    assert "data.column_missing" not in told
