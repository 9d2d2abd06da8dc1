"""Language models beside TRL: the same losses, step after step.

Both sides get the same model, the same rows in the same order, the same learning rate, and train
all weights in fp32 without dropout. So where both define a loss in the same way, every step has
the same one; the table says how far the losses lie apart at most, and where a definition differs.
What both cost is measured by `bench.py`, in its rows of language models.

    python benchmarks/language_models.py --model FOLDER --data ../shared/data --write
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from marked import as_table, pages, write_parts
from speed.place import ROOT, SPLITS, Place, circumstances, script, timed, welltuned, write_lines
from welltuned.data.batching import BatchPlan

RESULTS = ROOT / "benchmarks/results/language_models.json"
BATCH, SEED, RATE = 4, 0, 1e-5
LONGEST = 400
"""Characters of a row at most: short rows, for many steps in little time."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """One loss that both sides know."""

    title: str
    source: str
    """The shared set its rows come from."""
    task: dict[str, object]
    """Ours, as a config writes it."""
    english: str
    """Where the definitions differ, if they do."""
    chinese: str
    peer: str = ""
    """What the peer calls it, if not by its name here."""
    plain: bool = False
    """Texts as they are, and not through the chat template."""


WORKS = {
    "sft": Work(
        "SFT, chat",
        "instruct_en_alpaca",
        {"type": "generation"},
        "TRL also learns the line break that the template writes after the end of the answer",
        "TRL 还学习模板在答案结束符之后写的换行",
    ),
    "sft-plain": Work(
        "SFT, plain", "instruct_en_alpaca", {"type": "generation"}, "", "", "sft", plain=True
    ),
    "dpo": Work("DPO", "pref_en_alpacaeval", {"type": "preference", "loss": "sigmoid"}, "", ""),
    "ipo": Work("IPO", "pref_en_alpacaeval", {"type": "preference", "loss": "ipo"}, "", ""),
    "kto": Work("KTO", "pref_en_alpacaeval", {"type": "kto"}, "", ""),
    "reward": Work("Bradley-Terry", "pref_en_alpacaeval", {"type": "reward"}, "", ""),
}


# --- The rows ---------------------------------------------------------------------


def rows_of(name: str, folder: Path, number: int) -> list[Row]:
    """So many short rows, each prompt once, in the columns that both sides read."""
    by_prompt = {
        row["prompt"]: row
        for row in _given(name, folder)
        if sum(map(_size, row.values())) <= LONGEST
    }
    rows = list(by_prompt.values())[:number]
    if len(rows) < number:
        raise SystemExit(f"{name}: {len(rows)} rows of at most {LONGEST} characters, not {number}")
    return rows


def _given(name: str, folder: Path) -> Iterator[Row]:
    lines = (folder / WORKS[name].source / "train.jsonl").read_text(encoding="utf-8").splitlines()
    for i, given in enumerate(map(json.loads, lines)):
        if WORKS[name].task["type"] == "generation":
            asked = "\n\n".join(filter(None, (given["instruction"], given.get("input"))))
            yield {"prompt": asked + "\n" * WORKS[name].plain, "completion": given["output"]}
        elif name == "kto":
            label = i % 2 == 0
            answer = given["chosen" if label else "rejected"]
            yield {"prompt": given["prompt"], "completion": answer, "label": label}
        else:
            yield {column: given[column] for column in ("prompt", "chosen", "rejected")}


def _size(value: object) -> int:
    return len(value) if isinstance(value, str) else 0


def as_ours(row: Row, plain: bool) -> Row:
    """A row as our files have it: a prompt with its completion is a conversation there, too."""
    if plain or set(row) != {"prompt", "completion"}:
        return row
    said = zip(("user", "assistant"), row.values(), strict=True)
    return {"messages": [{"role": role, "content": text} for role, text in said]}


def in_our_order(rows: list[Row]) -> list[Row]:
    """The rows as our first epoch takes them, for a side that takes them as they come."""
    plan = BatchPlan(np.ones(len(rows)), BATCH, seed=SEED, by_length=False)
    return [rows[i] for step in plan.steps(0) for micro_batch in step for i in micro_batch]


# --- Both sides -------------------------------------------------------------------


def ours(work: Work, model: Path, folder: Path, steps: int, run: Path) -> list[str]:
    """A run of ours that does nothing but train."""
    training = {
        "max_steps": steps,
        "per_device_train_batch_size": BATCH,
        "learning_rate": RATE,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "optim": "adamw",
        "group_by_length": False,
        "precision": "fp32",
        "logging_steps": 1,
        "eval_strategy": "no",
        "load_best_model_at_end": False,
        "seed": SEED,
    }
    config = {
        "model": str(model),
        "data": {split: str(folder / f"{split}.jsonl") for split in SPLITS},
        "task": work.task,
        "strategy": "full",
        "training": training,
        "evaluation": {"untrained": False, "test": False, "retention": "none"},
        "output_dir": str(run),
    }
    file = run.with_suffix(".yaml")
    file.write_text(json.dumps(config), encoding="utf-8")
    return welltuned("train", str(file))


def with_head(model: Path, folder: Path) -> Path:
    """The model with a head that gives one number, so that both sides begin with the same one."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(SEED)
    judge = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1)
    tokenizer = AutoTokenizer.from_pretrained(model)
    judge.config.pad_token_id = tokenizer.pad_token_id
    judge.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def measure(name: str, options: argparse.Namespace, folder: Path) -> Row:
    """Both sides once: the loss of each step."""
    number = options.steps * BATCH
    work, rows = WORKS[name], rows_of(name, options.data, number + 2 * BATCH)
    given, ordered = folder / "train.jsonl", folder / "ordered.jsonl"
    read = [json.dumps(as_ours(row, work.plain)) for row in rows]
    write_lines(given, read[:number])
    write_lines(folder / "validation.jsonl", read[number : number + BATCH])
    write_lines(folder / "test.jsonl", read[number + BATCH :])  # or it would be taken from train
    write_lines(ordered, map(json.dumps, in_our_order(rows[:number])))
    judges = work.task["type"] == "reward"
    model = with_head(options.model, folder / "judge") if judges else options.model
    place = Place(folder, options.data, len(rows))
    run = folder / name
    timed(ours(work, model, folder, options.steps, run), place)
    timed(
        script(
            "trl_losses",
            work=work.peer or name,
            **({"plain": True} if work.plain else {}),
            model=model,
            rows=ordered,
            steps=options.steps,
            batch_size=BATCH,
            learning_rate=RATE,
            out=place.out,
        ),
        place,
    )
    lines = map(json.loads, (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return {
        "ours": [line["loss"] for line in lines if "loss" in line],
        "theirs": json.loads(place.out.read_text(encoding="utf-8"))["losses"],
    }


# --- The table --------------------------------------------------------------------


def apart(found: Row) -> float:
    """The greatest difference of a step's losses."""
    return max(abs(a - b) for a, b in zip(found["ours"], found["theirs"], strict=True))


def table(results: Mapping[str, Any], language: str) -> str:
    """What was measured, as the page shows it."""
    head = {
        "en": ["loss", "steps", "first, ours / TRL", "last, ours / TRL", "at most apart"],
        "zh": ["损失", "步数", "第一步，我们 / TRL", "最后一步，我们 / TRL", "最大差距"],
    }[language]
    rows = []
    for name, found in results["works"].items():
        work = WORKS[name]
        both = found["ours"], found["theirs"]
        differs = work.english if language == "en" else work.chinese
        rows.append(
            [
                work.title + (f" ({differs})" if differs else ""),
                str(len(both[0])),
                *(" / ".join(f"{losses[i]:.4f}" for losses in both) for i in (0, -1)),
                f"{apart(found):.1e}",
            ]
        )
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    machine = f"{results['cpu']}, {results['cores']} × CPU; {versions}; {results['date']}"
    return as_table(head, rows, left=1) + f"\n\n{machine}."


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="the folder of a language model")
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--works", nargs="+", choices=list(WORKS), default=list(WORKS))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--write", action="store_true", help="put the table into the pages")
    options = parser.parse_args()
    results: dict[str, Any] = {**circumstances(), "works": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.works:
            place = Path(folder, name)
            place.mkdir()
            results["works"][name] = measure(name, options, place)
            options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            print(f"{name}: at most {apart(results['works'][name]):.1e} apart", flush=True)
    if options.write:
        parts = {language: table(results, language) for language in ("en", "zh")}
        write_parts(pages("language-models"), "beside trl", parts)


if __name__ == "__main__":
    main()
