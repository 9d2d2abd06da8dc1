"""Data flow with every strategy and both engines: from a file of code to an artifact's answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import welltuned as wt
from coding import make_functions, save_code_model
from faults import refused
from support import STRATEGIES, config_values, loaded_for, short_tune, write_rows
from welltuned.config import run_config_from
from welltuned.data.table import SPLITS
from welltuned.evaluation.outputs_and_features import outputs_and_features
from welltuned.evaluation.predict import predict_outputs
from welltuned.models.graph_attention import GRAPH
from welltuned.training.forecast.rehearsal import Rehearsal
from welltuned.training.preparation.prepare import prepare

TASK = {"pooling": "mean", "encoding": {"type": "dataflow", "language": "java"}, "max_length": 96}
QUICK = {"full", "lora", "prompt", "prefix"}
each_strategy = pytest.mark.parametrize(
    "strategy",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in STRATEGIES],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("code")


@pytest.fixture(scope="module")
def model(folder: Path) -> str:
    return save_code_model(folder / "model")


@pytest.fixture(scope="module")
def code(folder: Path) -> Iterator[str]:
    yield write_rows(folder / "code.jsonl", make_functions(40))


def loaded(model: str, code: str, strategy: str) -> Any:
    return loaded_for(model, code, STRATEGIES[strategy], task=TASK)


def outputs(state: Any, batch_size: int) -> np.ndarray:
    examples, pad_id = state.prepared.examples["train"], state.prepared.pad_id
    return predict_outputs(state.model, state.problem, examples, pad_id, batch_size)


@each_strategy
def test_every_strategy_reads_the_graph_and_no_padding(
    strategy: str, model: str, code: str
) -> None:
    state = loaded(model, code, strategy)
    torch.manual_seed(0)
    for parameter in state.model.parameters():
        if parameter.requires_grad:  # so that what was put in beside the weights does something
            torch.nn.init.normal_(parameter, std=0.1)
    state.model.eval()
    one_by_one = outputs(state, 1)
    np.testing.assert_allclose(outputs(state, 8), one_by_one, atol=1e-5)
    examples = state.prepared.examples["train"]
    batch = {
        name: torch.from_numpy(array)
        for name, array in state.problem.codec.collate(examples, [0, 1], 1).items()
    }
    batch[GRAPH][:] = torch.eye(batch[GRAPH].shape[1], dtype=torch.bool)
    batch[GRAPH][:, :, 0] = batch["attention_mask"].bool()
    blind = state.problem.objective.outputs(state.model, batch).detach().numpy()
    assert np.abs(blind - one_by_one[:2]).max() > 1e-4


@pytest.mark.parametrize("engine", ["torch", pytest.param("hf", marks=pytest.mark.slow)])
def test_an_artifact_answers_as_the_trained_model_did(
    engine: str, model: str, code: str, tmp_path: Path
) -> None:
    run = short_tune(model, code, STRATEGIES["lora"], tmp_path / "run", task=TASK, engine=engine)
    data = json.loads((run.folder / "data.json").read_text(encoding="utf-8"))
    assert set(data["task"]["encoding"]) == set(SPLITS)
    assert data["task"]["encoding"]["train"]["edges"] > 0
    written = (run.folder / "predictions.jsonl").read_text(encoding="utf-8")
    held = [json.loads(line) for line in written.splitlines()]
    answers = wt.load(run).predict([row["text"] for row in held])
    for answer, row in zip(answers, held, strict=True):
        assert answer["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)


def test_both_engines_take_the_same_losses(model: str, code: str, tmp_path: Path) -> None:
    losses = []
    for engine in ("torch", "hf"):
        run = short_tune(
            model, code, STRATEGIES["full"], tmp_path / engine, task=TASK, engine=engine,
        )  # fmt: skip
        lines = (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        losses.append([step["loss"] for step in map(json.loads, lines) if "loss" in step])
    assert losses[0] and losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_features_are_means_over_tokens_and_not_nodes(model: str, code: str) -> None:
    state = loaded(model, code, "full")
    examples = state.prepared.examples["train"]
    parts = state.model, state.problem, examples, state.prepared.pad_id
    np.testing.assert_allclose(
        outputs_and_features(*parts, 8)[1], outputs_and_features(*parts, 1)[1], atol=1e-5
    )


def test_frozen_blocks_run_in_every_pass_and_that_is_said(model: str, code: str) -> None:
    state = loaded(model, code, "head")
    assert "forward" not in vars(state.model.base_model)


def test_a_forecast_rehearses_it(model: str, code: str) -> None:
    config = run_config_from(config_values(model, code, STRATEGIES["lora"], Path("no"), task=TASK))
    prepared = prepare(config)
    rehearsal = Rehearsal.of(prepared, prepared.config.strategy, torch.device("cpu"))
    assert rehearsal.look(prepared.learned, np.array([0, 1])).flops > 0


def test_a_bert_is_refused_before_weights_are_loaded(tiny: Any, code: str, tmp_path: Path) -> None:
    config = run_config_from(
        config_values(
            tiny("bert"), code, STRATEGIES["lora"], tmp_path / "no", task={**TASK, "max_length": 60}
        )
    )
    with refused("task.graph_unsupported", family="bert"):
        prepare(config)


def test_a_column_of_languages_travels_with_the_artifact(model: str, tmp_path: Path) -> None:
    rows = [{**row, "lang": ("Java", "c#")[i % 2]} for i, row in enumerate(make_functions(40))]
    task = {**TASK, "encoding": {"type": "dataflow", "language_column": "lang"}}
    data = write_rows(tmp_path / "code.jsonl", rows)
    run = short_tune(model, data, STRATEGIES["head"], tmp_path / "run", task=task)
    predictor = wt.load(run)
    assert len(predictor.predict([{"text": rows[0]["text"], "lang": "java"}])) == 1
    with pytest.raises(wt.InputError, match="'cobol' is not one whose data flow"):
        predictor.predict([{"text": "MOVE A TO B", "lang": "cobol"}])
    with pytest.raises(wt.InputError):
        predictor.predict(["int a;"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "to"),
    [("full", "onnx"), ("prompt", "onnx"), ("prefix", "onnx"), ("prompt", "openvino")],
)
def test_an_exported_graph_answers_as_the_artifact(
    strategy: str, to: str, model: str, code: str, tmp_path: Path
) -> None:
    from welltuned.deployment.export.run_export import export_run
    from welltuned.deployment.open import open_predictor

    run = short_tune(model, code, STRATEGIES[strategy], tmp_path / "run", task=TASK)
    target = export_run(run, to, tmp_path / to, "fp32")
    texts = [row["text"] for row in make_functions(5)]
    for one, other in zip(
        open_predictor(target).predict(texts), wt.load(run).predict(texts), strict=True
    ):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)
