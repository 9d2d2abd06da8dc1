"""What a run learned from by contrast, and the head that was solved for."""

from __future__ import annotations

from typing import NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from welltuned.runs.results_schema.fields import CLOSED
from welltuned.runs.results_schema.head_solution import HeadSolution


@with_config(CLOSED)
class ContrastRecord(TypedDict):
    """What was drawn, and what came of the head."""

    texts: int
    """Training texts, those made of labels' names included."""
    groups: int
    """Groups of them that an epoch draws..."""
    group_size: int
    """... each of so many texts."""
    head: NotRequired[HeadSolution]
    """The head on the features of the weights that were kept; missing where those were found before
    the run was interrupted."""


@with_config(CLOSED)
class Contrasted(TypedDict):
    """What is known of a contrast."""

    contrast: NotRequired[ContrastRecord]
    """What was contrasted, where a strategy learns so."""
