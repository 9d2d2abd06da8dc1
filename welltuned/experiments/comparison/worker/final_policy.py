"""RLHF cell: runs the pipeline, then evaluates its final policy like any other model.

What is left in the pipeline's own folder has the names and the meaning of a run's files, so that
whoever reads cells need not know which of them are pipelines:

predictions.jsonl   the final policy's answers to the test split
metrics.jsonl       the first stage's evaluations, and the final policy's as the last
results.json        the pipeline's, with the scores of these predictions, what the policy has
                    forgotten since before the first stage, and the cost of all stages
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from welltuned.artifact.save_load import load_artifact
from welltuned.config import RunConfig, run_config_from
from welltuned.experiments.comparison.worker.observers import TellingStages
from welltuned.experiments.comparison.worker.protocol import Request
from welltuned.experiments.executors.shared_data import shared_data
from welltuned.rlhf import pipeline, read_config
from welltuned.rlhf.resume import spent_before
from welltuned.runs import Run
from welltuned.runs.phases import Spent
from welltuned.training import retention_steps
from welltuned.training.answering import allowed_seconds
from welltuned.training.observer import Observer
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.prepare import prepare
from welltuned.training.results import before_resuming, read_split
from welltuned.training.session import session

if TYPE_CHECKING:
    from welltuned.experiments.executors.process import Tell


def carry_out_pipeline(request: Request, tell: Tell) -> None:
    """All stages, and what their final policy is worth."""
    observer = TellingStages(tell)
    asked = read_config.rlhf_config_from(request["pipeline"])
    cache = shared_data(request)
    earlier = spent_before(Path(str(asked.output_dir)))
    run = pipeline.run_pipeline(asked, observer, request["command"], cache)
    evaluate_policy(run, run_config_from(request["config"]), observer, cache, earlier)


def evaluate_policy(
    run: Run,
    config: RunConfig,
    observer: Observer,
    cache: DataCache | None = None,
    earlier: Spent | None = None,
) -> None:
    """Read the test split with the final policy; `config` is that of the first stage.

    `earlier` is what processes before this one have spent on the stages.
    """
    sft = Run(run.folder / "stages" / "sft")
    model = session.load_session(prepare(config, observer.working, cache), observer)
    untouched = retention_steps.measure_base(model, observer)
    policy = load_artifact(run.proven_model(), model.device)
    model = replace(model, model=policy.model.eval(), problem=policy.problem)
    examples = model.prepared.examples["test"]
    results, cost = run.results, _cost(run, sft)
    seconds = allowed_seconds(config.evaluation, cost["train_seconds"])
    outputs, scores, answers = read_split("test", model, observer, seconds, intervals=True)
    rows = model.problem.presenter.rows(outputs, examples, {"response": answers.by_row})
    run.write_lines("predictions.jsonl", rows)
    validation = model.score("validation", model.precision_in_use)
    kept = retention_steps.measure_retention(model, untouched, observer)
    run.write("environment.json", sft.read("environment.json"))
    run.write("data.json", sft.read("data.json"))
    run.write_lines("metrics.jsonl", _looks(sft, validation, cost["train_seconds"]))
    run.write(
        "results.json",
        {
            **results,
            "test": {**scores, **_earned(results["test"], scores)},
            "validation": {**validation, **_earned(results["validation"], validation)},
            "cost": {**results["cost"], **cost, **before_resuming(earlier)},
            "training": {**results["training"], "epochs": sft.results["training"]["epochs"]},
            **kept,
            **answers.record(),
        },
    )


def _earned(found: dict[str, Any], scores: dict[str, Any]) -> dict[str, Any]:
    """What reinforcement learning alone tells of a policy: reward, divergence and their like."""
    return {name: value for name, value in found.items() if name not in scores}


def _cost(run: Run, sft: Run) -> dict[str, Any]:
    """Of all stages; the judges trained here are each a stage."""
    stages = run.folder / "stages"
    judges = [Run(folder) for folder in sorted(stages.glob("reward*"))]
    last = Run(stages / "rl")
    seconds = {
        "sft": sft.results["cost"]["train_seconds"],
        "reward": sum(judge.results["cost"]["train_seconds"] for judge in judges),
        "rl": last.results["cost"]["train_seconds"],
    }
    every = (sft, *judges, last)
    return {
        "train_seconds": sum(seconds.values()),
        "stages": seconds,
        "examples_per_second": sft.results["cost"]["examples_per_second"],
        "peak_memory_bytes": max(stage.results["cost"]["peak_memory_bytes"] for stage in every),
    }


def _looks(sft: Run, validation: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
    looks = [row for row in sft.read_lines("metrics.jsonl") if row["split"] == "validation"]
    numbers = {name: v for name, v in validation.items() if isinstance(v, (int, float))}
    step = looks[-1]["step"] if looks else 0
    return [*looks, {"step": step, "split": "validation", "seconds": seconds, **numbers}]
