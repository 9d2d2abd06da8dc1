"""Language models beside TRL: the same losses, step after step, and what both cost.

Both sides get the same model, the same rows in the same order, the same learning rate, and train
all weights in fp32 without dropout. So where both define a loss in the same way, every step has
the same one; the table says how far the losses lie apart at most, and where a definition differs.
With GRPO each side draws its own answers, and its loss is 0 by construction, so that the mean
reward of each batch stands in its place. Times and memory are those of whole processes, one after
the other; longer ones are measured by `bench.py`, in its rows of language models.

    python benchmarks/language_models.py --model FOLDER --data ../shared/data --write

What the results hold of this code is not measured again, unless --again is given. Each pair takes
two to four minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from language_model_works import (
    ANSWERS,
    BATCH,
    QUESTIONS,
    SEED,
    WORKS,
    Row,
    Work,
    as_ours,
    in_our_order,
    questions,
    rows_of,
)
from marked import as_table, pages, write_parts
from speed.place import (
    ROOT,
    SPLITS,
    Place,
    circumstances,
    script,
    timed,
    versions_of,
    welltuned,
    write_lines,
)

RESULTS = ROOT / "benchmarks/results/language_models.json"
RATE = 1e-5


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


def our_grpo(model: Path, folder: Path, steps: int, run: Path) -> list[str]:
    """A pipeline of ours that does nothing but reinforcement learning."""
    config = {
        "pipeline": "rlhf",
        "model": str(model),
        "data": {split: str(folder / f"{split}.jsonl") for split in SPLITS},
        "task": WORKS["grpo"].task,
        "strategy": "full",
        "sft": "skip",
        "reward": {"type": "final_number", "column": "completion"},
        "grpo": {
            "num_generations": ANSWERS,
            "batch_size": QUESTIONS * ANSWERS,
            "total_episodes": steps * QUESTIONS * ANSWERS,
            "num_mini_batches": 1,
            "learning_rate": RATE,
            "lr_scheduler_type": "constant",
            "response_length": 8,
            "kl_coef": 0.04,
            "eval_steps": steps,
            "eval_examples": QUESTIONS,
        },
        "output_dir": str(run),
    }
    file = run.with_suffix(".yaml")
    file.write_text(json.dumps(config), encoding="utf-8")
    return welltuned("train", str(file))


def with_head(model: Path, folder: Path) -> Path:
    """The model with a head that gives one number, so that both sides begin with the same one.

    Padding is no end of text there: the head reads the last token that is not padding.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(SEED)
    judge = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1)
    tokenizer = AutoTokenizer.from_pretrained(model)
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        ends = {tokenizer.eos_token_id}
        tokenizer.pad_token = tokenizer.decode([min({*tokenizer.all_special_ids} - ends)])
    judge.config.pad_token_id = tokenizer.pad_token_id
    judge.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def measure(name: str, options: argparse.Namespace, folder: Path) -> Row:
    """Both sides once: the loss (or reward) of each step, seconds and memory."""
    work, steps = WORKS[name], options.steps
    judges = work.task["type"] == "reward"
    model = with_head(options.model, folder / "judge") if judges else options.model
    number = write_rows(name, options, folder)
    place, run = Place(folder, options.data, number), folder / name
    if work.draws:
        command, lines = our_grpo(model, folder, steps, run), run / "stages/rl/metrics.jsonl"
        theirs = script("trl_grpo", batch_size=QUESTIONS * ANSWERS, generations=ANSWERS,
                        **given_to_both(model, folder, steps, place))  # fmt: skip
    else:
        command, lines = ours(work, model, folder, steps, run), run / "metrics.jsonl"
        plain = {"plain": True} if work.plain else {}
        theirs = script("trl_losses", work=work.peer or name, batch_size=BATCH, **plain,
                        **given_to_both(model, folder, steps, place))  # fmt: skip
    taken = {"ours": timed(command, place), "theirs": timed(theirs, place)}
    key = "reward" if work.draws else "loss"
    told = json.loads(place.out.read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    return {
        "steps": steps,
        "ours": [row[key] for row in rows if key in row and row["split"] == "train"],
        "theirs": told["losses"],
        "seconds": {side: one.seconds for side, one in taken.items()},
        "bytes": {side: one.bytes for side, one in taken.items()},
    }


def given_to_both(model: Path, folder: Path, steps: int, place: Place) -> Row:
    """The options that every script of theirs takes."""
    rows = folder / "ordered.jsonl"
    return {"model": model, "rows": rows, "steps": steps, "learning_rate": RATE, "out": place.out}


def write_rows(name: str, options: argparse.Namespace, folder: Path) -> int:
    """The files of both sides; returns how many rows are trained on."""
    work = WORKS[name]
    size = QUESTIONS if work.draws else BATCH
    number = options.steps * size
    whole = number + 2 * size
    rows = questions(whole) if work.draws else rows_of(name, options.data, whole)
    read = [json.dumps(as_ours(row, work.plain)) for row in rows]
    write_lines(folder / "train.jsonl", read[:number])
    write_lines(folder / "validation.jsonl", read[number : number + size])
    write_lines(folder / "test.jsonl", read[number + size :])  # or it would be taken from train
    ordered = rows[:number] if work.draws else in_our_order(rows[:number])
    write_lines(folder / "ordered.jsonl", map(json.dumps, ordered))
    return number


# --- The table --------------------------------------------------------------------


def apart(found: Row) -> float:
    """The greatest difference of a step's losses."""
    return max(abs(a - b) for a, b in zip(found["ours"], found["theirs"], strict=True))


HEADS = {
    "en": ["loss", "steps", "first, ours / TRL", "last, ours / TRL", "at most apart",
           "times as fast", "memory, ours / TRL"],
    "zh": ["损失", "步数", "第一步，我们 / TRL", "最后一步，我们 / TRL", "最大差距",
           "速度倍数", "内存，我们 / TRL"],
}  # fmt: skip


def table(results: Mapping[str, Any], language: str) -> str:
    """What was measured, as the page shows it."""
    rows = [_line(WORKS[name], found, language) for name, found in results["works"].items()]
    versions = versions_of(results)
    machine = f"{results['cpu']}, {results['cores']} × CPU; {versions}; {results['date']}"
    return as_table(HEADS[language], rows, left=1) + f"\n\n{machine}."


def _line(work: Work, found: Row, language: str) -> list[str]:
    both = found["ours"], found["theirs"]
    differs = work.english if language == "en" else work.chinese
    return [
        work.title + (f" ({differs})" if differs else ""),
        str(len(both[0])),
        *(" / ".join(f"{values[i]:.4f}" for values in both) for i in (0, -1)),
        "–" if work.draws else f"{apart(found):.1e}",
        _ratio(found.get("seconds"), "theirs", "ours"),
        _ratio(found.get("bytes"), "ours", "theirs"),
    ]


def _ratio(taken: Mapping[str, float] | None, over: str, under: str) -> str:
    return "–" if taken is None else f"{taken[over] / taken[under]:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="the folder of a language model")
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--works", nargs="+", choices=list(WORKS), default=list(WORKS))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--again", action="store_true", help="also what the results hold already")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--write", action="store_true", help="put the table into the pages")
    options = parser.parse_args()
    results = begun(options)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.works:
            if name in results["works"] and not options.again:
                continue
            place = Path(folder, name)
            place.mkdir()
            results["works"][name] = measure(name, options, place)
            options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            print(_line(WORKS[name], results["works"][name], "en"), flush=True)
    if options.write:
        parts = {language: table(results, language) for language in ("en", "zh")}
        write_parts(pages("language-models"), "beside trl", parts)


def begun(options: argparse.Namespace) -> dict[str, Any]:
    """What is known of this code in as many steps; the works are in the order of `WORKS`."""
    now: dict[str, Any] = {**circumstances(), "works": {}}
    if options.out.exists():
        stored = json.loads(options.out.read_text(encoding="utf-8"))
        if stored["code"] == now["code"]:
            works = stored["works"]
            now["works"] = {n: works[n] for n in works if works[n].get("steps") == options.steps}
    return now


if __name__ == "__main__":
    main()
