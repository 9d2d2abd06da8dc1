"""Prediction as most people write it: a transformers pipeline over a file, 32 texts at a time.

python benchmarks/peers/pipeline.py --model FOLDER --data texts.jsonl --out labels.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from transformers import pipeline


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    lines = options.data.read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    classify = pipeline("text-classification", model=options.model, batch_size=32)
    answers = classify(texts, truncation=True, max_length=256)
    options.out.write_text(json.dumps([answer["label"] for answer in answers]))


if __name__ == "__main__":
    main()
