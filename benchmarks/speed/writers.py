"""Rows of language models: supervised fine-tuning, DPO, and a step of PPO."""

from __future__ import annotations

from collections.abc import Callable

from speed.classifiers import with_peers
from speed.place import Command, Place, peers, read_lines, script, welltuned, write_lines
from speed.rounds import Kept, Measure, NotHere, Round, Side, in_turns

# --- Language models --------------------------------------------------------------

INSTRUCTIONS, PAIRS = 500, 100
"""Training examples of the rows that tune a language model, where `--examples` is not fewer."""


def with_trl(place: Place) -> None:
    with_peers(place)
    if "trl" not in peers():
        raise NotHere("TRL is not in the peers' environment")
    if place.language_model is None:
        raise NotHere("no language model given: --language-model FOLDER")
    if not (place.data / "instruct_en_alpaca").exists():
        raise NotHere(f"no instructions under {place.data}: --data FOLDER")
    for source, number in (("instruct_en_alpaca", INSTRUCTIONS), ("pref_en_alpacaeval", PAIRS)):
        for split, most in (("train", number), ("validation", 40), ("test", 40)):
            lines = read_lines(place.data / source / f"{split}.jsonl")
            most = min(most, place.examples)
            write_lines(place.folder / f"{source}.{split}.jsonl", lines[:most])


def tuned_writer(source: str, *more: str) -> Callable[[Place], Command]:
    """Our LoRA of a language model for one epoch."""

    def command(place: Place) -> Command:
        files = [
            f"data.{split}={place.folder / source}.{split}.jsonl"
            for split in ("train", "validation", "test")
        ]
        return welltuned(
            *("train", f"model={place.language_model}", *files, "strategy={type: lora, r: 8}"),
            *("training.num_train_epochs=1", "training.per_device_train_batch_size=8"),
            *(f"training.seed={place.seed}", f"output_dir={place.run}", *more),
        )

    return command


def scripted_writer(name: str, source: str) -> Callable[[Place], Command]:
    """The script that does the same with TRL."""
    return lambda place: script(
        name,
        model=place.language_model,
        train=f"{place.folder / source}.train.jsonl",
        test=f"{place.folder / source}.test.jsonl",
        seed=place.seed,
        out=place.out,
    )


# --- Reinforcement learning -------------------------------------------------------


def policies(strategy: str) -> Measure:
    """A step of PPO by `benchmarks/ppo.py`, which times steps and not processes."""

    def measure(place: Place, kept: Kept) -> Round:
        import ppo

        folder = place.folder / "ppo"
        if not folder.exists():
            folder.mkdir()
            ppo.make_models(folder)
        models = (str(folder / "writer"), str(folder / "judge"))

        def side(name: str) -> Side:
            found = ppo.in_a_process(name, *models, strategy)
            return {**found, "cpu_seconds": None, "score": None}

        return in_turns(place, {"ours": lambda: side("ours"), "theirs": lambda: side("usual")})

    return measure
