"""`welltuned data next`: which unlabelled texts would teach a tuned model most, once labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from welltuned.artifact.answers import require_finite_outputs
from welltuned.artifact.manifest import find_artifact
from welltuned.artifact.predictor import Predictor
from welltuned.artifact.save_load import Artifact, load_artifact
from welltuned.data.overlap.duplicates import keys_of
from welltuned.data.overlap.trained_on import were_trained_on
from welltuned.data.records import Records
from welltuned.engines.device import autocast, choose_device
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.evaluation.outputs_and_features import outputs_and_features
from welltuned.experiments.labels.badge import answer_errors, choose_batch
from welltuned.experiments.labels.config import NextSettings
from welltuned.experiments.labels.tables import write_table
from welltuned.schema.messages import Message, message
from welltuned.tasks import Problem

_BATCH = 64


@dataclass(frozen=True)
class NextTexts:
    """The texts to label, in the order in which they were chosen."""

    rows: list[Mapping[str, object]]
    """`id`, the inputs by role, `label` to be filled in, `prediction`, and its `probability`."""
    candidates: int
    """How many texts they were chosen from."""
    notes: list[Message]
    """What a person should know."""


def write_next_texts(run: Path, settings: NextSettings) -> NextTexts:
    """Choose texts for a run's model to learn from, and write them as a table to fill in.

    Raises `InputError` where the model gives no labels, or the table would overwrite something.
    """
    file = Path(settings.file)
    if file.exists():
        raise InputError(
            Fault(
                "next.file_exists",
                "the file is there already",
                Place(str(file)),
                "choose another: file=NAME.csv; nothing is ever overwritten",
            )
        )
    found = choose_next(run, settings)
    write_table(file, found.rows)
    return found


def choose_next(run: Path, settings: NextSettings) -> NextTexts:
    """The texts, by BADGE: uncertain ones that are unlike each other."""
    folder = find_artifact(run)
    artifact = load_artifact(folder, choose_device("auto")).merged()
    _refuse_unlabelled(artifact.problem, run)
    given = _read(Predictor(artifact), settings)
    records, notes = _candidates(given, folder.resolve().parent, settings)
    outputs_NK, features_NH = _outputs_and_features(artifact, records)
    answers = artifact.problem.presenter.answers(outputs_NK, records)
    chances = [_chances(answer) for answer in answers]
    several = any(isinstance(answer["prediction"], list) for answer in answers)
    errors_NK = answer_errors(np.array([list(one.values()) for one in chances]), several)
    chosen = choose_batch(errors_NK, features_NH, settings.n)
    rows = [_row(records, i, answers[i]["prediction"], chances[i]) for i in chosen]
    if len(rows) < settings.n:
        notes.append(
            message(
                "next.fewer_texts",
                "There are {number:,} texts to choose from, and so all of them are there.",
                number=len(rows),
            )
        )
    return NextTexts(rows, len(records), notes)


def _read(predictor: Predictor, settings: NextSettings) -> Records:
    """All rows of the file. Raises `InputError` where some cannot be read, or none is there."""
    inputs, faults = predictor.read_file(settings.data.train, settings.data), Faults()
    for fault in inputs.refused:
        faults.count(fault)
    faults.raise_if_any()
    if inputs.records is None:
        raise InputError(_without_texts(settings))
    return inputs.records


def _outputs_and_features(artifact: Artifact, records: Records) -> tuple[np.ndarray, np.ndarray]:
    examples = artifact.problem.codec.encode(artifact.tokenizer, records, artifact.max_length)
    device = next(artifact.model.parameters()).device
    found = outputs_and_features(
        artifact.model,
        artifact.problem,
        examples,
        artifact.tokenizer.pad_token_id,
        _BATCH,
        autocast(artifact.precision, device),
    )
    require_finite_outputs(found[0], records)
    return found


def _refuse_unlabelled(problem: Problem, run: Path) -> None:
    if not problem.scorer.family.has_label_probabilities:
        raise InputError(
            Fault(
                "next.task_unsupported",
                "the model does {task}, and does not say how probable each label is",
                Place(str(run)),
                "give a run of a task with classes",
                task=problem.title,
            )
        )


def _candidates(
    records: Records, run: Path, settings: NextSettings
) -> tuple[Records, list[Message]]:
    """Texts that are new to the model, each once, and what was left out."""
    known = were_trained_on(records, run)
    seen: set[tuple[str, ...]] = set()
    kept: list[int] = []
    counts = {"empty": 0, "learned": 0, "repeated": 0}
    for i, key in enumerate(keys_of(records, settings.data.compare_as)):
        if records.empty_roles(i):
            counts["empty"] += 1
        elif known is not None and known[i]:
            counts["learned"] += 1
        elif key in seen:
            counts["repeated"] += 1
        else:
            seen.add(key)
            kept.append(i)
    if not kept:
        raise InputError(_without_texts(settings))
    left_out = message(
        "next.left_out",
        "{source}: left out are {learned:,} texts that the model has learned from, {repeated:,} "
        "repeated ones and {empty:,} empty ones.",
        source=records.source,
        **counts,
    )
    return records.take(kept), [left_out] if any(counts.values()) else []


def _without_texts(settings: NextSettings) -> Fault:
    return Fault(
        "next.no_new_texts",
        "the file has no text that the model has not learned from",
        Place(settings.data.train),
        "give other texts",
    )


def _chances(answer: Mapping[str, object]) -> dict[str, float]:
    chances = answer["probabilities"]
    assert isinstance(chances, dict), "asked of the family before"
    return chances


def _row(
    records: Records, i: int, prediction: object, chances: Mapping[str, float]
) -> Mapping[str, object]:
    said: Sequence[object] = prediction if isinstance(prediction, list) else [prediction]
    sure = [p if name in said else 1 - p for name, p in chances.items()]
    own = min(sure) if isinstance(prediction, list) else chances[str(prediction)]
    inputs = {role: records[role][i] for role in records.input_roles}
    shown = ", ".join(map(str, said))
    return {"id": records.id(i), **inputs, "label": "", "prediction": shown, "probability": own}
