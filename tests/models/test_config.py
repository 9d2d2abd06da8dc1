"""The config of a pretrained model: what people read of it, and where it leads."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from faults import refused
from welltuned.models import config
from welltuned.models.config import ModelConfig


def test_the_title_names_what_is_set_besides() -> None:
    assert ModelConfig(name="org/model").title == "org/model"
    model = ModelConfig(name="org/model", revision="v2", quantization="nf4")
    assert model.title == "org/model revision=v2 quantization=nf4"


def test_what_transformers_is_told() -> None:
    model = ModelConfig(name="org/model", revision="v2")
    assert model.source == {"revision": "v2", "trust_remote_code": False}


def test_a_name_on_the_hub_is_where_it_is_and_no_file() -> None:
    model = ModelConfig(name="org/model")
    assert (model.location, model.gguf, model.gguf_sha256) == ("org/model", None, None)


def test_a_gguf_file_leads_to_its_converted_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "converted_folder", lambda file: file.with_suffix(".converted"))
    for name in ("one.gguf", "two.gguf"):
        (tmp_path / name).write_text(name)
    chosen = ModelConfig(name=str(tmp_path), gguf_file="two.gguf")
    assert chosen.gguf == tmp_path / "two.gguf"
    assert chosen.location == str(tmp_path / "two.converted")
    assert chosen.gguf_sha256 == sha256(b"two.gguf").hexdigest()
    with refused("model.gguf_file_missing", file="three.gguf"):
        _ = ModelConfig(name=str(tmp_path), gguf_file="three.gguf").location
