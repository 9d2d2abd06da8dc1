"""Where a method goes, and layers of a model's shapes on which PEFT says whether it can."""

from __future__ import annotations

from typing import Any

import pytest

from welltuned.models.anatomy import Anatomy
from welltuned.models.block_stacks import Block
from welltuned.strategies.peft_library.methods import config_classes
from welltuned.strategies.peft_library.placement import (
    refused_by_peft,
    usual_options,
    usual_targets,
)

LINEARS = ("trunk.layer.0.up", "trunk.layer.0.down")


def anatomy(family: str = "any", width: int = 32) -> Anatomy:
    """One block of two linear layers with a norm, and a norm behind it."""
    block = Block(
        "trunk.layer.0", LINEARS, None, None, LINEARS[0], LINEARS[1], ("trunk.layer.0.norm",),
        (0, 0), ((width, 48), (48, width)),
    )  # fmt: skip
    rest: Any = ("words", (block,), ("trunk.final",), (), (), width, 64, False, 1000)
    return Anatomy(family, "encoder", "trunk", *rest)


def reason(method: str, *, family: str = "any", width: int = 32, **options: Any) -> str | None:
    config = config_classes()[method](target_modules=list(LINEARS), **options)
    return refused_by_peft(config, anatomy(family, width))


def test_norms_are_for_layer_norm_tuning_and_linear_layers_for_all_else() -> None:
    assert usual_targets("ln_tuning", anatomy()) == ["trunk.layer.0.norm", "trunk.final"]
    assert usual_targets("vera", anatomy()) == [*LINEARS]


def test_options_follow_from_the_model_where_a_method_has_them() -> None:
    named = ["fan_in_fan_out", "feedforward_modules", "progressbar"]
    usual = {"fan_in_fan_out": True, "feedforward_modules": [LINEARS[1]], "progressbar": False}
    assert usual_options(named, anatomy("gpt2")) == usual
    assert usual_options(["r"], anatomy("gpt2")) == {}


def test_what_peft_says_of_a_shape_or_of_a_kind_of_layer_is_the_reason() -> None:
    assert reason("vera", r=4) is None
    assert "block size" in str(reason("c3a", block_size=20))
    assert "Conv1D" in str(reason("oft", family="gpt2", oft_block_size=8))
    assert reason("osf", family="gpt2") == "it puts nothing into them"


def test_of_a_large_layer_shapes_alone_are_tried() -> None:
    """A made-up block of a hundred million numbers would be half a gigabyte."""
    assert reason("vera", width=10**6, r=4) is None
    assert "Conv1D" in str(reason("oft", family="gpt2", width=10**6, oft_block_size=8))


@pytest.mark.parametrize("targets", [["final"], "trunk.*norm"])
def test_modules_that_are_no_linear_layers_show_on_the_model_itself(targets: Any) -> None:
    config = config_classes()["ln_tuning"](target_modules=targets)
    assert refused_by_peft(config, anatomy()) is None
