"""What a run starts from: what it takes over from a base that has learned something, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from welltuned.models.adapters import find_adapter
from welltuned.models.locations import is_run
from welltuned.schema.messages import Message, message

if TYPE_CHECKING:
    from welltuned.models.head_match import HeadMatch
    from welltuned.runs.results_schema import StartingHead, StartingPoint
    from welltuned.training.preparation.model_plan import ModelPlan

_SHOWN = 8


def starting_notes(model: ModelPlan) -> Iterator[Message]:
    """What people should know of it."""
    base = model.pretrained.model
    if is_run(base.name):
        yield message("model.from_run", "Training goes on from the run {run}.", run=base.name)
    if adapter := find_adapter(base.location):
        yield message(
            "model.adapter_merged",
            "The adapter in {folder} is merged into its base model {base}.",
            folder=base.location,
            base=adapter.base,
        )
        if (kind := adapter.origin.get("quantization")) is not None:
            yield message(
                "model.adapter_was_quantized",
                "That adapter was trained on its base in {kind}, and is merged into the base as it "
                "is: training starts from answers that differ a little from those of its run.",
                kind=kind,
            )
    if base.quantization is not None:
        yield message(
            "model.base_quantized",
            "The linear layers of the base model's blocks are held in {kind}; embeddings, norms "
            "and heads stay in {dtype}. An export merges what was trained into the base as it is, "
            "and tells how far its answers are from those of this run.",
            kind=base.quantization,
            dtype=base.dtype,
        )
    if rows := model.pretrained.new_rows:
        yield message(
            "model.embeddings_added",
            "The tokenizer has tokens that the model has no embeddings for: {rows:,} are added, "
            "each the mean of the others. They train where the strategy trains embeddings, and are "
            "saved with the model.",
            rows=rows,
        )
    if model.builds_output_layer:
        yield message(
            "model.output_layer_built",
            "The base model has no output layer for hidden tokens: one is built on its "
            "embeddings, and what the family puts between is initialised. It is no guide to what "
            "the base knew.",
        )
    pooling = model.own_pooling
    if pooling is not None and pooling.tuned:
        yield message(
            "model.pooling_kept",
            "The base model's own pooling ({pooling}) is kept.",
            pooling=pooling.pooling,
        )
    if (match := model.head.match) is not None:
        yield _of_number(match) if match.is_number else _of_labels(match)
        if match.kept and match.dropped:
            yield message(
                "model.head_labels_dropped",
                "Labels of the base model that are not in the data lose their rows: {labels}.",
                labels=_some(match.dropped),
            )


def _of_labels(match: HeadMatch) -> Message:
    if match.outcome == "kept":
        return message(
            "model.head_kept",
            "The base model's head already has the labels {labels}; its rows are matched by name "
            "and kept.",
            labels=_some(match.labels),
        )
    if match.outcome == "extended":
        return message(
            "model.head_extended",
            "The base model's head has rows for {kept}, which are matched by name and kept; those "
            "for {added} are initialised.",
            kept=_some(match.kept),
            added=_some(match.added),
        )
    if match.is_unnamed:
        return message(
            "model.head_unnamed",
            "The base model's head does not name its labels ({before}), so a new head is "
            "initialised. To keep it, name them under id2label in the model's config.json.",
            before=_some(match.before),
        )
    if not match.shares_a_label:
        return message(
            "model.head_new",
            "None of the labels of the base model's head ({before}) is in the data, so a new head "
            "is initialised. If they mean the same, write them alike in the data or under id2label "
            "in the model's config.json.",
            before=_some(match.before),
        )
    return _built_differently(match)


def _of_number(match: HeadMatch) -> Message:
    if match.outcome == "kept":
        return message(
            "model.number_kept",
            "The base model's head already gives one number ({before}) and is kept.",
            before=match.before[0],
        )
    if match.output is None or len(match.before) > 1:
        return _built_differently(match)
    return message(
        "model.number_new",
        "The base model's head gives another number ({before}, not {label}), so a new head is "
        "initialised.",
        before=match.before[0],
        label=match.labels[0],
    )


def _built_differently(match: HeadMatch) -> Message:
    return message(
        "model.head_built_differently",
        "The base model's head ({architecture}, {outputs:,} outputs) is for another task or "
        "another pooling, so a new head is initialised.",
        architecture=match.architecture,
        outputs=len(match.before),
    )


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:_SHOWN]) + (", …" if len(labels) > _SHOWN else "")


def starting_point(model: ModelPlan) -> StartingPoint:
    """As results.json keeps it."""
    base = model.pretrained.model
    start: StartingPoint = {}
    if is_run(base.name):
        start["run"] = base.name
    if adapter := find_adapter(base.location):
        start["merged_into"] = adapter.base
    if base.quantization is not None:
        start["quantization"] = base.quantization
    if model.own_pooling is not None and model.own_pooling.tuned:
        start["pooling"] = model.own_pooling.pooling
    if (match := model.head.match) is not None:
        head: StartingHead = {
            "outcome": match.outcome,
            "kept": list(match.kept),
            "initialised": list(match.added),
            "dropped": list(match.dropped),
        }
        start["head"] = head
    return start
