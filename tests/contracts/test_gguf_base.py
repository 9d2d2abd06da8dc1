"""A run on a GGUF file is a run as any other, and what it leaves finds its base again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import welltuned as wt
from faults import refused
from llamas import speaking
from support import tune
from welltuned.artifact.manifest import ArtifactManifest
from welltuned.deployment.export.gguf.format import write_gguf
from welltuned.deployment.export.run_export import export_run
from welltuned.models.config import ModelConfig
from welltuned.models.gguf.converted import gguf_digest
from welltuned.models.loading import read_model_config

QUESTION = "was it good"


@pytest.fixture(scope="module")
def home(built_once: Any, instructions: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny GGUF file and a LoRA run on it. To be read, not changed."""

    def build(folder: Path) -> None:
        write_gguf(speaking(num_hidden_layers=2), folder / "tiny.gguf", "int8")
        task = {"type": "generation", "scored_examples": 2, "decoding": {"max_new_tokens": 4}}
        training = {"num_train_epochs": 1, "load_best_model_at_end": False}
        lora = {"type": "lora", "r": 2}
        tune(
            str(folder / "tiny.gguf"), instructions, lora, folder / "run", task=task,
            training=training, evaluation={"untrained": False},
        )  # fmt: skip

    return built_once("gguf-base", build)


def answer(folder: Path) -> str:
    return wt.load(folder).say([{"role": "user", "content": QUESTION}], lambda piece: None)


def test_the_artifact_names_the_file_and_its_hash(home: Path) -> None:
    told = json.loads((home / "run/model/welltuned.json").read_text())["base"]
    assert told["name"] == str(home / "tiny.gguf")
    assert told["gguf_sha256"] == gguf_digest(home / "tiny.gguf")
    manifest = ArtifactManifest.read(home / "run/model")
    assert manifest.origin.gguf_sha256 == told["gguf_sha256"]
    assert manifest.base_location(home / "run/model") == manifest.base.location


def test_file_and_run_may_move_together(home: Path, tmp_path: Path) -> None:
    """Where the file no longer is, the one that lies as it did beside the run is its base."""
    moved = shutil.copytree(home, tmp_path / "moved")
    manifest = moved / "run/model/welltuned.json"
    gone = manifest.read_text().replace(str(home / "tiny.gguf"), "/no/such/tiny.gguf")
    manifest.write_text(gone)
    (moved / "run/model/SHA256SUMS").unlink()
    assert answer(moved / "run") == answer(home / "run")
    assert read_model_config(ModelConfig(name=str(moved / "run"))).model_type == "llama"


def test_another_file_under_that_name_is_refused(home: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(home, tmp_path / "moved")
    write_gguf(speaking(num_hidden_layers=2), moved / "tiny.gguf", "fp32")
    manifest = moved / "run/model/welltuned.json"
    manifest.write_text(manifest.read_text().replace(str(home), str(moved)))
    (moved / "run/model/SHA256SUMS").unlink()
    with refused("artifact.base_changed", name=str(moved / "tiny.gguf")):
        wt.load(moved / "run")


def test_the_card_loads_it_with_the_plain_libraries(home: Path) -> None:
    """By its own lines, from the file itself."""
    card = (home / "run/model/README.md").read_text()
    code = card.split("With the plain libraries:")[1].split("```python\n")[1].split("```")[0]
    assert 'gguf_file="tiny.gguf"' in code
    names: dict[str, Any] = {}
    exec(code.replace("THIS_FOLDER", str(home / "run/model")), names)
    ids_1T = torch.tensor([[5, 9, 200, 31, 7]])
    ours: Any = wt.load(home / "run")
    with torch.inference_mode():
        plain = names["model"].eval()(input_ids=ids_1T).logits
        wanted = ours.model.eval()(input_ids=ids_1T).logits
    torch.testing.assert_close(plain, wanted, atol=1e-5, rtol=1e-4)


def test_a_run_goes_on_from_it_and_is_exported_plain(home: Path, tmp_path: Path) -> None:
    assert read_model_config(ModelConfig(name=str(home / "run"))).num_hidden_layers == 2
    export_run(home / "run", "plain", tmp_path / "plain")
    assert (tmp_path / "plain/model.safetensors").is_file()
