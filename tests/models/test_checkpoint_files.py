"""What is wrong with the files of a checkpoint is told before a library reads them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import welltuned as wt
from faults import brief, refused
from welltuned.deployment.export.run_export import export_run
from welltuned.errors import InputError
from welltuned.models.checkpoint_files import check_files
from welltuned.models.config import ModelConfig
from welltuned.models.loading import read_model_config
from welltuned.runs import Run


@pytest.fixture
def model(tiny: Any, tmp_path: Path) -> Path:
    """A base model that may be spoilt, in one file of weights."""
    return Path(shutil.copytree(tiny("bert"), tmp_path / "home" / "model"))


@pytest.fixture
def artifact(finished: Run, tmp_path: Path) -> Path:
    """A tuned model that may be spoilt."""
    return Path(shutil.copytree(finished.model, tmp_path / "home" / "artifact"))


def sharded(folder: Path, name: str) -> Path:
    """The folder with its weights in one shard, which its index calls `name`."""
    weights = folder / "model.safetensors"
    weights.rename(folder / "model-00001-of-00001.safetensors")
    index = {"metadata": {}, "weight_map": {"embeddings.word_embeddings.weight": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


# --- An index that leads out of its folder -----------------------------------------------

OUTSIDE = ("../outside.safetensors", "/etc/passwd", "..\\outside.safetensors", "sub/x.safetensors")


@pytest.mark.parametrize("name", [*OUTSIDE, "..", "C:\\x.safetensors"])
def test_an_index_that_leads_out_is_refused_for_a_base(name: str, model: Path) -> None:
    sharded(model, name)
    with refused("model.index_leads_out", name=name):
        read_model_config(ModelConfig(name=str(model)))


def test_an_index_that_leads_out_is_refused_for_an_artifact(artifact: Path) -> None:
    shutil.copyfile(artifact / "model.safetensors", artifact.parent / "outside.safetensors")
    (artifact / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"classifier.weight": "../outside.safetensors"}})
    )
    for use in (wt.load, lambda folder: export_run(folder, "plain", artifact.parent / "plain")):
        with refused("model.index_leads_out", name="../outside.safetensors"):
            use(artifact)


def test_a_link_out_of_the_folder_is_refused_but_for_the_cache_of_the_hub(model: Path) -> None:
    sharded(model, "linked.safetensors")
    away = model.parent / "away.safetensors"
    (model / "model-00001-of-00001.safetensors").rename(away)
    (model / "linked.safetensors").symlink_to(away)
    with refused("model.index_leads_out", name="linked.safetensors"):
        check_files(model)
    snapshot = model.parent / "snapshots" / "abc"
    snapshot.parent.mkdir()
    shutil.copytree(model, snapshot, symlinks=True)
    (model.parent / "blobs").mkdir()
    away.rename(model.parent / "blobs" / "123")
    (snapshot / "linked.safetensors").unlink()
    (snapshot / "linked.safetensors").symlink_to("../../blobs/123")
    check_files(snapshot)


def test_a_shard_of_the_folder_is_read(model: Path) -> None:
    check_files(sharded(model, "model-00001-of-00001.safetensors"))


def test_a_shard_that_is_missing_is_named(model: Path) -> None:
    sharded(model, "model-00002-of-00002.safetensors")
    with refused("model.weights_file_missing") as caught:
        check_files(model)
    assert brief(caught.value.faults) == [
        "model-00002-of-00002.safetensors model.weights_file_missing"
    ]


# --- Files that are missing or damaged ----------------------------------------------------

JSON_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")


@pytest.mark.parametrize("name", [*JSON_FILES, "model.safetensors", "welltuned.json"])
@pytest.mark.parametrize("damage", ["cut", "garbled", "empty", "gone"])
def test_a_damaged_file_of_an_artifact_is_named(name: str, damage: str, artifact: Path) -> None:
    file = artifact / name
    whole = file.read_bytes()
    spoilt = {"cut": whole[: len(whole) // 2], "garbled": b"\xff\x00" + whole[9:], "empty": b""}
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(spoilt[damage])
    with pytest.raises(InputError) as caught:
        wt.load(artifact)
    assert any(name in str(fault) for fault in caught.value.faults)
    assert all(fault.remedy for fault in caught.value.faults)
    file.write_bytes(whole)
    assert wt.load(artifact).predict("good film")


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
def test_a_damaged_file_of_an_adapter_is_named(name: str, adapted: Run, tmp_path: Path) -> None:
    model = Path(shutil.copytree(adapted.model, tmp_path / "adapter"))
    (model / name).write_bytes((model / name).read_bytes()[:-9])
    with pytest.raises(InputError) as caught:
        wt.load(model)
    assert any(name in str(fault) for fault in caught.value.faults)


def test_the_command_line_has_no_traceback(artifact: Path, call: Any) -> None:
    weights = artifact / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    exported = "export", "to=plain", f"out={artifact.parent / 'plain'}"
    for verb in (("predict", "good"), ("chat",), exported):
        status, out, err = call(verb[0], artifact, *verb[1:])
        assert (status, out) == (2, "") and len(err.splitlines()) == 1
        assert "model.safetensors" in err and "[model.file_of_wrong_length]" in err


def test_weights_that_are_not_in_the_file_are_not_drawn_at_random(artifact: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(artifact / "model.safetensors")
    name = next(name for name in tensors if name.endswith("output.dense.weight"))
    del tensors[name]
    save_file(tensors, artifact / "model.safetensors", metadata={"format": "pt"})
    with refused("artifact.weights_missing", number=1, first=name):
        wt.load(artifact)


def test_a_damaged_base_is_named_before_its_weights_are_loaded(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"\x10")
    (model / "tokenizer.json").write_text("{")
    with pytest.raises(InputError) as caught:
        read_model_config(ModelConfig(name=str(model)))
    assert brief(caught.value.faults) == [
        "tokenizer.json model.file_damaged",
        "model.safetensors model.file_damaged",
    ]
