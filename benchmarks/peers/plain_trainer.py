"""The script most people write: transformers' `Trainer`, with PEFT where it tunes a part.

One whole process, from imports to the accuracy on the test file. It needs torch, transformers,
accelerate and PEFT, and knows nothing of welltuned.

    python benchmarks/peers/plain_trainer.py --model FOLDER --train train.jsonl \\
        --test test.jsonl --method lora --epochs 3 --seed 0 --out scores.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.utils import logging

RATES = {"full": 5e-5, "partial": 1e-4, "head": 1e-3, "lora": 5e-4, "prefix": 1e-2, "prompt": 1e-2}
"""The learning rates that are usual for each method."""


def freeze_below(model: Any, top_blocks: int) -> None:
    """Leave the head, the pooler and the topmost blocks to train."""
    count = model.config.num_hidden_layers
    trained = ["classifier"] if not top_blocks else ["classifier", "pooler"]
    trained += [f"encoder.layer.{count - 1 - i}." for i in range(top_blocks)]
    for name, parameter in model.named_parameters():
        parameter.requires_grad = any(part in name for part in trained)


def with_peft(model: Any, method: str) -> Any:
    from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig, TaskType, get_peft_model

    kind: dict[str, Any] = {"task_type": TaskType.SEQ_CLS}
    configs = {
        "lora": lambda: LoraConfig(r=8, lora_alpha=16, **kind),
        "prefix": lambda: PrefixTuningConfig(num_virtual_tokens=20, **kind),
        "prompt": lambda: PromptTuningConfig(num_virtual_tokens=20, **kind),
    }
    return get_peft_model(model, configs[method]())


def read(file: Path, tokenizer: Any, labels: dict[str, int]) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    texts = [row["text"] for row in rows]
    encoded = tokenizer(texts, truncation=True, max_length=128, padding=False)["input_ids"]
    numbers = [labels.setdefault(str(row["label"]), len(labels)) for row in rows]
    return [
        {"input_ids": ids, "labels": number} for ids, number in zip(encoded, numbers, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--method", choices=RATES, required=True)
    parser.add_argument("--top-blocks", type=int, default=0)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--group-by-length", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    logging.set_verbosity_error()
    set_seed(options.seed)
    labels: dict[str, int] = {}
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    train = read(options.train, tokenizer, labels)
    test: Any = read(options.test, tokenizer, labels)
    model = AutoModelForSequenceClassification.from_pretrained(
        options.model, num_labels=len(labels)
    )
    if options.method in ("partial", "head"):
        freeze_below(model, options.top_blocks)
    elif options.method != "full":
        model = with_peft(model, options.method)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=options.epochs,
            per_device_train_batch_size=16,
            per_device_eval_batch_size=64,
            learning_rate=RATES[options.method],
            train_sampling_strategy="group_by_length" if options.group_by_length else "random",
            seed=options.seed,
            save_strategy="no",
            eval_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
        )
        collator = DataCollatorWithPadding(tokenizer)
        trainer = Trainer(model=model, args=arguments, train_dataset=train, data_collator=collator)
        trainer.train()
        answered = trainer.predict(test)  # grouped by length it is in another order than the file
    found = torch.tensor(answered.predictions).argmax(dim=1)
    right = found == torch.tensor(answered.label_ids)
    options.out.write_text(json.dumps({"accuracy": float(right.float().mean())}))


if __name__ == "__main__":
    main()
