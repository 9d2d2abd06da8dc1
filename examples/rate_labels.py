"""Ratings of predicted labels, as people would give them whom wrong labels cost differently.

Every text of the training split is shown with each label, and rated by what that label would
cost: a right one is worth 1; of the wrong ones, calling a bad review good is four times as
bad as calling a good one bad. People are not of one mind, so a rating varies by half a point.
Texts of validation and test are left out, for they are to be judged without having been seen.

    python examples/rate_labels.py demo:sentiment_en ratings.jsonl

`demo:ratings_en` is what this writes for `demo:sentiment_en` with these settings.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator

from welltuned.data.config import DataConfig
from welltuned.data.load_splits import collect
from welltuned.errors import Faults
from welltuned.tasks import Classification

RIGHT = 1.0
WRONG = {"positive": -4.0, "negative": -1.0}
"""What a wrong label costs, by the label."""
NOISE = 0.5


def ratings(data: str, texts: int, seed: int) -> Iterator[dict[str, object]]:
    """Rows with `prompt`, `response` and `score`."""
    faults = Faults()
    collected = collect(DataConfig(train=data), Classification.roles, faults)
    faults.raise_if_any()
    assert collected is not None
    rng = random.Random(seed)
    pairs = list(zip(collected.train["text"], collected.train["label"], strict=True))
    for text, truth in rng.sample(pairs, min(texts, len(pairs))):
        for label in WRONG:
            score = RIGHT if label == truth else WRONG[label]
            score = round(score + rng.gauss(0, NOISE), 1)
            yield {"prompt": text, "response": label, "score": score}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", default="demo:sentiment_en")
    parser.add_argument("out", nargs="?", default="ratings.jsonl")
    parser.add_argument("--texts", type=int, default=700)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with open(options.out, "w", encoding="utf-8") as file:
        for row in ratings(options.data, options.texts, options.seed):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
