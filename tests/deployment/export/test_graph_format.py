"""What formats of graphs have in common: whom they refuse, and what they calibrate on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from exporting import TINY_BLOCK, summing_graph, tiny_graph, told
from faults import refused
from welltuned.deployment.export.capture import Captured
from welltuned.deployment.export.graph_format import loader_of
from welltuned.deployment.export.onnx_format import OnnxFormat
from welltuned.deployment.export.run_export import export_run
from welltuned.deployment.graphs import ONNX, GraphModel
from welltuned.runs import Run


class Codec:
    """Gives what a tokenizer of pairs does, whatever a model reads of it."""

    reads_plainly = True

    def collate(
        self, examples: Sequence[int], indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        ids_BT = np.array([[examples[i], pad_id] for i in indices])
        ones_BT = np.ones_like(ids_BT)
        return {
            "input_ids": ids_BT, "attention_mask": ones_BT, "token_type_ids": ones_BT,
            "labels": ones_BT[:, 0],
        }  # fmt: skip


def artifact(**parts: Any) -> Any:
    problem = SimpleNamespace(responder=None, codec=Codec())
    tokenizer = SimpleNamespace(is_fast=True, pad_token_id=0)
    return SimpleNamespace(**{"problem": problem, "tokenizer": tokenizer, **parts})


def test_a_generator_is_refused_before_its_weights_are_loaded(
    answering: Callable[[str], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("welltuned.deployment.export.run_export.load_artifact", None)
    with refused("export.cannot_hold"):
        export_run(answering("generation"), "onnx", tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


def test_a_model_without_its_run_has_nothing_to_prove_it(finished: Run, tmp_path: Path) -> None:
    alone = Path(shutil.copytree(finished.model, tmp_path / "alone"))
    with refused("export.run_needed", place=str(alone)):
        export_run(alone, "onnx", tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


def test_a_tokenizer_that_is_code_cannot_travel() -> None:
    assert OnnxFormat().holds(artifact()) is None
    slow = SimpleNamespace(is_fast=False)
    fault = OnnxFormat().holds(artifact(tokenizer=slow))
    assert fault is not None and fault.code == "export.cannot_hold"
    assert "tokenizer.json" in fault.what


def test_the_loader_goes_only_where_texts_are_read_plainly() -> None:
    one = artifact()
    script = loader_of(one)
    assert script is not None and "class TextModel" in script.read_text(encoding="utf-8")
    one.problem.codec.reads_plainly = False
    assert loader_of(one) is None


def test_calibration_gives_a_graph_what_it_takes_and_no_more() -> None:
    examples: Any = [7, 9]
    batches = OnnxFormat().calibration(artifact(), examples, ("input_ids", "attention_mask"))
    assert [set(batch) for batch in batches] == [{"input_ids", "attention_mask"}] * 2
    assert [batch["input_ids"].tolist() for batch in batches] == [[[7, 0]], [[9, 0]]]


def test_blocks_are_those_with_something_to_quantise(tmp_path: Path) -> None:
    captured = Captured(tiny_graph(tmp_path / ONNX), ("input_ids",))
    assert OnnxFormat().blocks(captured) == [TINY_BLOCK]
    sums = Captured(summing_graph(tmp_path / "sum.onnx", "input_ids"), ("input_ids",))
    assert OnnxFormat().blocks(sums) == []


def test_what_was_written_is_opened_with_the_inputs_that_it_names(tmp_path: Path) -> None:
    import torch

    summing_graph(tmp_path / ONNX, "input_ids", "token_type_ids")
    model = OnnxFormat().open(tmp_path, told(inputs=["input_ids", "token_type_ids"]))
    assert model(input_ids=torch.tensor([[3, 4]])).logits.tolist() == [[7.0]]


def test_what_was_written_runs_without_what_wrote_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server need not have what quantises."""
    monkeypatch.setattr(OnnxFormat, "packages", ("no_such_package", "onnxruntime"))
    summing_graph(tmp_path / ONNX, "input_ids")
    model = OnnxFormat().open(tmp_path, told(inputs=["input_ids"]))
    assert isinstance(model, GraphModel) and model.inputs == ("input_ids",)
    monkeypatch.setattr(OnnxFormat, "runtime", ("no_such_package",))
    with refused("export.package_missing", packages="no_such_package"):
        OnnxFormat().open(tmp_path, told(inputs=["input_ids"]))


@pytest.mark.parametrize("precision", OnnxFormat.precisions)
def test_blocks_can_stay_in_float_of_int8_alone(precision: str) -> None:
    assert OnnxFormat().can_keep(precision) == (precision == "int8")
    assert OnnxFormat().recipes(precision)
