"""What a run says of forgetting, from its results alone: lines for a terminal, a part of the
report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, cast

from welltuned.runs.results_schema import (
    LayerProbe,
    Retention,
    RetentionEntry,
    RunResults,
    WeightInterpolation,
)

KINDS = {
    "probe": "another task, read off frozen features",
    "cka": "representations (linear CKA)",
    "loss": "loss on other text",
    "kl": "divergence from the untouched model",
}
"""The kinds of measures for people."""
HOW = {
    "probe": "accuracy of a linear probe on the frozen features of {examples} texts (chance "
    "{chance}); kept = after / before",
    "cka": "linear CKA of the last hidden states with those before, over {examples} texts; "
    "1 = the same up to rotation and scale",
    "loss": "loss per token on {examples} texts; kept = exp(before - after), the share of a "
    "token's probability that is left",
    "kl": "KL(before || after) per token in nats, on {examples} texts; kept = exp(-KL)",
}
"""How each kind is measured: labels with values of an entry."""


def forgetting_lines(results: RunResults) -> list[str]:
    """The results as plain lines for a terminal; none where nothing was measured."""
    lines = []
    retention = results.get("retention", {})
    told = [
        f"{name} {entry['before']:.3f} -> {entry['after']:.3f}"
        for name, entry in _entries(retention).items()
    ]
    if "kept" in retention:
        low, high = retention["kept_ci95"]
        told.insert(0, f"{retention['kept']:.3f} kept [{low:.3f}, {high:.3f}]")
    if told:
        lines.append(f"retention   {' · '.join(told)}")
    if wise := results.get("wise_ft"):
        lines.append(f"wise_ft     alpha {wise['alpha']:g}: {wise['why']}")
    if probe := results.get("probe"):
        hint = probe["hint"]
        lines.append(f"blocks      unfreeze the top {hint['num_blocks']}: {hint['why']}")
    return lines


class Forgetting(TypedDict):
    """What the template tells, without charts."""

    retention: Retention
    rows: list[Mapping[str, object]]
    """Its entries, each with its name, what it measures and how."""
    probe: LayerProbe | None
    wise: WeightInterpolation | None


def forgetting_content(results: RunResults) -> Forgetting | None:
    """What the results say of it; None where nothing was measured."""
    retention, probe = results.get("retention", {}), results.get("probe")
    wise = results.get("wise_ft")
    if not (retention or probe or wise):
        return None
    return {
        "retention": retention,
        "rows": [
            {**entry, "name": name, "kind": KINDS[entry["kind"]], "how": HOW[entry["kind"]]}
            for name, entry in _entries(retention).items()
        ],
        "probe": probe,
        "wise": wise,
    }


def _entries(retention: Retention) -> dict[str, RetentionEntry]:
    entries = {name: entry for name, entry in retention.items() if isinstance(entry, dict)}
    return cast(dict[str, RetentionEntry], entries)
