"""A run that learns by contrast: what is drawn, what is refused, and what is said of it.

check_contrast     refuses, before any weight is loaded, what cannot be learned so
with_label_names   the labels' names as texts beside the others
grouped            the groups of texts that are drawn
contrast_of        the problem whose loss trains on them
contrast_notes     what a person should know of it
texts_of_a_label   how many texts a label has, by which it pays or not
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from welltuned.config import RunConfig
from welltuned.data.contrast_groups import draw_groups
from welltuned.data.records import Records
from welltuned.engines import distributed
from welltuned.errors import Fault, Faults
from welltuned.schema.messages import Message, message
from welltuned.strategies import ContrastOptions, Strategy, default_strategy
from welltuned.tasks import Examples, Problem
from welltuned.tasks.contrast import Contrast, ContrastLoss, Groups
from welltuned.tasks.label_flags import LabelFlags
from welltuned.training.preparation.defaults import defaults_for

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from welltuned.models.anatomy import Anatomy

_MOST_BYTES = 2**31
"""Of what the head reads of all training texts together, in float64."""
_SHOWN = 5


# --- What is drawn ------------------------------------------------------------------------


def with_label_names(
    problem: Problem,
    tokenizer: PreTrainedTokenizerBase,
    examples: Examples,
    template: str,
    max_length: int,
) -> Examples:
    """The examples, and after them a text for each label, which has that label alone."""
    codec = problem.codec
    texts = codec.records_of([template.replace("{label}", name) for name in problem.labels])
    encoded = codec.encode(tokenizer, texts, max_length).encoded
    return examples.join(Examples(encoded, _flags(problem).each(), texts))


def grouped(problem: Problem, examples: Examples, options: ContrastOptions, seed: int) -> Groups:
    """The groups of an epoch, drawn from the texts."""
    assert examples.targets is not None
    flags_NK = _flags(problem).of(examples.targets)
    rows_GS = draw_groups(flags_NK, options.group_size, options.rounds, seed)
    return Groups(examples.encoded, examples.targets, examples.records, rows_GS)


def contrast_of(
    problem: Problem, anatomy: Anatomy, options: ContrastOptions, groups: Examples
) -> Contrast:
    """The problem that is learned from them."""
    loss = ContrastLoss(options.loss, options.temperature)
    return Contrast(problem, _flags(problem), anatomy.head[0], groups.units, loss)


def _flags(problem: Problem) -> LabelFlags:
    assert problem.label_flags is not None, "refused before it comes to this"
    return problem.label_flags


# --- What is refused ----------------------------------------------------------------------


def check_contrast(
    config: RunConfig, problem: Problem, anatomy: Anatomy, train: Records, faults: Faults
) -> None:
    """Record why a strategy that learns by contrast cannot be had."""
    options = config.strategy.contrast
    if options is None:
        return
    if problem.label_flags is None:
        faults.add(
            "strategy.contrast_without_labels",
            "strategy '{strategy}' learns from labels which texts are alike, and what the task "
            "'{task}' answers is no label of a text",
            None,
            "set strategy={other}, or task.problem to single_label or multi_label",
            strategy=config.strategy.type,
            task=problem.title,
            other=default_strategy().type,
        )
        return
    for reason, remedy in _beyond_contrast(config, problem, anatomy, train):
        faults.add(
            "strategy.contrast_unsupported",
            "strategy '{strategy}' cannot be had here: {reason}",
            None,
            "{remedy}",
            strategy=config.strategy.type,
            reason=reason,
            remedy=remedy,
        )
    faults.extend(_unpaired(problem, options, train))


def _beyond_contrast(
    config: RunConfig, problem: Problem, anatomy: Anatomy, train: Records
) -> Iterator[tuple[str, str]]:
    """(why not, what to do) for what goes well with other strategies."""
    training, options = config.training, config.strategy.contrast
    assert options is not None
    size = training.per_device_train_batch_size
    if size == "auto":
        yield (
            "a batch size is looked for among single texts, and it compares groups of them",
            f"set training.per_device_train_batch_size={options.group_size} or a multiple",
        )
    elif size < options.group_size:
        yield (
            f"its groups of {options.group_size} texts are more than "
            f"'training.per_device_train_batch_size', which is {size}",
            f"set strategy.group_size={max(4, size // 2 * 2)}, or a larger batch size",
        )
    if config.task.cutting.in_windows:
        yield "it compares texts as one row of tokens each", "set task.long=head_tail"
    elif problem.codec.pairs_of_rows:
        yield "it compares texts as one row of tokens each", "remove task.pair"
    if problem.codec.more_than_tokens:
        yield "it compares texts by their tokens alone", "remove task.encoding"
    if distributed.processes() > 1 or training.sharding is not None:
        yield "its head is solved for by one process alone", "train in one process"
    if not problem.objective.is_convex:
        yield "with 'task.focal_gamma' a head has no one optimum", "set task.focal_gamma=0"
    if 8 * len(train) * anatomy.hidden_size > _MOST_BYTES:
        yield (
            "what the head reads of so many texts would take more than 2 GiB",
            f"set strategy={default_strategy().type}; contrast is for few labels",
        )
    if options.label_template is not None and len(train.input_roles) > 1:
        yield "'strategy.label_template' makes one text, and the task reads pairs", "remove it"


def _unpaired(problem: Problem, options: ContrastOptions, train: Records) -> Iterator[Fault]:
    """Labels of a single text, which nothing is alike to."""
    flags_NK = _flags(problem).of(problem.codec.read_targets(train, Faults()))
    alone = [] if options.label_template else np.flatnonzero(flags_NK.sum(axis=0) == 1).tolist()
    if alone:
        first = int(flags_NK[:, alone[0]].argmax())
        yield Fault(
            "strategy.contrast_unpaired",
            "{number} labels have one training text alone, which nothing can be paired with: "
            "{labels}",
            train.place(first),
            "give each a second text, or set strategy.label_template='{name}', which makes a text "
            "of each label's name",
            name="{label}",
            number=len(alone),
            labels=", ".join(problem.labels[label] for label in alone[:_SHOWN])
            + (", …" if len(alone) > _SHOWN else ""),
        )


# --- What is said -------------------------------------------------------------------------


def contrast_notes(
    strategy: Strategy, problem: Problem, anatomy: Anatomy, train: Records
) -> Iterator[Message]:
    """What is drawn of so many texts, and whether that is still worth it."""
    options = strategy.contrast
    if options is None:
        return
    yield message(
        "strategy.contrast_drawn",
        "An epoch draws groups of {size} texts in {rounds:,} rounds of all {texts:,}; the head is "
        "solved for when they have been learned from.",
        size=options.group_size,
        rounds=options.rounds,
        texts=len(train),
    )
    each = texts_of_a_label(problem, train)
    limit = defaults_for(strategy, anatomy, len(train)).get("pays_up_to")
    if limit is not None and each > limit.value:
        yield message(
            "strategy.contrast_of_many",
            "A label has about {each:,.0f} training texts. From about {limit:,.0f} on, contrast is "
            "not expected to pay ({source}): compare it with strategy={other}.",
            each=each,
            limit=limit.value,
            source=limit.source,
            other=default_strategy().type,
        )


def texts_of_a_label(problem: Problem, train: Records) -> float:
    """How many training texts a label has, in the median over labels."""
    flags_NK = _flags(problem).of(problem.codec.read_targets(train, Faults()))
    return float(np.median(flags_NK.sum(axis=0)))
