"""Reference runs: library and allocator overhead, and the pace of this machine.

They belong to the machine (its libraries, its caches) and not to a model, and none of them can be
read off anything. So two small randomly initialised models are tuned for a few steps, each in a
process of its own, as any run is. What they held beyond what is known to be needed is set beside
the largest batch that they scored, and the time they took beside that of their operations.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from welltuned.config import run_config_from
from welltuned.models.silence import quiet
from welltuned.runs import Run
from welltuned.runs.child_python import child_environment
from welltuned.training.forecast.forecast import Forecast, forecast_run
from welltuned.training.forecast.machine_profile import keep, with_reference
from welltuned.training.forecast.prices import CHURN, Machine
from welltuned.training.preparation.prepare import RunPlan, prepare

_SIZES = ((32, 2), (256, 4))
"""(width, blocks) of each model."""
_WORDS = [f"w{i}" for i in range(200)]
_STEPS = 40
_TEXTS = 3000
"""Enough for several batches that are scored, each of another length."""
_SECONDS = 300
TRAIN = ("-m", "welltuned.cli", "train")


def complete(machine: Machine, progress: Callable[[int, int], None]) -> Machine:
    """The machine with what the reference runs show; `progress` hears (runs done, runs).

    GPUs say themselves what their tensors hold, so there only CPUs are asked.
    """
    if machine.complete or machine.key["device"] != "cpu":
        return machine
    tried = []
    for i, (width, blocks) in enumerate(_SIZES):
        progress(i, len(_SIZES))
        with tempfile.TemporaryDirectory() as folder:
            tried.append(_try(machine, Path(folder), width, blocks))
    progress(len(_SIZES), len(_SIZES))
    small, large = tried
    churn = max(0.0, (large.beyond - small.beyond) / (large.scored - small.scored))
    fixed = max(0, round(small.beyond - churn * small.scored))
    pace, call = _pace(small, large, machine.call)
    start = (small.start + large.start) / 2
    return with_reference(
        machine, fixed_bytes=fixed, churn=churn, pace=pace, call=call / pace, start=start
    )


@dataclass(frozen=True)
class _Tried:
    """What one reference run took."""

    beyond: float
    """Bytes it held beyond what is known to be needed."""
    scored: float
    """Bytes of the largest batch that it scored."""
    start: float
    """Seconds of its first step beyond those of the others..."""
    seconds: float
    """... and of all others together, and as much for the first."""
    work: float
    """Seconds of its operations, had calling them cost nothing."""
    calls: float
    """How many were called."""


def _pace(small: _Tried, large: _Tried, call: float) -> tuple[float, float]:
    """How many times as long work takes as when it is tried by itself, and seconds a call.

    The small run is nearly all calls and the large one mostly work, so that both are known
    from the two. Neither can be less than what was measured of it by itself.
    """
    slope = large.calls / small.calls
    pace = (large.seconds - slope * small.seconds) / (large.work - slope * small.work)
    pace = max(1.0, pace)
    return pace, max(call, (small.seconds - pace * small.work) / small.calls)


def _try(machine: Machine, folder: Path, width: int, blocks: int) -> _Tried:
    config = _config(folder, width, blocks)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    keep(machine, cache := folder / "cache")
    subprocess.run(
        [sys.executable, "-P", *TRAIN, str(folder / "config.yaml")],
        env={**child_environment(), "WELLTUNED_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=_SECONDS,
        check=True,
    )
    cost = json.loads((folder / "run" / "results.json").read_text(encoding="utf-8"))["cost"]
    prepared = prepare(run_config_from(config))
    memory = _forecast(prepared, machine, cost["memory_at_start_bytes"]).memory
    known = memory.total - memory.libraries - memory.allocator
    first = next(Run(folder / "run").read_lines("metrics.jsonl"))["seconds"]
    usual = (cost["train_seconds"] - first) / (_STEPS - 1)
    free = replace(machine, call=0.0, counting=0.0, pace=1.0, start=0.0)
    work, with_calls = (
        _forecast(prepared, replace(free, call=call)).train_seconds for call in (0.0, 1.0)
    )
    return _Tried(
        beyond=cost["peak_memory_bytes"] - known,
        scored=memory.allocator / CHURN,
        start=max(0.0, first - usual),
        seconds=_STEPS * usual,
        work=work,
        calls=with_calls - work,
    )


def _forecast(prepared: RunPlan, machine: Machine, held: int = 0) -> Forecast:
    config = prepared.config
    return forecast_run(prepared, config.strategy, config.training.resolved(), machine, held)


def _config(folder: Path, width: int, blocks: int) -> dict[str, Any]:
    _make_model(folder / "model", width, blocks)
    _write_data(folder / "data.jsonl")
    return {
        "model": str(folder / "model"),
        "data": str(folder / "data.jsonl"),
        "task": {"pooling": "mean"},
        "training": {"max_steps": _STEPS, "precision": "fp32", "device": "cpu"},
        "evaluation": {"untrained": False},
        "output_dir": str(folder / "run"),
    }


def _make_model(folder: Path, width: int, blocks: int) -> None:
    """A randomly initialised BERT with a word tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import AutoModel, BertConfig, PreTrainedTokenizerFast

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
    """Random texts of realistic lengths, with random labels."""
    draw = random.Random(0)
    texts = [" ".join(draw.choices(_WORDS, k=draw.randint(3, 60))) for _ in range(_TEXTS)]
    rows = [{"text": text, "label": i % 2} for i, text in enumerate(texts)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
