"""OpenVINO: every precision, and blocks that stay in float."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import welltuned as wt
from exporting import TINY_BLOCK, TINY_IDS, tiny_graph
from support import make_rows
from welltuned.deployment.export.capture import Captured
from welltuned.deployment.export.openvino_format import OpenVinoFormat
from welltuned.deployment.export.run_export import export_run
from welltuned.deployment.graphs import OnnxGraph
from welltuned.deployment.open import open_predictor
from welltuned.runs import Run

TEXTS = [row["text"] for row in make_rows(9, seed=5)]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["int8", "fp16", "fp32"])
def test_openvino_has_every_precision(adapted: Run, precision: str, tmp_path: Path) -> None:
    target = export_run(adapted, "openvino", tmp_path / "openvino", precision, drop=100)
    near = {"int8": 0.15, "fp16": 2e-3, "fp32": 1e-4}[precision]
    rows = open_predictor(target).predict(TEXTS)
    for one, other in zip(rows, wt.load(adapted).predict(TEXTS), strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=near)


def built(folder: Path, recipe: str, *kept: str) -> Path:
    """A folder with the tiny graph, written by a recipe."""
    folder.mkdir()
    captured = Captured(tiny_graph(folder.with_name("captured.onnx")), ("input_ids",))
    batches = [{"input_ids": TINY_IDS[:1]}, {"input_ids": TINY_IDS[1:]}]
    OpenVinoFormat().build(captured, folder, recipe, frozenset(kept), batches)
    return folder


def test_half_the_bits_are_half_the_file_and_near(tmp_path: Path) -> None:
    full, half = built(tmp_path / "fp32", "fp32"), built(tmp_path / "fp16", "fp16")
    exact = OnnxGraph(tmp_path / "captured.onnx").run({"input_ids": TINY_IDS})
    for folder, near in ((full, 1e-4), (half, 2.0**-11 * 64)):
        found = OpenVinoFormat().graph(folder).run({"input_ids": TINY_IDS})
        assert np.allclose(found, exact, atol=near)
    sizes = [(folder / "model.bin").stat().st_size for folder in (full, half)]
    assert sizes[1] < 0.6 * sizes[0]


def test_int8_takes_other_ways_than_half_the_bits() -> None:
    format = OpenVinoFormat()
    assert [format.recipes(name) for name in format.precisions] == [
        ("static int8",), ("fp16",), ("fp32",),
    ]  # fmt: skip
    assert [name for name in format.precisions if format.can_keep(name)] == ["int8"]


@pytest.mark.slow
def test_a_block_that_is_kept_stays_in_float(tmp_path: Path) -> None:
    described = [
        (built(tmp_path / f"kept-{len(kept)}", "static int8", *kept) / "model.xml").read_text()
        for kept in ((), (TINY_BLOCK,))
    ]
    quantised, kept = (text.count("FakeQuantize") for text in described)
    assert quantised > 0 and kept < quantised
