"""Adapted models are shared by whatever asks for the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from welltuned.experiments.adaptation.checkpoint import Checkpoint, record_of
from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.adaptation.texts import AdaptationTexts

Asking = Callable[..., AdaptConfig]
TEXTS = AdaptationTexts(["one text", "another"])


def key(config: AdaptConfig, texts: AdaptationTexts = TEXTS) -> str:
    return Checkpoint.of(config, texts, Path("here")).folder.name


@pytest.mark.parametrize(
    "parts",
    [
        {"strategy": "lora"},
        {"training": {"seed": 5, "device": "cpu"}},
        {"output_dir": "elsewhere"},
        {"task": {"pooling": "first"}},
    ],
)
def test_what_comes_after_the_reading_changes_nothing(
    asking: Asking, parts: dict[str, Any]
) -> None:
    assert key(asking(**parts)) == key(asking())


@pytest.mark.parametrize(
    "adaptation",
    [{"new_tokens": 3}, {"mlm_probability": 0.2}, {"training": {"seed": 1, "device": "cpu"}}],
)
def test_what_the_reading_follows_from_makes_another_model(
    asking: Asking, adaptation: dict[str, Any]
) -> None:
    assert key(asking(adaptation=adaptation)) != key(asking())


def test_other_texts_or_another_base_make_another_model(
    asking: Asking, tiny: Callable[..., str]
) -> None:
    other = AdaptationTexts(["one text"])
    assert len({key(asking()), key(asking(), other), key(asking(model=tiny("bert")))}) == 3


def test_it_stands_beside_or_where_it_is_told_to(asking: Asking) -> None:
    beside = Checkpoint.of(asking(), TEXTS, Path("runs"))
    assert beside.folder.parent == Path("runs/adapted")
    told = Checkpoint.of(asking(adaptation={"folder": "kept"}), TEXTS, Path("runs"))
    assert told.folder.parent == Path("kept")
    assert told.adapted.name == str(told.folder / "model")


def test_a_file_of_that_name_beside_any_other_model_is_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent of a name on the hub is the folder one stands in."""
    monkeypatch.chdir(tmp_path)
    Path("adaptation.json").write_text('{"texts": 2}')
    for other in ("bert-base-uncased", "package:some_package", str(tmp_path / "other")):
        assert record_of(other) is None
    told = record_of(str(tmp_path / "model"))
    assert told is not None and told["texts"] == 2
