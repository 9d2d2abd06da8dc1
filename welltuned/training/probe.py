"""`welltuned probe`: layer probe of a pretrained model, without tuning it."""

from __future__ import annotations

from welltuned.config import RunConfig
from welltuned.engines.device import autocast, choose_device
from welltuned.errors import Fault, InputError
from welltuned.evaluation.config import OFF, EvaluationConfig
from welltuned.evaluation.eval_model import EvalModel
from welltuned.evaluation.layer_probe import probe_layers
from welltuned.models import loading
from welltuned.models.quantization import quantize_base
from welltuned.runs.results_schema import ProbeResult
from welltuned.strategies import looking_strategy
from welltuned.training.observer import Observer
from welltuned.training.preparation.checks import refuse_probe
from welltuned.training.preparation.prepare import RunPlan, prepare
from welltuned.training.retention_steps import layer_scores_dict
from welltuned.training.session.choose_pooling import resolve_pooling


def run_layer_probe(config: RunConfig, observer: Observer) -> ProbeResult:
    """Scores of the base model by block, and what they say, as results.json keeps them.

    Of the config it reads model, data and task. Raises `InputError` with all faults found.
    """
    looking = {
        "strategy": looking_strategy(config.model),
        "protection": (),
        "evaluation": EvaluationConfig(retention=(OFF,)),
        "data": config.data.model_copy(update={"replay": None}),
    }
    prepared = prepare(config.model_copy(update=looking), observer.working)
    if prepared.problem.linear is None:
        raise InputError(
            Fault(
                "probe.task_unsupported",
                "a probe fits a linear map, which cannot do the task '{task}'",
                None,
                "probe a task with classes, numbers or tags",
                task=prepared.problem.title,
            )
        )
    if objections := list(refuse_probe(prepared.anatomy)):
        raise InputError(objections)
    prepared = resolve_pooling(prepared, observer)
    found = probe_layers(
        base_model(prepared),
        prepared.problem,
        prepared.config.task.pooling,
        prepared.examples["train"].join(prepared.examples["validation"]),
        None,
        lambda done, total: observer.working("probing blocks", done, total),
    )
    return {"model": config.model.name, "data": config.data.train, **layer_scores_dict(found)}


def base_model(prepared: RunPlan) -> EvalModel:
    """The untuned model of a run whose pooling is settled, to be examined."""
    config = prepared.config
    device = choose_device(config.training.device)
    loaded = loading.load_model(config.model, prepared.head, prepared.anatomy, config.training.seed)
    quantize_base(loaded.model, config.model, prepared.anatomy, device)
    precision = "bf16" if config.model.dtype == "bfloat16" else "fp32"
    return EvalModel(
        model=loaded.model.to(device),  # type: ignore[arg-type]
        anatomy=prepared.anatomy,
        tokenizer=prepared.tokenizer,
        pad_id=prepared.pad_id,
        max_length=prepared.max_length,
        batch_size=config.training.per_device_eval_batch_size,
        has_lm_head=prepared.model.has_lm_head,
        precision=lambda: autocast(precision, device),
    )
