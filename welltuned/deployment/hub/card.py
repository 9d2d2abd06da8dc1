"""Model card: what a reader of the Hub must know of a tuned model, from its run alone.

Of the data it tells numbers, names of files and labels, and never a text. Metadata are those of
the Hub's model cards: https://huggingface.co/docs/hub/model-cards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from welltuned.artifact.manifest import CARD
from welltuned.deployment.hub.subject import Subject
from welltuned.reports.forgetting import forgetting_content
from welltuned.reports.page import metric_name
from welltuned.runs.results_schema import RunResults, Scores
from welltuned.schema.units import duration_text, size_text

_PIPELINES = {
    "AutoModelForSequenceClassification": "text-classification",
    "AutoModelForTokenClassification": "token-classification",
    "AutoModelForCausalLM": "text-generation",
    "AutoModelForMaskedLM": "fill-mask",
}
"""What the Hub calls what a model is for, by the class that loads it."""
_LIBRARIES = ("gguf", "onnx", "openvino")
"""Formats that the Hub knows as libraries."""
_LABELS = 20
"""Labels that are named with their numbers, at most."""
_PLAIN = "With the plain libraries:\n"
"""After this a model folder's own card says how these load it."""


@dataclass(frozen=True)
class Publication:
    """Where a model goes, and on what terms."""

    repo: str
    """`user/name`."""
    license: str
    """The Hub's name of the licence, such as `apache-2.0`."""
    languages: tuple[str, ...] = ()
    """Codes of the languages that it reads or writes, such as `en`; none are guessed."""


def model_card(subject: Subject, publication: Publication) -> str:
    """The card as Markdown, with the Hub's metadata before it. Raises `InputError`."""
    results, data = subject.results, subject.data
    content: dict[str, Any] = {
        "metadata": yaml.safe_dump(_metadata(subject, publication), sort_keys=False),
        "title": publication.repo.partition("/")[2],
        "repo": publication.repo,
        "license": publication.license,
        "task": subject.problem.title,
        "strategy": subject.strategy,
        "base": f"`{subject.base_on_hub or Path(subject.base).name}`",
        "base_on_hub": subject.base_on_hub,
        "is_adapter": subject.is_adapter,
        "version": _version(subject),
        "export": subject.export,
        "gguf": any(file.suffix == ".gguf" for file in subject.folder.iterdir()),
        "usage": subject.problem.usage,
        "plain": _plain_loading(subject, publication.repo),
        "proof": _proof(subject),
        **_scored(subject, results, data),
        **_data(data),
        **_forgotten(results),
        "cost": _cost(results, subject.environment),
    }
    return _environment().get_template("card.md.j2").render(content)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("welltuned.deployment.hub"),
        autoescape=False,  # Markdown; `cell` takes what could end a cell or begin HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _cell
    return environment


def _cell(value: object) -> str:
    """Words of others as a cell of a table: no new cell, line, mark or HTML comes of them."""
    text = " ".join(str(value).split())
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", text)


# --- Metadata ------------------------------------------------------------------


def _metadata(subject: Subject, publication: Publication) -> dict[str, Any]:
    pipeline = _PIPELINES.get(subject.problem.auto_class)
    found = {
        "license": publication.license,
        "language": list(publication.languages),
        "library_name": _library(subject),
        "pipeline_tag": pipeline,
        "base_model": subject.base_on_hub,
        "tags": ["welltuned", subject.strategy, subject.problem.type],
        "model-index": _model_index(subject, publication, pipeline),
    }
    return {key: value for key, value in found.items() if value}


def _library(subject: Subject) -> str | None:
    if subject.export is not None:
        format = str(subject.export["format"])
        return format if format in _LIBRARIES else None
    return "peft" if subject.is_adapter else "transformers"


def _model_index(
    subject: Subject, publication: Publication, pipeline: str | None
) -> list[dict[str, Any]]:
    """The test scores as the Hub shows them beside a card."""
    results, data = subject.results, subject.data
    if results is None or data is None or pipeline is None or subject.run is None:
        return []
    split = subject.run.judged
    judged, source = results.get(split, {}), _source(data["splits"].get(split, {}))
    metrics = [
        {"type": name, "name": metric_name(name), "value": judged[name]}
        for name in _with_intervals(judged)
    ]
    dataset = {"name": source, "type": re.sub(r"[^\w.-]+", "-", source) or "data", "split": split}
    result = {
        "task": {"type": pipeline},
        "dataset": dataset,
        "metrics": metrics,
    }
    return [{"name": publication.repo.partition("/")[2], "results": [result]}] if metrics else []


# --- Parts of the card ---------------------------------------------------------


def _with_intervals(scores: Scores) -> list[str]:
    """The headline scores: those that have an interval and a value."""
    return [name for name in scores if f"{name}_ci95" in scores and isinstance(scores[name], float)]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _scored(
    subject: Subject, results: RunResults | None, data: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The scores of the judged split, each with its interval and the same of the baselines."""
    if results is None or subject.run is None:
        return {"scores": [], "split": "", "examples": None, "baselines": []}
    split = subject.run.judged
    judged: Scores = results.get(split, {})
    names = _with_intervals(judged)
    baselines = {
        label: scores
        for label, scores in results["baselines"].items()
        if any(name in scores for name in names)
    }
    rows = [
        {
            "title": metric_name(name),
            "value": _number(judged[name]),
            "low": _number(judged[f"{name}_ci95"][0]),
            "high": _number(judged[f"{name}_ci95"][1]),
            "baselines": [_number(scores.get(name)) for scores in baselines.values()],
        }
        for name in names
    ]
    examples = (data or {}).get("splits", {}).get(split, {}).get("rows")
    told = f"the {split} split, " + (
        "which nothing was chosen by" if split == "test" else "by which the weights were chosen"
    )
    return {
        "scores": rows,
        "split": told,
        "examples": None if examples is None else f"{examples:,}",
        "baselines": list(baselines),
    }


def _proof(subject: Subject) -> dict[str, str] | None:
    """The score before and after an export, where it was measured."""
    proof = (subject.export or {}).get("proof")
    score = proof and proof.get("score")
    if not score:
        return None
    change = score["change"]
    return {
        "split": f"the {score['split']} split",
        "metric": metric_name(score["metric"]),
        "before": _number(change["before"]),
        "after": _number(change["after"]),
    }


def _data(data: Mapping[str, Any] | None) -> dict[str, Any]:
    """Each split: where from, how many, what was left out, and how many of each label."""
    if data is None:
        return {"splits": [], "labels": False, "overlap": "", "fingerprint": ""}
    counts = data["task"].get("counts", {})
    rows = [
        {
            "name": name,
            "source": _source(facts),
            "rows": f"{facts['rows']:,}",
            "empty": f"{facts['empty']:,}",
            "repeats": f"{facts['repeats']:,}",
            "labels": _label_counts(counts.get(name, {})),
        }
        for name, facts in data["splits"].items()
    ]
    overlap = sum(number for pair, number in data["overlaps"].items() if "test" in pair)
    return {
        "splits": rows,
        "labels": bool(counts),
        "overlap": f"{overlap:,}" if overlap else "",
        "fingerprint": data["fingerprint"],
    }


def _source(facts: Mapping[str, Any]) -> str:
    """A file by its name alone: its folder is this machine's business."""
    source = str(facts.get("source", ""))
    return Path(source).name if source.startswith(("/", "~", ".")) else source


def _label_counts(counts: Mapping[str, int]) -> str:
    shown = [f"{label} {number:,}" for label, number in list(counts.items())[:_LABELS]]
    return ", ".join([*shown, *(["…"] if len(counts) > _LABELS else [])])


def _forgotten(results: RunResults | None) -> dict[str, Any]:
    content = None if results is None else forgetting_content(results)
    retention = content["retention"] if content is not None else {}
    if content is None or "kept" not in retention:
        return {"forgotten": [], "kept": "", "kept_interval": ""}
    low, high = retention["kept_ci95"]
    return {
        "forgotten": list(_forgotten_rows(content["rows"])),
        "kept": f"{retention['kept']:.1%}",
        "kept_interval": f"{low:.1%} to {high:.1%}",
    }


def _forgotten_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    for row in rows:
        numbers = {name: _number(row[name]) for name in ("before", "after", "kept")}
        yield {"name": str(row["name"]), "kind": str(row["kind"]), **numbers}


def _cost(
    results: RunResults | None, environment: Mapping[str, Any] | None
) -> dict[str, str] | None:
    if results is None:
        return None
    cost, parameters = results["cost"], results["parameters"]
    place = environment or {}
    device = place.get("device", "")
    return {
        "seconds": duration_text(cost["train_seconds"]),
        "device": place.get("cpu", device) if device == "cpu" else device or "an unknown device",
        "memory": size_text(cost["peak_memory_bytes"]),
        "trainable": f"{parameters['trainable']:,}",
        "total": f"{parameters['total']:,}",
        "steps": f"{results['training']['steps']:,}",
    }


def _version(subject: Subject) -> str:
    version = ((subject.environment or {}).get("packages") or {}).get("welltuned")
    return f" {version}" if version else ""


def _plain_loading(subject: Subject, repo: str) -> str:
    """How transformers and PEFT load it, as the model folder says of itself."""
    card = subject.folder / CARD
    if subject.export is not None or not card.is_file():
        return ""
    told = card.read_text(encoding="utf-8").partition(_PLAIN)[2]
    return told.replace("THIS_FOLDER", repo).strip()
