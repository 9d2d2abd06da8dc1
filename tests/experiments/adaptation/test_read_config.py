"""Reading `pipeline: adapt` from a file."""

from __future__ import annotations

from pathlib import Path

from faults import refused
from welltuned.experiments.adaptation.read_config import load_adapt_config

WRITTEN = """\
pipeline: adapt
model: here
data: {train: labelled.csv, unlabelled: {data: texts.csv, columns: {text: body}}}
adaptation:
  new_tokens: 100
"""


def test_a_file_and_keys_on_the_line(tmp_path: Path) -> None:
    file = tmp_path / "adapt.yaml"
    file.write_text(WRITTEN)
    config = load_adapt_config(str(file), ["strategy=lora", "adaptation.new_tokens=5"])
    assert config.strategy.type == "lora"
    assert config.adaptation.new_tokens == 5
    assert config.data.unlabelled is not None
    assert config.data.unlabelled.columns == {"text": "body"}


def test_a_fault_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "adapt.yaml"
    file.write_text(WRITTEN.replace("new_tokens", "new_token"))
    with refused("config.key_unknown", place=f"{file}:5:3"):
        load_adapt_config(str(file), [])
