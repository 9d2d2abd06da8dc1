"""ONNX: int8, calibrated and proved; weights in half the bits where these hold them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

import welltuned as wt
from answering import questions
from exporting import TINY_BLOCK, TINY_IDS, tiny_graph
from support import make_rows
from welltuned.deployment.export import onnx_format
from welltuned.deployment.export.capture import Captured
from welltuned.deployment.export.onnx_format import (
    CalibrationTexts,
    OnnxFormat,
    store_weights_in_half,
)
from welltuned.deployment.export.run_export import export_run
from welltuned.deployment.open import open_predictor
from welltuned.runs import Run
from welltuned.runs.export_schema import ExportFile, read_export

TEXTS = [row["text"] for row in make_rows(9, seed=5)]


def test_it_says_what_it_is_and_what_proves_it(quantised: Path, adapted: Run) -> None:
    told = read_export(quantised)
    TypeAdapter(ExportFile).validate_python(dict(told))
    assert told["precision"] == "int8" and told["run"] == str(adapted.folder.resolve())
    proof = told["proof"]
    assert proof is not None
    assert {one["recipe"] for one in proof["attempts"]} == {"dynamic int8", "static int8"}
    assert proof["score"]["worst_drop"] >= proof["score"]["drop"]
    fast = max(one["texts_per_second"] for one in proof["attempts"])
    assert proof["exported"]["texts_per_second"] == fast
    assert proof["agreement"]["same_answers"] > 0.8  # type: ignore[operator]
    assert {"export.html", "predict.py", "tokenizer.json", "SHA256SUMS"} <= {
        file.name for file in quantised.iterdir()
    }


def test_it_answers_as_the_run_does_nearly(quantised: Path, adapted: Run) -> None:
    ours, theirs = open_predictor(quantised).predict(TEXTS), wt.load(adapted).predict(TEXTS)
    for one, other in zip(ours, theirs, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_reward_models_are_quantised_too(
    format: str, answering: Callable[[str], Run], tmp_path: Path
) -> None:
    """Each example of theirs is several texts, and texts are read in a way of the task's own."""
    run, asked = answering("reward"), questions("reward")
    target = export_run(run, format, tmp_path / format, "int8", drop=100)
    proof = read_export(target)["proof"]
    assert proof is not None and proof["agreement"]["same_answers"] is None
    assert not (target / "predict.py").exists()
    ours, theirs = open_predictor(target).predict(asked), wt.load(run).predict(asked)
    rewards = [[float(row["prediction"]) for row in rows] for rows in (ours, theirs)]
    assert np.abs(np.subtract(rewards[0], rewards[1])).max() < 0.5 * np.std(rewards[1]) + 0.02


@pytest.mark.slow
def test_weights_in_half_the_bits_take_half_the_room(adapted: Run, tmp_path: Path) -> None:
    sizes = {}
    for precision in ("fp32", "fp16"):
        target = export_run(adapted, "onnx", tmp_path / precision, precision)
        sizes[precision] = (target / "model.onnx").stat().st_size
    assert sizes["fp16"] < 0.75 * sizes["fp32"]


def halved(folder: Path, largest: float = 1.0) -> tuple[np.ndarray, np.ndarray, set[str]]:
    """Logits before and after, and which weights are in half the bits."""
    import onnx
    import onnxruntime

    file = tiny_graph(folder / "model.onnx", largest=largest)
    model = onnx.load(str(file))
    store_weights_in_half(model)
    onnx.checker.check_model(model)
    half = {
        one.name for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT16
    }
    logits = [
        onnxruntime.InferenceSession(source).run(None, {"input_ids": TINY_IDS})[0]
        for source in (str(file), model.SerializeToString())
    ]
    return logits[0], logits[1], half


def test_weights_in_half_the_bits_answer_but_for_rounding(tmp_path: Path) -> None:
    before, after, half = halved(tmp_path)
    assert half == {"embedding.half"}, "few numbers stay as they are"
    assert 0 < np.abs(before - after).max() < 2.0**-11 * 32


def test_weights_that_half_the_bits_cannot_hold_stay(tmp_path: Path) -> None:
    before, after, half = halved(tmp_path, largest=1e6)
    assert half == set() and np.array_equal(before, after)


@pytest.mark.parametrize("recipe", ["dynamic int8", "static int8"])
def test_a_block_that_is_kept_stays_in_float(recipe: str, tmp_path: Path) -> None:
    import onnx

    (tmp_path / "captured").mkdir()
    captured = Captured(tiny_graph(tmp_path / "captured" / "model.onnx"), ("input_ids",))
    batches = [{"input_ids": TINY_IDS[:1]}, {"input_ids": TINY_IDS[1:]}]
    held = {}
    for kept in (frozenset[str](), frozenset({TINY_BLOCK})):
        folder = tmp_path / f"kept-{len(kept)}"
        folder.mkdir()
        OnnxFormat().build(captured, folder, recipe, kept, batches)
        weights = onnx.load(str(folder / "model.onnx")).graph.initializer
        held[len(kept)] = {one.name for one in weights if one.data_type == onnx.TensorProto.FLOAT}
    assert "dense" in held[1] - held[0]


def test_calibration_hears_each_text_once() -> None:
    texts = CalibrationTexts([{"input_ids": TINY_IDS[:1]}, {"input_ids": TINY_IDS[1:]}])
    first, second = texts.get_next(), texts.get_next()
    assert first is not None and np.array_equal(first["input_ids"], TINY_IDS[:1])
    assert second is not None and np.array_equal(second["input_ids"], TINY_IDS[1:])
    assert texts.get_next() is None


@pytest.mark.parametrize("recipe", ["fp32", "fp16", "dynamic int8", "static int8"])
def test_weights_that_one_file_cannot_hold_stand_beside_the_graph(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "captured").mkdir()
    captured = Captured(tiny_graph(tmp_path / "captured" / "model.onnx"), ("input_ids",))
    batches, answers, files = [{"input_ids": TINY_IDS}], [], []
    for size in (onnx_format.ONE_FILE, 1):
        monkeypatch.setattr(onnx_format, "ONE_FILE", size)
        folder = tmp_path / f"most-{size}"
        folder.mkdir()
        OnnxFormat().build(captured, folder, recipe, frozenset(), batches)
        files.append(sorted(file.name for file in folder.iterdir()))
        answers.append(OnnxFormat().graph(folder).run({"input_ids": TINY_IDS}))
    assert files == [["model.onnx"], ["model.onnx", "model.onnx.data"]]
    assert (tmp_path / "most-1" / "model.onnx.data").stat().st_size > 1000
    assert np.array_equal(answers[0], answers[1])
