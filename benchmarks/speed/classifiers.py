"""Rows of classification: strategies, the whole comparison, few examples, and prediction."""

from __future__ import annotations

import json
import shutil
import statistics
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from speed.place import (
    MODEL,
    PEER_PYTHON,
    Command,
    Place,
    make_files,
    model_folder,
    peers,
    read_lines,
    script,
    timed,
    welltuned,
    write_lines,
)
from speed.rounds import Kept, Measure, NotHere, Round, Side, costs, in_turns, pair, read

# --- Classification ---------------------------------------------------------------


def reviews(place: Place) -> None:
    if not (place.folder / "train.jsonl").exists():
        make_files(place)


def with_peers(place: Place) -> None:
    if not PEER_PYTHON.exists():
        raise NotHere("the peers have no environment: make .venv-peers/ready")
    reviews(place)


def tuned(strategy: str, epochs: int, *more: str) -> Callable[[Place], Command]:
    """Our training."""
    return lambda place: welltuned(
        *("train", f"model={MODEL}", *_splits(place), f"strategy={strategy}"),
        *(f"training.num_train_epochs={epochs}", f"training.seed={place.seed}"),
        *(f"output_dir={place.run}", *more),
    )


def _splits(place: Place) -> list[str]:
    return [f"data.{name}={place.folder / name}.jsonl" for name in ("train", "validation", "test")]


def scripted(method: str, epochs: int, **more: object) -> Callable[[Place], Command]:
    """The plain Trainer (+ PEFT) script, with dynamic padding."""
    return lambda place: script(
        "plain_trainer",
        model=model_folder(),
        train=place.folder / "train.jsonl",
        test=place.folder / "test.jsonl",
        method=method,
        epochs=epochs,
        seed=place.seed,
        out=place.out,
        **more,
    )


def beside(strategy: str, method: str, epochs: int, **more: object) -> Measure:
    """Our strategy beside the script's method."""
    return pair(tuned(strategy, epochs), scripted(method, epochs, **more), needs=with_peers)


def partial(blocks: int) -> str:
    return f"{{type: partial, num_blocks: {blocks}}}"


GRADUAL = "{type: gradual, unit: epoch}"
"""The head first, then a block more each epoch: six blocks by the seventh."""

COMPARED = {
    "full": ("full", 3),
    "lora": ("lora", 3),
    "adapter": ("adapter", 3),
    "prefix": ("prefix", 3),
    "prompt": ("prompt", 3),
    "partial2": ("partial, num_blocks: 2", 5),
    "partial1": ("partial, num_blocks: 1", 10),
    "head": ("partial, num_blocks: 0", 10),
}
"""The strategies of the whole comparison by their rows, each with its epochs."""
SEEDS = 3


def compared(place: Place, kept: Kept) -> Round:
    """One comparison of every strategy, beside the sum of what the scripts took in their rows."""
    missing = [name for name in COMPARED if name not in kept]
    if missing:
        raise NotHere(f"the scripts' times are those of their rows; not yet there: {missing}")
    reviews(place)
    shutil.rmtree(place.cache, ignore_errors=True)
    shutil.rmtree(place.folder / "comparison", ignore_errors=True)
    variants = ", ".join(
        f"{{type: {kind}, name: {name}, training: {{num_train_epochs: {epochs}}}}}"
        for name, (kind, epochs) in COMPARED.items()
    )
    command = welltuned(
        *("compare", f"model={MODEL}", *_splits(place), f"strategies=[{variants}]"),
        *(f"seeds={SEEDS}", f"training.seed={place.seed}"),
        f"output_dir={place.folder / 'comparison'}",
    )
    taken = timed(command, place)
    found = read(place.folder / "comparison/results.json")["rows"]
    scores = [row["scores"]["accuracy"]["mean"] for row in found if row["name"] in COMPARED]
    rounds = {name: kept[name]["rounds"] for name in COMPARED}
    theirs = {
        what: [statistics.median(one["theirs"][what] for one in rounds[name]) for name in rounds]
        for what in ("seconds", "cpu_seconds", "bytes", "score")
    }
    return {
        "seed": place.seed,
        "ours": {**costs(taken), "score": statistics.mean(scores)},
        "theirs": {
            "seconds": SEEDS * sum(theirs["seconds"]),
            "cpu_seconds": SEEDS * sum(theirs["cpu_seconds"]),
            "bytes": max(theirs["bytes"]),
            "score": statistics.mean(theirs["score"]),
        },
    }


# --- Few examples -----------------------------------------------------------------

SHOTS = 32
"""Examples of each label."""


def few_examples(place: Place) -> None:
    with_peers(place)
    if "setfit" not in peers():
        raise NotHere("SetFit is not in the peers' environment")
    seen: Counter[str] = Counter()
    chosen = []
    for line in read_lines(place.folder / "train.jsonl"):
        label = str(json.loads(line)["label"])
        seen[label] += 1
        chosen += [line] if seen[label] <= SHOTS else []
    write_lines(place.folder / "few.jsonl", chosen)


def few(epochs: int) -> Measure:
    """Our full fine-tuning on a few examples, beside SetFit's trainer."""
    return pair(
        lambda place: [
            *tuned("full", epochs)(place),
            f"data.train={place.folder / 'few.jsonl'}",
        ],
        lambda place: script(
            "setfit_trainer",
            model=model_folder(),
            train=place.folder / "few.jsonl",
            test=place.folder / "test.jsonl",
            shots=SHOTS,
            seed=place.seed,
            out=place.out,
        ),
        needs=few_examples,
    )


# --- Prediction -------------------------------------------------------------------


def export_plain(run: Path, plain: Path, place: Place) -> None:
    """The tuned model as plain libraries read it, for the pipeline."""
    timed(welltuned("export", str(run), "to=plain", f"out={plain}"), place)


def answered(place: Place, kept: Kept) -> Round:
    """Our `predict` beside a pipeline, by one run that is made before the first round."""
    with_peers(place)
    model, plain = place.folder / "tuned", place.folder / "plain"
    if not plain.exists():
        brief = ("data.max_train_examples=200", "evaluation.untrained=false", "task.pooling=model")
        timed([*tuned("full", 1, *brief)(place), f"output_dir={model}"], place)
        export_plain(model, plain, place)
    rows = [json.loads(line) for line in read_lines(place.folder / "mixed.jsonl")]
    truth = [str(row["label"]) for row in rows]

    def right(labels: list[str]) -> float:
        return statistics.mean(one == other for one, other in zip(labels, truth, strict=True))

    def ours() -> Side:
        file = place.folder / "mixed.jsonl"
        taken = timed(welltuned("predict", str(model), f"data={file}", "--json"), place)
        said = [json.loads(line)["prediction"] for line in taken.printed.splitlines() if line]
        return {**costs(taken), "score": right([str(label) for label in said])}

    def theirs() -> Side:
        file = place.folder / "mixed.jsonl"
        taken = timed(script("pipeline", model=plain, data=file, out=place.out), place)
        return {**costs(taken), "score": right(read(place.out))}

    return in_turns(place, {"ours": ours, "theirs": theirs})
