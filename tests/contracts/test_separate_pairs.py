"""Pairs read separately: every strategy, both engines, every kind of label; saved and exported.

A pair is alike where both texts approve, or both do not. Dropout is off, so arithmetic is compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from coding import make_functions, save_code_model
from contracts.test_engines import require_same_turns, turn
from faults import refused
from support import (
    STRATEGIES,
    config_values,
    job_for,
    loaded_for,
    logits,
    make_rows,
    short_tune,
    write_rows,
)
from welltuned.artifact.predictor import Predictor
from welltuned.config import run_config_from
from welltuned.deployment.export.run_export import export_run
from welltuned.deployment.open import open_predictor
from welltuned.engines import hf_trainer, torch_loop
from welltuned.evaluation.outputs_and_features import outputs_and_features
from welltuned.evaluation.predict import predict_outputs, to_device
from welltuned.models.modeling_pooled import compare_pairs, pool
from welltuned.tasks.long import Windows
from welltuned.training.forecast.rehearsal import Rehearsal
from welltuned.training.preparation.prepare import prepare

STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
TASK = {"pooling": "mean", "pair": "separate"}
QUICK = ("full", "partial", "lora", "prompt", "prefix", "houlsby")
each_strategy = pytest.mark.parametrize(
    "strategy",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in STRATEGIES],
)


def make_pairs(number: int, seed: int = 0) -> list[dict[str, Any]]:
    """Texts of unlike lengths, beside one that says the same or the opposite."""
    one, other = make_rows(number, seed), make_rows(number + number // 2 * 2, seed + 100)
    rows = []
    for i, row in enumerate(one):
        second = other[i + (i // 2) % 2]
        label = ("unlike", "alike")[row["label"] == second["label"]]
        rows.append({"text": row["text"], "text_pair": second["text"], "label": label})
    return rows


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_rows(tmp_path_factory.mktemp("pairs") / "pairs.jsonl", make_pairs(60))


def batch_of(job: Any, indices: list[int]) -> dict[str, torch.Tensor]:
    return to_device(job.problem.codec.collate(job.examples, indices, job.pad_id), job.device)


# --- What is computed -----------------------------------------------------------------


@each_strategy
def test_each_text_is_read_as_if_it_stood_alone(strategy: str, tiny: Any, pairs: str) -> None:
    """The answer follows from both vectors; batches change nothing, and all that trains learns."""
    job = job_for(tiny("bert", **STILL), pairs, STRATEGIES[strategy], task=TASK)
    batch = batch_of(job, [0, 1, 2, 3])
    assert len(batch["input_ids"]) == 8 and "token_type_ids" not in batch
    found = job.problem.objective.outputs(job.model.eval(), batch)
    alone = [job.problem.objective.outputs(job.model, batch_of(job, [i])) for i in range(4)]
    torch.testing.assert_close(found, torch.cat(alone), atol=1e-5, rtol=1e-4)
    job.problem.objective.loss(job.model.train(), batch).backward()
    trained = [p for p in job.model.parameters() if p.requires_grad]
    assert trained and all(p.grad is not None and p.grad.isfinite().all() for p in trained)


def test_the_head_reads_both_their_distance_and_their_product(tiny: Any, pairs: str) -> None:
    job = job_for(tiny("bert", **STILL), pairs, STRATEGIES["full"], task=TASK)
    model, rows = job.model.eval(), job.examples.rows_of([5])
    vectors = []
    for row in rows:
        ids = torch.from_numpy(job.examples.encoded[row].astype(np.int64))[None]
        states = model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids))
        vectors.append(pool(states.last_hidden_state, None, "mean"))
    first, second = vectors
    read = torch.cat([first, second, (first - second).abs(), first * second], dim=-1)
    assert torch.equal(compare_pairs(torch.cat(vectors)), read)
    expected = model.classifier(read)
    found = job.problem.objective.outputs(model, batch_of(job, [5]))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_each_text_is_tokenised_by_itself(tiny: Any, pairs: str) -> None:
    """And both in one row, where they are read together."""
    one_row = loaded_for(tiny("bert"), pairs, STRATEGIES["full"], task={"pooling": "mean"})
    assert one_row.prepared.examples["train"].windows is None
    prepared = loaded_for(tiny("bert"), pairs, STRATEGIES["full"], task=TASK).prepared
    examples = prepared.examples["train"]
    for i, role in enumerate(("text", "text_pair")):
        alone = prepared.tokenizer(examples.records[role][3])["input_ids"]
        assert examples.encoded[examples.rows_of([3])[i]].tolist() == alone


@pytest.mark.parametrize("strategy", ["full", "partial"])
def test_the_engines_agree(strategy: str, tiny: Any, pairs: str, tmp_path: Path) -> None:
    """Also where the states of frozen blocks are kept."""
    turns = [
        turn(engine, tiny("bert", **STILL), pairs, strategy, tmp_path, task=TASK,
             num_train_epochs=2, max_tokens_per_step=128)
        for engine in (torch_loop, hf_trainer)
    ]  # fmt: skip
    require_same_turns(*turns)
    plain, hf = (one[0] for one in turns)
    assert plain.scores == hf.scores
    assert all(step.tokens <= 128 for step in plain.steps)


def test_features_are_means_of_both_texts(tiny: Any, pairs: str) -> None:
    job = job_for(tiny("bert", **STILL), pairs, STRATEGIES["full"], task=TASK)
    found = outputs_and_features(job.model, job.problem, job.examples, job.pad_id, 8)
    assert found[0].shape == (len(job.examples), 2) and found[1].shape == (len(job.examples), 32)
    one = outputs_and_features(job.model, job.problem, job.examples.take([4]), job.pad_id, 1)
    np.testing.assert_allclose(found[0][4], one[0][0], atol=1e-5)
    np.testing.assert_allclose(found[1][4], one[1][0], atol=1e-5)


def test_a_rehearsal_has_twice_the_rows(tiny: Any, pairs: str) -> None:
    state = loaded_for(tiny("bert"), pairs, STRATEGIES["full"], task=TASK)
    planned = Rehearsal.of(state.prepared, state.config.strategy, torch.device("cpu"))
    assert planned.trainable == sum(weight.numel() for weight in state.model.parameters())
    assert planned.step([np.array([0, 1])]).flops > 1.5 * planned.step([np.array([0])]).flops


# --- Whole runs -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def tuned(tiny: Any, pairs: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`tuned(kind)`: a short run, made once."""
    rows = make_pairs(60)
    sets = [{**row, "label": [row["label"], "any"][: 1 + i % 2]} for i, row in enumerate(rows)]
    numbers = [{**row, "label": len(row["text"]) / 7} for row in rows]

    @cache
    def make(kind: str) -> Any:
        folder = tmp_path_factory.mktemp(kind)
        found = {"single": rows, "several": sets, "number": numbers}[kind]
        data = write_rows(folder / "rows.jsonl", found)
        strategy = STRATEGIES["lora" if kind == "single" else "full"]
        return short_tune(tiny("bert"), data, strategy, folder / "run", task=TASK)

    return make


def one_answer(row: Mapping[str, Any]) -> Any:
    """A row's answer; numbers as nearly as batches compute them."""
    found = row["prediction"]
    return pytest.approx(found, abs=1e-5) if isinstance(found, float) else found


MORE = ("several", "number")
each_kind = pytest.mark.parametrize(
    "kind", ["single", *(pytest.param(kind, marks=pytest.mark.slow) for kind in MORE)]
)


@each_kind
def test_a_run_proves_itself_and_answers_about_pairs(kind: str, tuned: Any) -> None:
    run = tuned(kind)
    assert run.results["proof"]["reloaded_difference"] <= 1e-5
    facts = json.loads((run.folder / "data.json").read_text())
    assert "windows" not in facts["task"]
    assert json.loads((run.model / "welltuned.json").read_text())["task"]["pair"] == "separate"
    predictor = Predictor.load(run)
    given = [("the film felt good", "a lovely book"), ("the film felt good", "a dull book")]
    both = predictor.predict(given)
    (alone,) = predictor.predict(given[1:], batch_size=1)
    assert len(both) == 2 and one_answer(alone) == one_answer(both[1])
    with refused("predict.input_of_wrong_type"):
        predictor.predict(["one text"])


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_a_graph_reads_pairs_too(format: str, tuned: Any, tmp_path: Path) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(format, format))
    run = tuned("single")
    folder = export_run(run, format, tmp_path / format, "fp32", drop=100)
    given = [("the film felt good", "a lovely book"), ("so cold", "the room was very very dull")]
    given += [("a meal", "we never felt slow but it was too warm and so bright")]
    ours, theirs = open_predictor(folder).predict(given), Predictor.load(run).predict(given)
    for one, other in zip(ours, theirs, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-3)


def test_a_plain_export_answers_two_rows_at_a_time(tuned: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    run = tuned("single")
    folder = export_run(run, "plain", tmp_path / "plain")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    assert model.config.pair == "separate"
    batch = AutoTokenizer.from_pretrained(folder)(
        ["the film felt good", "a lovely book"], padding=True, return_tensors="pt"
    )
    (answer,) = Predictor.load(run).predict([("the film felt good", "a lovely book")])
    expected = sorted(answer["probabilities"].values())
    found = sorted(logits(model, dict(batch)).softmax(-1)[0].tolist())
    assert found == pytest.approx(expected, abs=1e-5)
    with refused("export.cannot_hold"):
        export_run(run, "sentence-transformers", tmp_path / "vectors")


@pytest.mark.slow
def test_likeness_is_learned(tiny: Any, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", make_pairs(400))
    training = {"num_train_epochs": 12, "learning_rate": 3e-3}
    run = short_tune(
        tiny("bert"), data, STRATEGIES["full"], tmp_path / "run", task=TASK, training=training
    )
    assert run.results["test"]["accuracy"] > 0.75


# --- Code -----------------------------------------------------------------------------


def make_clones(number: int) -> list[dict[str, Any]]:
    """Functions beside others, with what the first is labelled with."""
    functions = make_functions(2 * number)
    halves = zip(functions[:number], functions[number:], strict=True)
    return [{**one, "text_pair": other["text"]} for one, other in halves]


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("clones")
    data = write_rows(folder / "clones.jsonl", make_clones(40))
    return {"model": save_code_model(folder / "model"), "data": data}


def test_each_source_has_its_own_graph(clones: dict[str, str], tmp_path: Path) -> None:
    encoding = {"type": "dataflow", "language": "java"}
    task = {**TASK, "encoding": encoding, "max_length": 96}
    state = loaded_for(clones["model"], clones["data"], STRATEGIES["full"], task=task)
    examples, pad_id = state.prepared.examples["train"], state.prepared.pad_id
    assert len(examples.graphs.counts) == len(examples.encoded) == 2 * len(examples)
    some = examples.take([3, 1])
    assert some.records["text"] == [examples.records["text"][i] for i in (3, 1)]
    given = (state.model.eval(), state.problem)
    whole = predict_outputs(*given, examples, pad_id, 8)
    np.testing.assert_allclose(predict_outputs(*given, some, pad_id, 1), whole[[3, 1]], atol=1e-5)
    run = short_tune(
        clones["model"], clones["data"], STRATEGIES["full"], tmp_path / "run", task=task
    )
    assert run.results["proof"]["reloaded_difference"] <= 1e-5


# --- What is asked for ----------------------------------------------------------------


def plan(model: str, data: str, **task: Any) -> Any:
    asked = {"pair": "separate", **task}
    return prepare(
        run_config_from(config_values(model, data, STRATEGIES["full"], Path("never"), task=asked))
    )


def test_single_texts_are_refused(tiny: Any, few: str) -> None:
    with refused("task.separate_pairs_of_single_texts"):
        plan(tiny("bert"), few)


def test_a_head_of_the_family_is_refused(tiny: Any, pairs: str) -> None:
    with refused("task.separate_pairs_of_own_head"):
        plan(tiny("bert"), pairs, pooling="model")


def test_windows_are_refused(tiny: Any, pairs: str) -> None:
    with refused("task.windows_of_separate_pairs"):
        plan(tiny("bert"), pairs, long=Windows().model_dump())


@pytest.mark.parametrize(("family", "pooling"), [("bert", "mean"), ("llama", "last")])
def test_what_is_pooled_is_usual_for_likeness(
    family: str, pooling: str, tiny: Any, pairs: str, tmp_path: Path
) -> None:
    run = short_tune(
        tiny(family), pairs, STRATEGIES["lora"], tmp_path / "run", task={"pair": "separate"}
    )
    assert run.config["task"]["pooling"] == pooling


def test_contrast_is_of_single_rows(tiny: Any, pairs: str, tmp_path: Path) -> None:
    with refused("strategy.contrast_unsupported"):
        short_tune(
            tiny("bert"),
            pairs,
            {"type": "contrastive", "group_size": 8},
            tmp_path / "run",
            task=TASK,
        )
