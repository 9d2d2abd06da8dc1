"""Two reference runs: the memory that libraries and the allocator take here, and the pace.

They belong to the machine (its libraries, its caches) and not to a model, and none of
them can be read off anything. So two small models made of noise are tuned for a few steps,
each in a process of its own, as any run is. What they held beyond what is known to be
needed is set beside what they made and freed again, and the time they took beside that of
their operations.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from welltuned.planning.machine import CHURN, PACE, Machine, keep, with_reference

_SIZES = ((32, 2), (256, 4))
"""(width, blocks) of each model."""
_WORDS = [f"w{i}" for i in range(200)]
_STEPS = 20
_SECONDS = 300
TRAIN = ("-m", "welltuned.cli", "train")


def complete(machine: Machine, progress: Callable[[int, int], None]) -> Machine:
    """The machine with its memory measured; `progress` hears (runs done, runs).

    GPUs say themselves what their tensors hold, so there only CPUs are asked.
    """
    if machine.complete or machine.key["device"] != "cpu":
        return machine
    found = []
    for i, (width, blocks) in enumerate(_SIZES):
        progress(i, len(_SIZES))
        with tempfile.TemporaryDirectory() as folder:
            found.append(_tried(machine, Path(folder), width, blocks))
    progress(len(_SIZES), len(_SIZES))
    (small, small_churned, _), (large, large_churned, pace) = found
    churn = max(0.0, (large - small) / (large_churned - small_churned))
    return with_reference(machine, max(0, round(small - churn * small_churned)), churn, pace)


def _tried(machine: Machine, folder: Path, width: int, blocks: int) -> tuple[float, float, float]:
    """(bytes a run held beyond what is known of it, bytes it made and freed in a step, the time
    it took over that of its operations)."""
    (folder / "config.yaml").write_text(yaml.safe_dump(_config(folder, width, blocks)))
    keep(machine, cache := folder / "cache")
    subprocess.run(
        [sys.executable, *TRAIN, str(folder / "config.yaml")],
        env={**os.environ, "WELLTUNED_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=_SECONDS,
        check=True,
    )
    cost = json.loads((folder / "run" / "results.json").read_text(encoding="utf-8"))["cost"]
    parts = cost["predicted"]["memory"]
    unknown = parts["libraries"] + parts["allocator"]
    known = cost["predicted"]["memory_bytes"] - unknown
    return (
        cost["peak_memory_bytes"] - known,
        parts["allocator"] / CHURN,
        PACE * cost["train_seconds"] / cost["predicted"]["train_seconds"],
    )


def _config(folder: Path, width: int, blocks: int) -> dict[str, Any]:
    _make_model(folder / "model", width, blocks)
    _write_data(folder / "data.jsonl")
    return {
        "model": str(folder / "model"),
        "data": str(folder / "data.jsonl"),
        "task": {"pooling": "mean"},
        "strategy": "lora",
        "training": {"max_steps": _STEPS, "precision": "fp32", "device": "cpu"},
        "evaluation": {"untrained": False},
        "output_dir": str(folder / "run"),
    }


def _make_model(folder: Path, width: int, blocks: int) -> None:
    """A BERT of noise with a tokenizer of words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import AutoModel, BertConfig, PreTrainedTokenizerFast

    from welltuned.models.loading import quiet

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: i for i, word in enumerate([*special, *_WORDS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=4,
        intermediate_size=4 * width,
        max_position_embeddings=128,
    )
    with quiet():
        AutoModel.from_config(config).save_pretrained(folder)
        PreTrainedTokenizerFast(
            tokenizer_object=backend,
            pad_token="[PAD]",
            unk_token="[UNK]",
            cls_token="[CLS]",
            sep_token="[SEP]",
        ).save_pretrained(folder)


def _write_data(file: Path) -> None:
    """Texts of lengths as they come, with labels that mean nothing."""
    draw = random.Random(0)
    texts = [" ".join(draw.choices(_WORDS, k=draw.randint(3, 60))) for _ in range(400)]
    rows = [{"text": text, "label": i % 2} for i, text in enumerate(texts)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
