"""Adapted models of a comparison: each is made once, before the first cell, for all seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.comparison.variants import Variant
from welltuned.experiments.comparison.worker.protocol import ADAPT_MODEL, Request
from welltuned.experiments.comparison.worker.requests import Requester
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import SharedSettings
from welltuned.schema.units import duration_text


def adapted_variants(
    variants: Sequence[Variant],
    comparison: Comparison,
    settled: SharedSettings,
    requester: Requester,
) -> list[Variant]:
    """The variants, those of `adapt` with their adapted models; each is made, or found, now."""
    return [
        _adapted(variant, comparison, settled, requester) if variant.adaptation else variant
        for variant in variants
    ]


def _adapted(
    variant: Variant, comparison: Comparison, settled: SharedSettings, requester: Requester
) -> Variant:
    assert variant.adaptation is not None
    found = _request(variant.adaptation, comparison, requester)
    requester.observer.noted(
        f"'{variant.name}' has read {found['texts']:,} texts for "
        f"{duration_text(found['seconds'])}, once for all seeds; that comes on top of its budget"
    )
    base = variant.config.model
    model = base.model_copy(update={"name": found["model"], "revision": None, "gguf_file": None})
    if "models" in settled and base.title in settled["models"]:
        settled["models"][model.title] = settled["models"][base.title]
    return replace(variant, config=variant.config.model_copy(update={"model": model}))


def _request(
    config: AdaptConfig, comparison: Comparison, requester: Requester
) -> Mapping[str, Any]:
    folder = config.adaptation.folder or str(comparison.folder / "adapted")
    asked = config.adaptation.model_copy(update={"folder": folder})
    request: Request = {
        "do": ADAPT_MODEL,
        "data": str(comparison.data),
        "config": config.model_copy(update={"adaptation": asked}).model_dump(mode="json"),
    }
    found: Mapping[str, Any] = {}
    for event in requester.events_of(request):
        if event.name == "adapted":
            found = event.values
    return found
