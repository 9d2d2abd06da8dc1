"""Cross-checks of a run's config, apart from data and model: parts that do not go together."""

from __future__ import annotations

from welltuned.config import RunConfig
from welltuned.errors import Faults
from welltuned.protection import CheckContext
from welltuned.protection.checks import check_protections
from welltuned.schema.import_path import load_callable
from welltuned.tasks import Problem
from welltuned.training.model_plan import ModelPlan, collecting


def check_parts(config: RunConfig, problem: Problem, model: ModelPlan, faults: Faults) -> None:
    """Record what in strategy, training, engine, task and evaluation cannot work together."""
    faults.extend(config.strategy.check(model.anatomy))
    _require_metric(config, problem, faults)
    _check_engine(config, faults)
    _require_unpacked(config, faults)
    _require_probed(config, problem, faults)


def check_protection(config: RunConfig, model: ModelPlan, faults: Faults) -> None:
    """Record why a protection cannot work."""
    has_replay = config.data.replay is not None
    context = CheckContext(config.strategy, model.anatomy, model.has_lm_head, has_replay)
    check_protections(config.protection, context, faults)


def _check_engine(config: RunConfig, faults: Faults) -> None:
    if config.engine == "hf":
        from welltuned.engines.hf_trainer import check_trainer_arguments

        check_trainer_arguments(config.training, faults)
    elif config.training.trainer or config.training.callbacks:
        what = "'training.trainer' and 'training.callbacks' are for Hugging Face's Trainer"
        faults.add(what, None, "set engine: hf, or remove them")
    elif "." in config.engine:
        collecting(lambda: load_callable(config.engine, "engine"), faults)


def _require_unpacked(config: RunConfig, faults: Faults) -> None:
    if config.task.shares_rows and config.strategy.input_positions:
        faults.add(
            f"'task.packing' does not go with strategy '{config.strategy.type}': its vectors "
            "stand before a row, and not before each text in it",
            None,
            "set packing to false, or use prefix or lora",
        )


def _require_metric(config: RunConfig, problem: Problem, faults: Faults) -> None:
    metric = config.training.metric_for_best_model
    if metric != "auto" and metric not in problem.scorer.metric_names:
        faults.add(
            f"there is no validation score '{metric}'",
            None,
            f"training.metric_for_best_model is one of: {', '.join(problem.scorer.metric_names)}",
        )


def _require_probed(config: RunConfig, problem: Problem, faults: Faults) -> None:
    if config.evaluation.probe and problem.linear is None:
        what = f"a linear map cannot answer the task '{problem.title}'"
        faults.add(f"'evaluation.probe': {what}", None, "set evaluation.probe to false")
