"""What is refused of an optimizer before any weight is loaded."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from faults import codes, refused
from support import strategy_of
from welltuned.config import run_config_from
from welltuned.engines.config import TrainingConfig
from welltuned.errors import Faults
from welltuned.models.anatomy import Anatomy
from welltuned.training.preparation.defaults import Choice, resolve_parts
from welltuned.training.preparation.optimizer_trial import check_optimizer


def found(**asked: Any) -> list[str]:
    faults = Faults()
    check_optimizer(TrainingConfig.model_validate(asked), faults)
    return codes(faults)


def own(name: str, **options: Any) -> dict[str, Any]:
    return {"type": f"optimizing.{name}", **options}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"optim": {"type": "sgd", "momentun": 0.9}}, "training.optimizer_option_unknown"),
        ({"optim": {"type": "sgd", "lr": 0.9}}, "training.optimizer_option_elsewhere"),
        ({"optim": {"type": "adamw_8bit", "eps": 1}}, "training.optimizer_option_elsewhere"),
        ({"optim": {"type": "lion", "betas": [2.0, 0.9]}}, "training.optimizer_unusable"),
        ({"optim": {"type": "sgd", "momentum": "much"}}, "training.optimizer_unusable"),
        ({"optim": "sgd", "adam_beta1": 0.8}, "training.moments_unused"),
        ({"optim": "nowhere.at.all"}, "import.failed"),
        ({"optim": own("Own")}, "training.optimizer_without_rate"),
        ({"optim": own("Hoarding"), "learning_rate": 0.1}, "training.optimizer_state_unsaved"),
        ({"optim": own("Undecayed"), "learning_rate": 0.1}, "training.optimizer_without_decay"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(asked: dict[str, Any], code: str) -> None:
    assert found(**asked) == [code]


@pytest.mark.parametrize(
    "asked",
    [
        {"optim": "adafactor"},
        {"optim": {"type": "adamw", "amsgrad": True}},
        {"optim": {"type": "muon", "momentum": 0.9}, "adam_beta1": 0.8},
        {"optim": {"type": "lion", "betas": [0.95, 0.98]}},
        {"optim": "schedule_free_adamw", "lr_scheduler_type": "constant"},
        {"optim": own("Own", momentum=0.5), "learning_rate": "find"},
        {"optim": own("Undecayed"), "learning_rate": 0.1, "weight_decay": 0},
    ],
)
def test_what_can_be_is_not(asked: dict[str, Any]) -> None:
    random = torch.get_rng_state()
    assert not found(**asked)
    assert torch.equal(random, torch.get_rng_state())


@pytest.mark.parametrize(
    ("training", "code"),
    [
        ({"optim": "adamm"}, "config.choice_unknown"),
        ({"optim_args": {"momentum": 0.9}}, "training.optimizer_options_without_name"),
        ({"optim": {"momentum": 0.9}}, "training.optimizer_spelled_twice"),
        ({"optim": {"type": "sgd"}, "optim_args": {"a": 1}}, "training.optimizer_spelled_twice"),
    ],
)
def test_a_config_says_what_is_wrong(training: dict[str, Any], code: str) -> None:
    with refused(code) as told:
        run_config_from({"model": "m", "data": "x.csv", "training": training})
    assert code != "config.choice_unknown" or "did you mean 'adamw'?" in str(told.value)


def test_a_usual_learning_rate_and_decay_are_those_of_the_optimizer() -> None:
    model = Anatomy("any", "encoder", "trunk", "words", (), (), (), (), 8, 64, False, 1000)
    lora = strategy_of({"type": "lora"})
    asked = TrainingConfig.model_validate({"optim": "lion"})
    plain, _, _ = resolve_parts(TrainingConfig(), lora, model, 300)
    lion, _, choices = resolve_parts(asked, lora, model, 300)
    assert lion.learning_rate == pytest.approx(0.2 * float(plain.learning_rate))
    assert lion.weight_decay == pytest.approx(5 * float(plain.weight_decay))
    rate: Choice = next(choice for choice in choices if choice.name == "learning_rate")
    assert rate.source.endswith("for lion 0.2 times AdamW's")
    assert lion.warmup_ratio == plain.warmup_ratio
