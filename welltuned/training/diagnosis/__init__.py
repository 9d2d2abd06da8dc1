"""Diagnosis of a training from its curves, with what to try next.

Pure functions over what a run folder holds: the rows of metrics.jsonl, results.json and
the config. Each fault is claimed only where noise does not explain what is seen; a run of
which nothing can be claimed is healthy.

evidence   curves and scores as numbers
faults     one function for each fault
advice     what to try, as a command
spikes     losses far above those before them
optimum    what stands for the curve of a head that was solved for
finding    a fault, what shows it, and the advice
watching   the same while a run trains
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from welltuned.runs.results_schema import KnownSoFar
from welltuned.training.diagnosis.advice import suggest_next
from welltuned.training.diagnosis.checks import WHEN_OVER, WHILE_TRAINING
from welltuned.training.diagnosis.evidence import gather
from welltuned.training.diagnosis.finding import HEALTHY, Finding, finding_lines, verdict

__all__ = ["HEALTHY", "Finding", "diagnose", "finding_lines", "verdict"]


def diagnose(
    metrics: Sequence[dict[str, Any]],
    results: KnownSoFar,
    config: dict[str, Any],
    file: str,
    folder: str,
    over: bool = True,
) -> Finding | None:
    """The most severe pathology found; None for a healthy run.

    `file` is the config that the command shall name, and `folder` a free one for its output.
    Of a run that is not over there are no results but the scores of its last evaluation.
    """
    evidence = gather(metrics, results)
    for fault, look in (WHEN_OVER if over else WHILE_TRAINING).items():
        if (what := look(evidence)) is not None:
            return Finding(fault, what, *suggest_next(fault, evidence, config, file, folder))
    return None
