"""A config whose model reads texts first, and a masked language model of its own to read with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import make_config, make_rows, make_tokenizer, write_rows
from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.adaptation.read_config import adapt_config_from


@pytest.fixture(scope="session")
def masked(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny random BERT with its pooler, as it was pretrained."""
    import torch
    from transformers import BertForPreTraining

    folder = tmp_path_factory.mktemp("masked")
    torch.manual_seed(0)
    BertForPreTraining(make_config("bert", num_hidden_layers=2)).save_pretrained(folder)
    make_tokenizer("encoder", "bert").save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 60 texts that are in no labelled file."""
    rows = [{"text": row["text"]} for row in make_rows(60, seed=9)]
    return write_rows(tmp_path_factory.mktemp("texts") / "texts.jsonl", rows)


@pytest.fixture
def asking(masked: str, few: str, unlabelled: str, tmp_path: Path) -> Callable[..., AdaptConfig]:
    """`asking(data={…}, adaptation={…})`: a short run that reads first."""

    def ask(**parts: Any) -> AdaptConfig:
        training = {
            "num_train_epochs": 1,
            "per_device_train_batch_size": 16,
            "precision": "fp32",
            "device": "cpu",
            "learning_rate": 1e-2,
        }
        values: dict[str, Any] = {
            "model": masked,
            "strategy": "full",
            "task": {"pooling": "mean"},
            "training": training,
            "evaluation": {"retention": "none", "untrained": False},
            "output_dir": str(tmp_path / "runs" / "mine"),
            **parts,
            "data": {"train": few, "unlabelled": unlabelled, **parts.get("data", {})},
            "adaptation": {"training": training, **parts.get("adaptation", {})},
        }
        return adapt_config_from({"pipeline": "adapt", **values})

    return ask
