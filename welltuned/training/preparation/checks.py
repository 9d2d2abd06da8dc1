"""Cross-checks of a run's config, apart from data and model: parts that do not go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from welltuned.config import RunConfig
from welltuned.errors import Fault, Faults
from welltuned.metrics import METRICS
from welltuned.models.config import ModelConfig
from welltuned.protection import CheckContext
from welltuned.protection.checks import check_protections
from welltuned.schema.import_path import load_callable
from welltuned.strategies import Strategy, default_strategy, frugal_strategy
from welltuned.tasks import Problem
from welltuned.training.preparation.model_plan import ModelPlan, collecting
from welltuned.training.trackers import check_trackers

if TYPE_CHECKING:
    from welltuned.models.anatomy import Anatomy


def check_parts(config: RunConfig, problem: Problem, model: ModelPlan, faults: Faults) -> None:
    """Record what in strategy, training, engine, task and evaluation cannot work together."""
    faults.extend(config.strategy.check(model.anatomy))
    faults.extend(problem.codec.check_model(model.anatomy))
    _check_quantization(config, model, faults)
    METRICS.check_all(faults)  # one that is left out would be missing from the scores
    _require_saved_rows(config, model, faults)
    _require_metric(config, problem, faults)
    _check_engine(config, faults)
    _check_sharding(config, faults)
    check_trackers(config.training.report_to, faults)
    _require_unpacked(config, faults)
    _require_probed(config, problem, model, faults)
    if model.head.masked:
        faults.extend(_of_hidden_tokens(config.strategy, model))


def _of_hidden_tokens(strategy: Strategy, model: ModelPlan) -> Iterator[Fault]:
    """Yield why a strategy cannot foretell hidden tokens with this model."""
    if strategy.input_positions:
        yield Fault(
            "strategy.vectors_among_hidden_tokens",
            "strategy '{strategy}' puts vectors of its own among the tokens, some of which are to "
            "be foretold where they stand",
            None,
            "set strategy={other}",
            strategy=strategy.type,
            other=frugal_strategy().type,
        )
    if model.builds_output_layer and not strategy.saves_whole_model:
        yield Fault(
            "strategy.output_layer_unsaved",
            "the model has no output layer for hidden tokens, and strategy '{strategy}' saves "
            "nothing but its own weights: the one that is built would be lost",
            None,
            "set strategy={other}, or use a model that was saved with its masked language model",
            strategy=strategy.type,
            other=default_strategy().type,
        )


def refuse_quantized_base(model: ModelConfig, strategy: Strategy) -> Iterator[Fault]:
    """Yield why a strategy cannot have the quantised base that a config asks for."""
    reason = strategy.quantization_refusal
    if model.quantization is not None and reason is not None:
        yield Fault(
            "strategy.base_quantized",
            "strategy '{strategy}' as configured cannot have its base in {kind} "
            "(model.quantization): {reason}",
            None,
            "set strategy={frugal}, or remove model.quantization",
            strategy=strategy.type,
            kind=model.quantization,
            reason=reason,
            frugal=frugal_strategy().type,
        )


def _check_quantization(config: RunConfig, model: ModelPlan, faults: Faults) -> None:
    faults.extend(refuse_quantized_base(config.model, config.strategy))
    if config.model.quantization is not None:
        from welltuned.engines.device import choose_device
        from welltuned.models.quantization import quantization_faults

        device = choose_device(config.training.device).type
        faults.extend(quantization_faults(config.model, model.anatomy, device))


def check_protection(config: RunConfig, model: ModelPlan, faults: Faults) -> None:
    """Record why a protection cannot work."""
    has_replay = config.data.replay is not None
    context = CheckContext(config.strategy, model.anatomy, model.speaks, has_replay)
    check_protections(config.protection, context, faults)


def _check_engine(config: RunConfig, faults: Faults) -> None:
    if config.engine == "hf":
        from welltuned.engines.hf_trainer import check_trainer_arguments

        check_trainer_arguments(config.training, faults)
    elif config.training.trainer or config.training.callbacks:
        faults.add(
            "training.trainer_keys_without_trainer",
            "'training.trainer' and 'training.callbacks' are for Hugging Face's Trainer",
            None,
            "set engine: hf, or remove them",
        )
    elif "." in config.engine:
        collecting(lambda: load_callable(config.engine, "engine"), faults)


def _check_sharding(config: RunConfig, faults: Faults) -> None:
    if config.training.sharding is None:
        return
    for key, reason, remedy in _unshared(config):
        faults.add(
            "training.sharding_unsupported",
            "'{key}' does not go together with 'training.sharding: {sharding}': {reason}",
            None,
            "{remedy}",
            key=key,
            sharding=config.training.sharding,
            reason=reason,
            remedy=remedy,
        )


def _unshared(config: RunConfig) -> Iterator[tuple[str, str, str]]:
    """(key, why not, what to do) for all that processes which share the weights cannot do."""
    training = config.training
    if training.per_device_train_batch_size == "auto":
        yield (
            "training.per_device_train_batch_size: auto",
            "where a size does not fit, processes wait for one another in the middle of a pass",
            "give it a number; `welltuned plan` tells the memory that it takes",
        )
    if training.optim not in ("auto", "adamw"):
        reason = "it needs more of a weight than one process has"
        yield f"training.optim: {training.optim}", reason, "set training.optim=adamw"
    if quantised := config.model.quantization:
        yield (
            f"model.quantization: {quantised}",
            "its few bits are no numbers that could be put together from parts",
            "remove training.sharding: each process has all of it, which is small",
        )
    if "." in config.engine:
        yield "engine", "a loop of your own knows nothing of weights in parts", "set engine=torch"
    for protection in config.protection:
        if not protection.works_on_parts:
            reason = "its penalty follows from whole weights, or from a pass of one process"
            yield f"protection: {protection.type}", reason, "remove it"


def _require_unpacked(config: RunConfig, faults: Faults) -> None:
    if config.task.shares_rows and config.strategy.input_positions:
        faults.add(
            "task.packing_unsupported",
            "strategy '{strategy}' does not support 'task.packing': its vectors go before the "
            "row, not before each text in it",
            None,
            "set packing to false, or use prefix or lora",
            strategy=config.strategy.type,
        )


def _require_metric(config: RunConfig, problem: Problem, faults: Faults) -> None:
    metric = config.training.metric_for_best_model
    if metric != "auto" and metric not in problem.scorer.metric_names:
        faults.add(
            "training.metric_unknown",
            "no validation score '{metric}'",
            None,
            "training.metric_for_best_model is one of: {known}",
            metric=metric,
            known=", ".join(problem.scorer.metric_names),
        )


def refuse_probe(anatomy: Anatomy) -> Iterator[Fault]:
    """Yield why a layer probe of a model would say nothing of which blocks to unfreeze."""
    reason = None
    if anatomy.encoder is not None:
        reason = "a text runs through the encoder's, and its label is read off the decoder's"
    elif anatomy.shared_layers is not None:
        reason = f"its {anatomy.shared_layers} layers share one set of weights"
    if reason is not None:
        yield Fault(
            "probe.blocks_unclear",
            "a probe tells how well each block of '{family}' knows a task, but {reason}",
            None,
            "probe an encoder such as BERT, or set evaluation.probe to false",
            family=anatomy.family,
            reason=reason,
        )


def _require_probed(config: RunConfig, problem: Problem, model: ModelPlan, faults: Faults) -> None:
    if not config.evaluation.probe:
        return
    faults.extend(refuse_probe(model.anatomy))
    if problem.linear is None:
        faults.add(
            "evaluation.probe_unsupported",
            "'evaluation.probe' fits a linear map, which cannot do the task '{task}'",
            None,
            "set evaluation.probe to false",
            task=problem.title,
        )


def _require_saved_rows(config: RunConfig, model: ModelPlan, faults: Faults) -> None:
    if model.pretrained.new_rows and not config.strategy.saves_whole_model:
        faults.add(
            "strategy.embeddings_not_saved",
            "strategy '{strategy}' saves only what it adds to the model, and neither trains nor "
            "saves the {rows:,} embeddings that 'model.resize_embeddings' adds",
            None,
            "set strategy={whole}",
            strategy=config.strategy.type,
            whole=default_strategy().type,
            rows=model.pretrained.new_rows,
        )
