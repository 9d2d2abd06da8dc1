"""RUN/start.json: what was asked, and what was decided before the first step.

What is asked may leave much to be decided: `auto`, `find`, a precision to be tried. A run that
goes on after an interruption keeps to what was decided then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from welltuned.config import RunConfig
from welltuned.errors import InputError
from welltuned.runs import Run
from welltuned.runs.folder import START
from welltuned.runs.ownership import is_owned
from welltuned.schema.differences import differences
from welltuned.schema.secrets import masked
from welltuned.schema.versions import RUN_CONFIG
from welltuned.training.preparation.defaults import Choice

if TYPE_CHECKING:
    from welltuned.training.preparation.prepare import RunPlan
    from welltuned.training.session.session import Session


_WITHOUT_EFFECT = ("output_dir", "training.report_to")


def write_decisions(run: Run, session: Session, asked: RunConfig) -> None:
    """Note what was asked and what was decided."""
    prepared = session.prepared
    run.write(
        START,
        {
            "asked": asked.model_dump(mode="json"),
            "config": prepared.config.model_dump(mode="json"),
            "data_fingerprint": prepared.data.facts.fingerprint,
            "choices": [asdict(choice) for choice in prepared.choices],
            "found": session.found,
        },
    )


def note_changes(run: Run, prepared: RunPlan) -> None:
    """From here on the run goes on with this config and these data."""
    values = prepared.config.model_dump(mode="json")
    run.write("config.yaml", RUN_CONFIG.stamp(values))
    run.write("data.json", prepared.data.facts.as_dict())
    fingerprint = prepared.data.facts.fingerprint
    run.write(START, {**run.read(START), "config": values, "data_fingerprint": fingerprint})


def as_decided(run: Run, session: Session) -> Session:
    """The session with what was decided when the run began."""
    start = run.read(START)
    choices = [Choice(**choice) for choice in start["choices"]]
    prepared = replace(session.prepared, choices=choices)
    return replace(session, prepared=prepared, found=start["found"])


def changes(was: object, config: RunConfig) -> Iterator[tuple[str, object, object]]:
    """(key, was, is) of all that differs, but for what nothing follows from: the folder, which may
    have been moved, and whom the run reports to."""
    now = masked(config.model_dump(mode="json"))
    for key, (before, after) in differences(was, now).items():
        if not key.startswith(_WITHOUT_EFFECT):
            yield key, before, after


def reporting_as_asked(folder: Path, asked: RunConfig) -> list[str]:
    """What changes whom an interrupted run reports to, as `key=value`; nothing where it is so."""
    before = Run(folder).config["training"].get("report_to", [])
    now = list(asked.training.report_to)
    return [] if before == now else [f"training.report_to=[{', '.join(now)}]"]


def is_interrupted(folder: Path, asked: RunConfig) -> bool:
    """Whether a run of just this config was interrupted there, and can go on."""
    run = Run(folder)
    if not (folder / START).exists() or run.is_finished or is_owned(folder):
        return False
    try:
        before = run.read(START)["asked"]
    except (InputError, KeyError):
        return False
    return not list(changes(before, asked))
