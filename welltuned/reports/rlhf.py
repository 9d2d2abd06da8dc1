"""Pipeline report: what each stage contributed, and the final policy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from welltuned.reports import rl, rl_folder
from welltuned.reports.page import metric_name, render_page
from welltuned.runs import Run
from welltuned.runs.folder import write_atomically
from welltuned.runs.results_schema import Stages


def write_pipeline_report(run: Run) -> Path:
    """Write `report.html` into the pipeline's folder and return its path."""
    write_atomically(run.report, render_page("rlhf.html.j2", _content(run)))
    return run.report


def _content(run: Run) -> dict[str, Any]:
    results, stages = run.results, run.results["stages"]
    last = Run(rl_folder.stage_folder(run))
    config = rl_folder.stage_config(last)
    shown = rl.content(last)
    return {
        **{key: shown[key] for key in ("curves", "confusions", "samples", "generates", "watched")},
        "run": run,
        "title": f"RLHF · {Path(run.config['model']['name']).name}",
        "config_text": (run.folder / "config.yaml").read_text(encoding="utf-8"),
        "results": results,
        "config": config,
        "algorithm": config["title"],
        "environment": last.read("environment.json"),
        "cards": rl.cards(results),
        "stages": [
            _sft(run, stages, config["title"]),
            *_judges(run, stages),
            _rl(run, last, config["title"]),
        ],
    }


def _sft(run: Run, stages: Stages, algorithm: str) -> dict[str, Any]:
    title = "1 · supervised fine-tuning"
    if stages["sft"] is None:
        told = f"Skipped: {algorithm} starts from the pretrained model."
        return {"title": title, "told": told, "scores": [], "link": None}
    folder = run.folder / stages["sft"]
    told = "The policy's first version, and the reference it is held to."
    return {"title": title, "told": told, **_stage(run, folder)}


def _judges(run: Run, stages: Stages) -> list[dict[str, Any]]:
    shown = []
    for judge in stages["reward"]:
        weight = (
            f"{judge['name']}, times {judge['weight']:g}" if judge["weight"] != 1 else judge["name"]
        )
        found: dict[str, Any] = {"scores": [], "link": None}
        if judge["run"] is not None:
            found = _stage(run, run.folder / judge["run"])
        shown.append({"title": "2 · reward", "told": f"The judge: {weight}.", **found})
    return shown


def _rl(run: Run, last: Run, algorithm: str) -> dict[str, Any]:
    training = last.results["training"]
    told = f"{training['episodes']:,} responses in {training['steps']:,} batches."
    return {
        "title": f"3 · {algorithm}",
        "told": told,
        "scores": [],
        **_link(run, last.folder),
    }


def _stage(run: Run, folder: Path) -> dict[str, Any]:
    """Its headline scores, and where its report is."""
    test = Run(folder).results.get("test", {}) if folder.exists() else {}
    bounds = {name: test.get(f"{name}_ci95") for name in test}
    scores = [
        f"{metric_name(name)} {test[name]:.3f} [{bound[0]:.3f}, {bound[1]:.3f}]"
        for name, bound in bounds.items()
        if bound is not None
    ]
    return {"scores": scores[:4], **_link(run, folder)}


def _link(run: Run, folder: Path) -> dict[str, Any]:
    report = folder / "report.html"
    return {"link": os.path.relpath(report, run.folder) if report.exists() else None}
