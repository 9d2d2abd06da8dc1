"""Pipeline report: what each stage contributed, and the final policy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from welltuned.reports import rl, rl_folder
from welltuned.reports.page import metric_name, render_page, report_language
from welltuned.reports.translations import Translator
from welltuned.runs import Run
from welltuned.runs.folder import write_atomically
from welltuned.runs.results_schema import Stages


def write_pipeline_report(run: Run, language: str | None = None) -> Path:
    """Write `report.html` into the pipeline's folder and return its path.

    In the language of its config, unless another is asked for.
    """
    language = report_language(run.config, language)
    html = render_page("rlhf.html.j2", _content(run, Translator(language)), language)
    write_atomically(run.report, html)
    return run.report


def _content(run: Run, _: Translator) -> dict[str, Any]:
    results, stages = run.results, run.results["stages"]
    last = Run(rl_folder.stage_folder(run))
    config = rl_folder.stage_config(last)
    shown = rl.content(last, _)
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
            _sft(run, stages, config["title"], _),
            *_judges(run, stages, _),
            _rl(run, last, config["title"], _),
        ],
    }


def _sft(run: Run, stages: Stages, algorithm: str, _: Translator) -> dict[str, Any]:
    title = f"1 · {_('supervised fine-tuning')}"
    if stages["sft"] is None:
        told = _("Skipped: {algorithm} starts from the pretrained model.", algorithm=algorithm)
        return {"title": title, "told": told, "scores": [], "link": None}
    folder = run.folder / stages["sft"]
    told = _("The policy's first version, and the reference it is held to.")
    return {"title": title, "told": told, **_stage(run, folder, _)}


def _judges(run: Run, stages: Stages, _: Translator) -> list[dict[str, Any]]:
    shown = []
    for judge in stages["reward"]:
        told = _("The judge: {name}.", name=judge["name"])
        if judge["weight"] != 1:
            weight = f"{judge['weight']:g}"
            told = _("The judge: {name}, times {weight}.", name=judge["name"], weight=weight)
        found: dict[str, Any] = {"scores": [], "link": None}
        if judge["run"] is not None:
            found = _stage(run, run.folder / judge["run"], _)
        shown.append({"title": f"2 · {_('reward')}", "told": told, **found})
    return shown


def _rl(run: Run, last: Run, algorithm: str, _: Translator) -> dict[str, Any]:
    training = last.results["training"]
    told = _(
        "{responses} responses in {batches} batches.",
        responses=f"{training['episodes']:,}",
        batches=f"{training['steps']:,}",
    )
    return {
        "title": f"3 · {algorithm}",
        "told": told,
        "scores": [],
        **_link(run, last.folder),
    }


def _stage(run: Run, folder: Path, _: Translator) -> dict[str, Any]:
    """Its headline scores, and where its report is."""
    test = Run(folder).results.get("test", {}) if folder.exists() else {}
    bounds = {name: test.get(f"{name}_ci95") for name in test}
    scores = [
        f"{_(metric_name(name))} {test[name]:.3f} [{bound[0]:.3f}, {bound[1]:.3f}]"
        for name, bound in bounds.items()
        if bound is not None
    ]
    return {"scores": scores[:4], **_link(run, folder)}


def _link(run: Run, folder: Path) -> dict[str, Any]:
    report = folder / "report.html"
    return {"link": os.path.relpath(report, run.folder) if report.exists() else None}
