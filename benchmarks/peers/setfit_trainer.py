"""Few-shot classification as SetFit's own example writes it: its `Trainer`, at its defaults.

One whole process, from imports to the accuracy on the test file. It knows nothing of welltuned.

    python benchmarks/peers/setfit_trainer.py --model FOLDER --train train.jsonl \\
        --test test.jsonl --shots 32 --seed 0 --out scores.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path

from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments


def read(file: Path, shots: int | None = None) -> Dataset:
    """The examples, or the first so many of each label."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    seen: Counter[str] = Counter()
    chosen = []
    for row in rows:
        seen[row["label"]] += 1
        if shots is None or seen[row["label"]] <= shots:
            chosen.append({"text": row["text"], "label": row["label"]})
    return Dataset.from_list(chosen)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--shots", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    train, test = read(options.train, options.shots), read(options.test)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, batch_size=16, num_iterations=20, seed=options.seed, report_to="none"
        )
        trainer = Trainer(
            model=SetFitModel.from_pretrained(options.model), args=arguments, train_dataset=train
        )
        trainer.train()
        found = trainer.model.predict(list(test["text"]), show_progress_bar=False)
    pairs = zip(found.tolist(), test["label"], strict=True)  # a tensor, or an array of names
    right = [str(one) == str(other) for one, other in pairs]
    options.out.write_text(json.dumps({"accuracy": sum(right) / len(right)}))


if __name__ == "__main__":
    main()
