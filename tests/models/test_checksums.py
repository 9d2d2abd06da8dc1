"""Hashes: a file of an artifact that is not as it was saved is found by every load."""

from __future__ import annotations

import logging
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import welltuned as wt
from faults import brief, refused
from welltuned.artifact.save_load import load_artifact
from welltuned.deployment.export.run_export import export_run
from welltuned.models.adapters import find_adapter
from welltuned.models.checksums import SUMS
from welltuned.models.config import ModelConfig
from welltuned.runs import Run


@pytest.fixture(params=["whole", "adapter"])
def artifact(request: pytest.FixtureRequest, finished: Run, adapted: Run, tmp_path: Path) -> Path:
    run = finished if request.param == "whole" else adapted
    return Path(shutil.copytree(run.model, tmp_path / "model"))


def flip(file: Path) -> None:
    """One bit of it, of the last number that it holds."""
    content = bytearray(file.read_bytes())
    content[-1] ^= 0b0100_0000
    file.write_bytes(content)


def test_one_bit_that_flips_in_the_weights_is_found(artifact: Path, call: Any) -> None:
    weights = next(artifact.glob("*model.safetensors"))
    flip(weights)
    for use in (wt.load, lambda folder: export_run(folder, "plain", artifact.parent / "plain")):
        with refused("artifact.file_changed", place=str(weights)):
            use(artifact)
    status, out, err = call("predict", artifact, "good film")
    assert (status, out) == (2, "") and "[artifact.file_changed]" in err


def test_a_run_does_not_go_on_from_it_either(artifact: Path) -> None:
    from transformers import AutoModel

    from welltuned.models.loading import Head, load_model, read_model_config, read_weights

    flip(next(artifact.glob("*model.safetensors")))
    base = ModelConfig(name=str(artifact))
    with refused("artifact.file_changed"):
        if find_adapter(str(artifact)):
            read_weights(base, AutoModel, read_model_config(base))
        else:
            load_model(base, Head(AutoModel, read_model_config(base)), None, 0)  # type: ignore[arg-type]


def test_every_file_but_the_card_is_hashed_as_sha256sum_does(artifact: Path) -> None:
    (artifact / "README.md").write_text("my own words")
    names = {line.split()[1] for line in (artifact / SUMS).read_text().splitlines()}
    assert names == {file.name for file in artifact.iterdir()} - {"README.md", SUMS}
    assert {"welltuned.json", "config.json", "tokenizer.json"} <= names
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=artifact, check=True)
    load_artifact(artifact)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "welltuned.json"])
def test_a_changed_text_is_found_and_all_of_them_at_once(name: str, artifact: Path) -> None:
    for file in {name, "tokenizer_config.json"}:
        (artifact / file).write_text((artifact / file).read_text() + "\n")
    with refused("artifact.file_changed", "artifact.file_changed") as caught:
        load_artifact(artifact)
    told = sorted([f"{name} artifact.file_changed", "tokenizer_config.json artifact.file_changed"])
    assert brief(caught.value.faults) == told


def test_hashes_that_lead_out_of_the_folder_are_not_followed(artifact: Path) -> None:
    sums = artifact / SUMS
    sums.write_text(sums.read_text() + "0" * 64 + "  ../outside\n")
    with refused("artifact.file_changed"):
        load_artifact(artifact)


def test_an_artifact_without_hashes_is_loaded_with_a_note(
    artifact: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (artifact / SUMS).unlink()
    with caplog.at_level(logging.WARNING):
        load_artifact(artifact)
    assert [record.name for record in caplog.records] == ["welltuned.models.checksums"]
    assert SUMS in caplog.text
