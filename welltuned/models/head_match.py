"""Which rows of a base's own classification head serve the labels of a new task.

A row of an output layer means a label, and the label's name is all that says which. Rows are kept
where names agree; whatever has no row is initialised anew. Names agree when they are equal or,
where that leaves no doubt, when they are equal but for upper and lower case.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from welltuned.models.compat.transformers_api import initialise_as_family

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

    from welltuned.models.anatomy import Anatomy

Outcome = Literal["kept", "extended", "new"]

_LABELLED = re.compile("Classification|MultipleChoice|NextSentence")
"""Architectures whose output layer stands where that of a classifier does."""
_PLACEHOLDER = re.compile(r"LABEL_\d+")
"""What transformers calls a label that nobody has named."""


@dataclass(frozen=True)
class HeadMatch:
    """What the head of a task takes over from the head that the base comes with."""

    architecture: str
    """The base's class in transformers."""
    before: tuple[str, ...]
    """The labels of the base's head, in the order of its rows."""
    labels: tuple[str, ...]
    """The labels of the task."""
    rows: tuple[int | None, ...]
    """For each label of the task, its row in the base's head."""
    is_number: bool
    """Whether the task asks for one number, which has no label."""
    output: str | None
    """The output layer that has a row for each label; None where the heads are built differently,
    and nothing of the old one serves."""

    @property
    def outcome(self) -> Outcome:
        """Whether all, some or none of the rows were kept."""
        missing = self.rows.count(None)
        return "new" if missing == len(self.rows) else "extended" if missing else "kept"

    @property
    def is_as_it_was(self) -> bool:
        """Whether the head serves without a change."""
        return self.rows == tuple(range(len(self.before)))

    @property
    def kept(self) -> tuple[str, ...]:
        """Labels of the task that keep their rows."""
        return tuple(
            label for label, row in zip(self.labels, self.rows, strict=True) if row is not None
        )

    @property
    def added(self) -> tuple[str, ...]:
        """Labels of the task that start anew."""
        return tuple(
            label for label, row in zip(self.labels, self.rows, strict=True) if row is None
        )

    @property
    def dropped(self) -> tuple[str, ...]:
        """Labels of the base that the task does not have."""
        return tuple(label for row, label in enumerate(self.before) if row not in self.rows)

    @property
    def shares_a_label(self) -> bool:
        """Whether any label is in both heads, also where no row could be kept."""
        return any(row is not None for row in match_names(self.before, self.labels))

    @property
    def is_unnamed(self) -> bool:
        """Whether nobody has named the base's labels."""
        return all(map(_PLACEHOLDER.fullmatch, self.before))


def match_head(
    own: PreTrainedConfig, skeleton: PreTrainedModel, anatomy: Anatomy
) -> HeadMatch | None:
    """How the head of a model for the task, given as a skeleton, follows from that of its base.

    `own` is the base's config. None where the base has no head for labels.
    """
    target = type(skeleton).__name__
    architecture = (own.architectures or [target])[0]
    if not _LABELLED.search(architecture):
        return None
    config = skeleton.config
    before, labels = label_names(own), label_names(config)
    alike = architecture == target and _reads(own) == _reads(config)
    output = output_layer(skeleton, anatomy.head, len(labels)) if alike else None
    number = _gives_number(config)
    rows: tuple[int | None, ...] = (None,) * len(labels)
    if output is not None and number == _gives_number(own):
        rows = _same_number(before, labels) if number else match_names(before, labels)
    return HeadMatch(architecture, before, labels, rows, number, output)


def label_names(config: PreTrainedConfig) -> tuple[str, ...]:
    """The labels that a config names, in the order of the output layer's rows."""
    names: Any = config.id2label
    return tuple(str(names[row]) for row in range(len(names)))


def match_names(before: Sequence[str], labels: Sequence[str]) -> tuple[int | None, ...]:
    """For each label the row of the same name."""
    exact = {name: row for row, name in enumerate(before)}
    clear = {name for name, number in Counter(map(_fold, labels)).items() if number == 1}
    folded = Counter(map(_fold, before))
    loose = {_fold(name): row for row, name in enumerate(before) if folded[_fold(name)] == 1}
    return tuple(
        exact.get(label, loose.get(_fold(label)) if _fold(label) in clear else None)
        for label in labels
    )


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def _same_number(before: Sequence[str], labels: Sequence[str]) -> tuple[int | None, ...]:
    """A number that nobody has named may be any; one with a name is that one alone."""
    if _PLACEHOLDER.fullmatch(before[0]):
        return (0,)
    return match_names(before, labels)


def _gives_number(config: Any) -> bool:
    if config.num_labels != 1:
        return False
    return config.problem_type in (None, "regression")


def _reads(config: Any) -> tuple[str | None, str]:
    """What a head reads of a text, and how of two."""
    return getattr(config, "pooling", None), getattr(config, "pair", "together")


# --- Weights ------------------------------------------------------------------------


def output_layer(model: nn.Module, head: Sequence[str], labels: int) -> str | None:
    """The name of the last linear layer of a head, where it has a row for each label."""
    found = [
        (".".join(filter(None, (name, inner))), module)
        for name in head
        for inner, module in model.get_submodule(name).named_modules()
        if isinstance(module, nn.Linear)
    ]
    return found[-1][0] if found and found[-1][1].out_features == labels else None


def config_to_read(config: PreTrainedConfig, match: HeadMatch | None) -> PreTrainedConfig:
    """The config to read the weights with: until rows have been matched, of the base's labels."""
    if match is None or match.output is None or match.is_as_it_was:
        return config
    of_base = type(config).from_dict(config.to_dict())
    _name_labels(of_base, match.before)
    return of_base


def _name_labels(config: Any, labels: Sequence[str]) -> None:
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {name: row for row, name in enumerate(labels)}


@torch.no_grad()
def take_over(model: PreTrainedModel, match: HeadMatch, head: Sequence[str], seed: int) -> set[str]:
    """Turn the base's head into that of the task, in a model read with `config_to_read`.

    What has no row is drawn from `seed`. Returns the names of the weights that are no longer the
    checkpoint's.
    """
    if match.is_as_it_was:
        return set()
    torch.manual_seed(seed)
    if match.output is None:
        return _renew(model, head)
    tuned: Any = model
    old: Any = model.get_submodule(match.output)
    layer = nn.Linear(
        old.in_features, len(match.rows), old.bias is not None, dtype=old.weight.dtype
    )
    initialise_as_family(model, layer)
    kept = [(row, source) for row, source in enumerate(match.rows) if source is not None]
    for row, source in kept:
        for part, parameter in layer.named_parameters():
            parameter[row] = getattr(old, part)[source]
    model.set_submodule(match.output, layer)
    _name_labels(model.config, match.labels)
    tuned.num_labels = len(match.labels)
    return {f"{match.output}.{part}" for part, _ in layer.named_parameters()}


def _renew(model: Any, head: Sequence[str]) -> set[str]:
    """Initialise a whole head as its family does."""
    names = set()
    for name in head:
        for inner, module in model.get_submodule(name).named_modules():
            for part, _ in module.named_parameters(recurse=False):
                names.add(".".join(filter(None, (name, inner, part))))
            initialise_as_family(model, module)
    return names
