"""Using a tuned model from Python."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import welltuned as wt
from faults import refused
from support import hashed_anew, make_rows, write_rows
from welltuned.artifact.predictor import Predictor
from welltuned.data.config import DataConfig
from welltuned.runs import Run

TEXTS = [row["text"] for row in make_rows(9, seed=5)]


@pytest.fixture(scope="module")
def predictor(finished: Run) -> Predictor:
    return wt.load(finished)


def positive(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    return [row["probabilities"]["positive"] for row in rows]


# --- Where it is loaded from ---------------------------------------------------


def test_a_run_its_folder_and_its_model_folder_are_one(
    finished: Run, predictor: Predictor, tmp_path: Path
) -> None:
    expected = predictor.predict(TEXTS)
    away = shutil.copytree(finished.model, tmp_path / "away")
    for source in (finished.folder, str(finished.folder), finished.model, away):
        assert wt.load(source).predict(TEXTS) == expected


def test_the_home_folder_is_understood(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(finished.model, tmp_path / "mine")
    assert len(wt.load("~/mine").predict(TEXTS)) == len(TEXTS)


def test_the_answers_are_those_of_the_test_split(finished: Run, predictor: Predictor) -> None:
    rows = list(finished.read_lines("predictions.jsonl"))
    answers = predictor.predict([row["text"] for row in rows])
    assert [answer["prediction"] for answer in answers] == [row["prediction"] for row in rows]
    assert positive(answers) == pytest.approx(positive(rows), abs=1e-5)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with refused("run.folder_missing"):
        wt.load(tmp_path / "nothing")


def test_a_folder_of_something_else_is_refused(tmp_path: Path, tiny: Any) -> None:
    for folder in (tmp_path, tiny("bert")):
        with refused("artifact.neither_run_nor_model"):
            wt.load(folder)


@pytest.mark.parametrize("state", ["running", "failed", "stopped"])
def test_a_run_without_a_model_is_refused_with_its_state(state: str, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run")
    run.set_status(state)
    with refused("run.without_model", state=state):
        wt.load(run)


def test_a_model_that_was_not_proved_is_refused(finished: Run, tmp_path: Path) -> None:
    """A run that fails in its proof has a model folder, and it is not to be trusted."""
    folder = shutil.copytree(finished.folder, tmp_path / "run")
    (folder / "results.json").unlink()
    Run(folder).set_status("failed", 3, "RunFailed: outputs differ")
    with refused("run.without_model", state="failed"):
        wt.load(folder)


# --- Answers -------------------------------------------------------------------


def test_no_text_has_no_answer(predictor: Predictor) -> None:
    assert predictor.predict([]) == []
    assert list(predictor.stream([])) == []


def test_answers_come_in_the_order_of_the_texts(predictor: Predictor) -> None:
    """Whatever their lengths, and however they are batched."""
    alone = [predictor.predict([text])[0] for text in TEXTS]
    assert len({len(text.split()) for text in TEXTS}) > 3
    assert len(set(positive(alone))) > 3
    for size in (1, 2, 64):
        together = predictor.predict(TEXTS, batch_size=size)
        assert positive(together) == pytest.approx(positive(alone), abs=2e-6)
    backwards = predictor.predict(TEXTS[::-1])[::-1]
    assert positive(backwards) == pytest.approx(positive(alone), abs=2e-6)


def test_an_answer_names_the_likeliest_label(predictor: Predictor) -> None:
    for row in predictor.predict(TEXTS):
        assert set(row["probabilities"]) == {"negative", "positive"}
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["prediction"] == max(row["probabilities"], key=row["probabilities"].get)


def test_a_stream_is_answered_batch_by_batch(predictor: Predictor) -> None:
    read: list[str] = []

    def endless() -> Iterator[str]:
        while True:
            read.append("good")
            yield "good"

    answers = predictor.stream(endless(), batch_size=3)
    first = next(answers)
    assert len(read) == 3
    assert first["id"] == "texts:1"
    again = [next(answers) for _ in range(2)]
    assert again == [{**first, "id": "texts:2"}, {**first, "id": "texts:3"}]
    next(answers)
    assert len(read) == 6


def test_texts_of_like_length_are_batched_wherever_they_stand(predictor: Predictor) -> None:
    texts = ["good", "bad " * 40] * 16
    widths: list[int] = []

    def hear(module: object, given: object, named: Mapping[str, torch.Tensor]) -> None:
        widths.append(named["input_ids"].shape[1])

    with predictor.model.register_forward_pre_hook(hear, with_kwargs=True):
        predictor.predict(texts, batch_size=8)
    assert widths == [42, 42, 3, 3]


def test_a_text_longer_than_the_model_takes_is_cut(predictor: Predictor) -> None:
    long = "good " * 500
    (cut,), (whole,) = predictor.predict([long]), predictor.predict(["good " * 62])
    assert cut == {**whole, "cut": True}


def test_the_model_is_at_hand_for_those_who_want_more(predictor: Predictor) -> None:
    batch = predictor.tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        shares = predictor.model(**batch).logits.softmax(-1)[:, 1]
    assert shares.tolist() == pytest.approx(positive(predictor.predict(TEXTS)), abs=2e-6)
    assert predictor.device.type == "cpu"
    assert not predictor.model.training


# --- Another labelled file -----------------------------------------------------


def test_evaluating_the_test_rows_again_gives_the_scores_of_the_run(
    finished: Run, predictor: Predictor, tmp_path: Path
) -> None:
    rows = [
        {"text": row["text"], "label": row["label"]}
        for row in finished.read_lines("predictions.jsonl")
    ]
    scores = predictor.evaluate(write_rows(tmp_path / "again.jsonl", rows))
    test = finished.results["test"]
    assert scores.pop("examples") == len(rows)
    assert scores["log_loss"] == pytest.approx(test["log_loss"], abs=1e-5)
    for name in ("accuracy", "macro_f1", "accuracy_ci95", "confusion", "per_class"):
        assert scores[name] == test[name]


def test_columns_of_another_file_can_be_named(predictor: Predictor, tmp_path: Path) -> None:
    rows = [{"words": "good film", "mood": "positive"}, {"words": "bad", "mood": "negative"}]
    file = write_rows(tmp_path / "other.jsonl", rows)
    data = DataConfig(train=file, columns={"text": "words", "label": "mood"})
    assert predictor.evaluate(file, data)["examples"] == 2


def test_labels_the_model_does_not_know_are_refused(predictor: Predictor, tmp_path: Path) -> None:
    rows = [{"text": "good", "label": "positive"}, {"text": "bad", "label": "mixed"}]
    with refused("task.label_unseen", place=f"{tmp_path}/other.jsonl:2", label="mixed"):
        predictor.evaluate(write_rows(tmp_path / "other.jsonl", rows))


def test_a_file_without_labels_cannot_be_evaluated(predictor: Predictor, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "other.jsonl", [{"text": "good", "length": 4, "more": 5}])
    with refused("data.column_missing", role="label"):
        predictor.evaluate(file)


# --- The base model of an adapter ----------------------------------------------


@pytest.fixture
def moved(tiny: Any, adapted: Run, tmp_path: Path) -> tuple[Path, Path]:
    """(an adapter, the base model it stands on), both free to be spoilt."""
    base = Path(shutil.copytree(tiny("bert"), tmp_path / "base"))
    model = Path(shutil.copytree(adapted.model, tmp_path / "model"))
    for file in (model / "welltuned.json", model / "adapter_config.json"):
        file.write_text(file.read_text().replace(tiny("bert"), str(base)))
    return hashed_anew(model), base


def test_an_adapter_answers_on_its_own_base(
    moved: tuple[Path, Path], adapted: Run, tiny: Any
) -> None:
    model, base = moved
    assert wt.load(model).predict(TEXTS) == wt.load(adapted).predict(TEXTS)
    assert str(base) != tiny("bert")


def test_an_adapter_is_merged_and_answers_as_it_did_beside_its_base(adapted: Run) -> None:
    merged, beside = (Predictor.load(adapted, merge=merge) for merge in (True, False))
    assert not any("lora" in name for name, _ in merged.model.named_parameters())
    assert any("lora" in name for name, _ in beside.model.named_parameters())
    found = positive(merged.predict(TEXTS))
    assert found == pytest.approx(positive(beside.predict(TEXTS)), abs=1e-5)


def test_an_adapter_whose_base_has_changed_is_refused(moved: tuple[Path, Path]) -> None:
    """One weight, a little: it would answer, and wrongly."""
    model, base = moved
    tensors = load_file(base / "model.safetensors")
    tensors["encoder.layer.1.output.dense.weight"][0, 0] += 1e-6
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    with refused("artifact.base_changed"):
        wt.load(model)


def test_an_adapter_whose_base_is_gone_is_refused(moved: tuple[Path, Path]) -> None:
    model, base = moved
    shutil.rmtree(base)
    with refused("artifact.base_unreadable"):
        wt.load(model)
