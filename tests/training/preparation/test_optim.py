"""L-BFGS is chosen where a linear head is all that trains, and nobody asks for steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from faults import refused
from support import loaded_for
from welltuned.training.diagnosis.advice import suggest_next
from welltuned.training.diagnosis.evidence import gather

HEAD = {"type": "partial", "num_blocks": 0}


def test_who_sets_a_learning_rate_gets_steps(tiny: Callable[..., str], sentiment: str) -> None:
    loaded = loaded_for(tiny("bert"), sentiment, HEAD)
    assert loaded.config.training.optim == "adamw"
    assert str(loaded.prepared.choices[-1]).startswith("optim = adamw (training.learning_rate")
    training = {"learning_rate": "auto", "num_train_epochs": 3}
    solved = loaded_for(tiny("bert"), sentiment, HEAD, training=training)
    assert solved.config.training.optim == "lbfgs" and len(solved.prepared.choices) == 1
    assert solved.precision == "fp32"


@pytest.mark.parametrize(
    ("strategy", "task"),
    [
        ({"type": "partial", "num_blocks": 1}, {"pooling": "mean"}),
        ("lora", {"pooling": "mean"}),
        (HEAD, {"pooling": "model"}),
        (HEAD, {"pooling": "mean", "focal_gamma": 2}),
    ],
)
def test_more_than_a_linear_head_is_refused_or_left_to_steps(
    strategy: Any, task: dict[str, Any], tiny: Callable[..., str], sentiment: str
) -> None:
    """BERT's own head has a pooler, which trains too; a focal loss has more than one optimum."""
    parts: dict[str, Any] = {"task": task, "training": {"learning_rate": "auto"}}
    assert loaded_for(tiny("bert"), sentiment, strategy, **parts).config.training.optim == "adamw"
    parts["training"] |= {"optim": "lbfgs"}
    with refused("training.lbfgs_unsupported"):
        loaded_for(tiny("bert"), sentiment, strategy, **parts)


@pytest.mark.parametrize("part", [{"protection": "replay"}, {"engine": "mine.loop.train"}])
def test_what_waits_for_steps_gets_them(
    part: dict[str, Any], tiny: Callable[..., str], sentiment: str
) -> None:
    from welltuned.config import run_config_from
    from welltuned.training.preparation.optim import choose_optim

    values: dict[str, Any] = {"model": tiny("bert"), "data": sentiment, "strategy": HEAD}
    plan = loaded_for(tiny("bert"), sentiment, HEAD).prepared
    known = plan.problem, plan.anatomy, len(plan.data.train)
    plain, asked = run_config_from(values), run_config_from({**values, **part})
    choice = choose_optim(plain.training, plain, *known)
    assert choice is not None and choice.value == "lbfgs"
    assert choose_optim(asked.training, asked, *known) is None


def test_advice_after_it_leaves_it() -> None:
    """The run's own config names the optimizer, which another strategy has no use for."""
    config = {
        "training": {"optim": "lbfgs", "max_steps": None, "num_train_epochs": 3.0},
        "strategy": HEAD,
    }
    _, command = suggest_next("underfitted", gather([], {}), config, "run/config.yaml", "runs/b")
    assert "training.optim=auto" in command
