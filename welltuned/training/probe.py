"""`welltuned probe`: layer probe of a pretrained model, without tuning it."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from welltuned.config import RunConfig
from welltuned.engines.device import autocast, choose_device
from welltuned.errors import Fault, InputError
from welltuned.evaluation.config import OFF, EvaluationConfig
from welltuned.evaluation.eval_model import EvalModel
from welltuned.evaluation.layer_probe import probe_layers
from welltuned.models import loading
from welltuned.strategies import Full
from welltuned.training.observer import Observer
from welltuned.training.prepare import RunPlan, prepare
from welltuned.training.retention_steps import layer_scores_dict
from welltuned.training.session import resolve_pooling

_BAR = 32


def probe(config: RunConfig, observer: Observer) -> dict[str, Any]:
    """Scores of the untouched model by block, and what they say, as results.json keeps them.

    Of the config it reads model, data and task. Raises `InputError` with all faults found.
    """
    looking = {
        "strategy": Full(),
        "protection": (),
        "evaluation": EvaluationConfig(retention=(OFF,)),
        "data": config.data.model_copy(update={"replay": None}),
        "output_dir": None,
    }
    prepared = prepare(config.model_copy(update=looking), observer.working)
    if prepared.problem.linear is None:
        what = f"a linear map cannot answer the task '{prepared.problem.title}'"
        raise InputError(Fault(what, None, "probe a task with classes, numbers or tags"))
    prepared = resolve_pooling(prepared, observer)
    found = probe_layers(
        _subject(prepared),
        prepared.problem,
        prepared.config.task.pooling,
        prepared.examples["train"].join(prepared.examples["validation"]),
        None,
        lambda done, total: observer.working("probing blocks", done, total),
    )
    return {"model": config.model.name, "data": config.data.train, **layer_scores_dict(found)}


def _subject(prepared: RunPlan) -> EvalModel:
    config = prepared.config
    device = choose_device(config.training.device)
    loaded = loading.load_model(config.model, prepared.head, prepared.anatomy, config.training.seed)
    precision = "bf16" if config.model.dtype == "bfloat16" else "fp32"
    return EvalModel(
        model=loaded.model.to(device),  # type: ignore[arg-type]
        anatomy=prepared.anatomy,
        tokenizer=prepared.tokenizer,
        pad_id=prepared.pad_id,
        max_length=prepared.max_length,
        batch_size=config.training.per_device_eval_batch_size,
        has_lm_head=not prepared.head.new,
        precision=lambda: autocast(precision, device),
    )


def render_layer_probe(found: dict[str, Any]) -> RenderableType:
    """A table with a bar a block, and the hint."""
    table = Table(box=None, padding=(0, 2), header_style="bold")
    table.add_column("read off")
    table.add_column(found["metric"], justify="right")
    table.add_column("above chance")
    scores, hint, texts = found["before"], found["hint"], found["texts"]
    floor = found["chance"]
    rows = list(zip(found["regions"], scores, found["behind"], strict=True))
    for region, score, behind in reversed(rows):
        length = round(_BAR * max(0.0, score - floor) / max(max(scores) - floor, 1e-9))
        table.add_row(region, f"{score:.3f}", Text("█" * length, "green" if behind <= 1 else ""))
    number = hint["num_blocks"]
    table.add_row("chance", f"{floor:.3f}", "", style="dim")
    told = f"Linear maps fitted on {texts['fitted']:,} texts and scored on {texts['scored']:,}"
    return Group(
        table,
        Text(f"\n{told}. Green: at most one standard error behind the best.", style="dim"),
        Text(f"\nWorth unfreezing: the top {number} of {len(scores) - 1} blocks."),
        Text(f"{hint['why'][0].upper()}{hint['why'][1:]}."),
        Text(f"  strategy={{type: partial, num_blocks: {number}}}"),
        Text(f"  strategy={{type: gradual, num_blocks: {number}}}"),
    )
