"""int8: calibrated, proved, answered without torch, and refused where it loses too much."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

import welltuned as wt
from faults import refused
from support import make_rows
from welltuned.deployment.export.run_export import export_run
from welltuned.deployment.open import open_predictor
from welltuned.errors import RunFailed
from welltuned.runs import Run
from welltuned.runs.export_schema import read_export

TEXTS = [row["text"] for row in make_rows(9, seed=5)]
WITHOUT = "import runpy, sys; sys.modules.update(torch=None, transformers=None); "


@pytest.fixture(scope="module")
def exported(adapted: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LoRA with the family's own head, as int8 for ONNX Runtime; chance may cost what it likes."""
    return export_run(adapted, "onnx", tmp_path_factory.mktemp("int8") / "onnx", drop=100)


def test_it_says_what_it_is_and_what_proves_it(exported: Path, adapted: Run) -> None:
    told = read_export(exported)
    assert told["precision"] == "int8" and told["run"] == str(adapted.folder.resolve())
    proof = told["proof"]
    assert proof is not None
    assert {one["recipe"] for one in proof["attempts"]} == {"dynamic int8", "static int8"}
    assert proof["score"]["worst_drop"] >= proof["score"]["drop"]
    fast = max(one["texts_per_second"] for one in proof["attempts"])
    assert proof["exported"]["texts_per_second"] == fast
    assert proof["agreement"]["same_answers"] > 0.8  # type: ignore[operator]
    assert {"export.html", "predict.py", "tokenizer.json", "SHA256SUMS"} <= {
        file.name for file in exported.iterdir()
    }


def test_it_answers_as_the_run_does_nearly(exported: Path, adapted: Run) -> None:
    ours, theirs = open_predictor(exported).predict(TEXTS), wt.load(adapted).predict(TEXTS)
    for one, other in zip(ours, theirs, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=0.15)


def test_it_scores_a_file_and_streams(exported: Path, sentiment: str) -> None:
    predictor = open_predictor(exported)
    assert predictor.evaluate(sentiment)["examples"] > 0
    assert len(list(predictor.stream(iter(TEXTS)))) == len(TEXTS)


def test_the_loader_needs_neither_torch_nor_transformers(exported: Path) -> None:
    code = f"{WITHOUT}sys.argv = ['predict.py', *sys.argv[1:]]; " + (
        f"runpy.run_path({str(exported / 'predict.py')!r}, run_name='__main__')"
    )
    asked = [sys.executable, "-c", code, *TEXTS]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for one, other in zip(rows, open_predictor(exported).predict(TEXTS), strict=True):
        assert one["prediction"] == other["prediction"]
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-2)


@pytest.mark.slow
def test_the_loader_runs_where_nothing_else_is_installed(exported: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "clean", with_pip=True)
    python = str(tmp_path / "clean" / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "onnxruntime", "tokenizers", "numpy"]
    subprocess.run(install, check=True, timeout=600)
    shutil.copytree(exported, tmp_path / "away")
    asked = [python, str(tmp_path / "away" / "predict.py"), *TEXTS]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=120, check=True)
    rows = [json.loads(line)["prediction"] for line in done.stdout.splitlines()]
    assert rows == [row["prediction"] for row in open_predictor(exported).predict(TEXTS)]


def test_one_bit_that_flips_is_found(exported: Path, tmp_path: Path) -> None:
    copy: Any = shutil.copytree(exported, tmp_path / "copy")
    weights = copy / "model.onnx"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with refused("artifact.file_changed"):
        open_predictor(copy)


def test_a_device_that_no_export_has_is_refused(exported: Path) -> None:
    with refused("export.cpu_alone"):
        open_predictor(exported, "cuda")


@pytest.mark.slow
def test_what_loses_too_much_is_refused_and_leaves_nothing(
    adapted: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from welltuned.deployment.export import proof

    monkeypatch.setattr(proof, "points_lost", lambda *given: (3.0, 4.0))
    with refused("export.drop_beyond_limit", error=RunFailed):
        export_run(adapted, "onnx", tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["int8", "fp16", "fp32"])
def test_openvino_has_every_precision(adapted: Run, precision: str, tmp_path: Path) -> None:
    target = export_run(adapted, "openvino", tmp_path / "openvino", precision, drop=100)
    near = {"int8": 0.15, "fp16": 2e-3, "fp32": 1e-4}[precision]
    rows = open_predictor(target).predict(TEXTS)
    for one, other in zip(rows, wt.load(adapted).predict(TEXTS), strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=near)


@pytest.mark.slow
def test_weights_in_half_the_bits_take_half_the_room(adapted: Run, tmp_path: Path) -> None:
    sizes = {}
    for precision in ("fp32", "fp16"):
        target = export_run(adapted, "onnx", tmp_path / precision, precision)
        sizes[precision] = (target / "model.onnx").stat().st_size
    assert sizes["fp16"] < 0.75 * sizes["fp32"]
