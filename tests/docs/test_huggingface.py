"""The snippets of the guide for Trainer users, run as they stand on tiny models."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import make_rows

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "huggingface.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def script(tiny: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a script for `Trainer` has by itself: a model, a tokenizer, data, arguments."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        TrainingArguments,
    )

    monkeypatch.chdir(tmp_path)
    folder = tiny("bert")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [
        {**tokenizer(row["text"]), "labels": int(row["label"] == "positive")}
        for row in make_rows(40)
    ]
    arguments = TrainingArguments(
        output_dir="out", num_train_epochs=2, per_device_train_batch_size=8, use_cpu=True,
        report_to=[], save_strategy="no", disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    return {
        "model": AutoModelForSequenceClassification.from_pretrained(folder),
        "tokenizer": tokenizer,
        "train_dataset": rows,
        "collator": DataCollatorWithPadding(tokenizer),
        "arguments": arguments,
    }


def test_a_strategy_goes_into_a_script(script: dict[str, Any]) -> None:
    strategy, _, _ = SNIPPETS
    head = script["model"].classifier.weight.clone()
    bottom = script["model"].bert.encoder.layer[0].attention.self.query.weight.clone()
    exec(strategy, script)
    tuned = script["tuned"]
    assert not head.equal(tuned.model.classifier.weight)
    assert not bottom.equal(tuned.model.bert.encoder.layer[0].attention.self.query.weight), (
        "unfrozen as training went on"
    )
    assert Path("tuned/model.safetensors").is_file()
    assert script["trainer"].state.global_step == 10


def test_batches_go_into_a_script(script: dict[str, Any], capsys: Any) -> None:
    _, batches, _ = SNIPPETS
    weight = script["model"].classifier.weight.clone()
    exec(batches.replace("max_tokens=2048", "max_tokens=64"), script)
    assert not weight.equal(script["model"].classifier.weight)


def test_ppo_goes_into_a_script(
    causal: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.chdir(tmp_path)
    _, _, ppo = SNIPPETS
    folder = causal("llama")
    prompts = [row["text"] for row in make_rows(8)]
    values: dict[str, Any] = {
        "model": AutoModelForCausalLM.from_pretrained(folder),
        "tokenizer": AutoTokenizer.from_pretrained(folder),
        "batches": [prompts[:4], prompts[4:]],
    }
    exec(ppo, values)
    assert values["learner"].batches == 2
    assert capsys.readouterr().out.count("nats from where it began") == 2
    assert (tmp_path / "my-policy" / "adapter_config.json").is_file()
    answers = values["wt"].load("my-policy").predict(["was it good"])
    assert len(answers) == 1
