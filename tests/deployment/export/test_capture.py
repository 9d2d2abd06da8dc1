"""Graphs of tuned models: every task, strategy and family, as ONNX Runtime computes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import welltuned as wt
from answering import questions
from exporting import require_alike
from support import ENCODERS, STRATEGIES, make_rows, short_tune
from welltuned.deployment.export.capture import INPUTS, OUTSIDE, block_of, graph_inputs
from welltuned.deployment.export.run_export import export_run
from welltuned.deployment.open import open_predictor
from welltuned.models.graph_attention import GRAPH
from welltuned.runs import Run

TEXTS = [row["text"] for row in make_rows(9, seed=5)]
HELD = ("single", "pairs", "multi", "number", "tags", "reward")
QUICK = {"pairs", "tags"}
ADDED = ("prompt", "prefix", "houlsby")


def test_a_block_is_known_by_the_path_of_its_nodes() -> None:
    assert block_of("/model/bert/encoder/layer.3/attention/self/query/MatMul") == (
        "bert/encoder/layer.3"
    )
    assert block_of("/model/transformer/h/11/mlp/MatMul") == "transformer/h/11"
    assert block_of("/model/classifier/Gemm") == block_of("/model/pooler/dense/Gemm") == OUTSIDE


def test_of_a_batch_a_graph_gets_what_models_read() -> None:
    batch = {name: np.zeros((1, 2), np.int64) for name in ("labels", *reversed(INPUTS), "weights")}
    assert tuple(graph_inputs(batch)) == INPUTS
    del batch["token_type_ids"], batch[GRAPH]
    assert tuple(graph_inputs(batch)) == INPUTS[:2], "one text alone has no segments"


@pytest.mark.parametrize(
    "task",
    [pytest.param(task, marks=[] if task in QUICK else pytest.mark.slow) for task in HELD],
)
def test_every_task_answers_as_it_did(
    task: str, answering: Callable[[str], Run], tmp_path: Path
) -> None:
    run = answering(task)
    target = export_run(run, "onnx", tmp_path / task, "fp32")
    require_alike(
        open_predictor(target).predict(questions(task)), wt.load(run).predict(questions(task))
    )


@pytest.mark.parametrize(
    "strategy",
    [pytest.param(name, marks=[] if name == "prefix" else pytest.mark.slow) for name in STRATEGIES],
)
def test_what_a_strategy_put_into_the_model_is_in_the_graph(
    strategy: str, tiny: Callable[..., str], sentiment: str, tmp_path: Path
) -> None:
    run = short_tune(tiny("bert"), sentiment, STRATEGIES[strategy], tmp_path / "run")
    target = export_run(run, "onnx", tmp_path / "onnx", "fp32")
    require_alike(open_predictor(target).predict(TEXTS), wt.load(run).predict(TEXTS))


@pytest.mark.slow
@pytest.mark.parametrize("family", [*ENCODERS, "llama", "gpt2"])
@pytest.mark.parametrize("strategy", ["full", *ADDED])
def test_every_family_can_be_captured(
    family: str, strategy: str, tiny: Callable[..., str], sentiment: str, tmp_path: Path
) -> None:
    if (strategy, family) == ("prefix", "deberta-v2"):
        pytest.skip("this family attends by code of its own")
    run = short_tune(tiny(family), sentiment, STRATEGIES[strategy], tmp_path / "run")
    target = export_run(run, "onnx", tmp_path / "onnx", "fp32")
    require_alike(open_predictor(target).predict(TEXTS), wt.load(run).predict(TEXTS))
