"""PEFT's own methods by name: their options, where they go, and what cannot be taken."""

from __future__ import annotations

from typing import Any

import pytest

from faults import codes, refused
from support import build, strategy_of
from welltuned.config import run_config_from
from welltuned.errors import InputError
from welltuned.models.anatomy import undecorated
from welltuned.strategies.peft import Peft
from welltuned.strategies.peft_library.methods import config_classes, possible_methods


def asked(**options: Any) -> Any:
    return strategy_of({"type": "peft", **options})


def config_of(**options: Any) -> Any:
    return run_config_from({"model": "m", "data": "x.csv", "strategy": {"type": "peft", **options}})


def test_every_method_of_pefts_is_taken_or_refused_with_a_reason() -> None:
    """What a later release adds is among those that are tried."""
    taken = set(possible_methods())
    assert {"ia3", "vera", "oft", "boft", "ln_tuning", "loha", "lokr", "fourierft", "hra"} <= taken
    assert not any(name.startswith("welltuned") for name in config_classes())
    for name in sorted(set(config_classes()) - taken):
        with pytest.raises(InputError) as told:
            config_of(method=name)
        (fault,) = told.value.faults
        assert fault.code in ("strategy.peft_method_of_ours", "strategy.peft_method_impossible")
        assert fault.values["reason"]


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        ({"method": "verra"}, "strategy.peft_method_unknown", "did you mean 'vera'?"),
        ({"method": "loraa"}, "strategy.peft_method_unknown", "did you mean 'lora'?"),
        ({"method": "prefix_tuning"}, "strategy.peft_method_of_ours", "write strategy=prefix"),
        ({"method": "adalora"}, "strategy.peft_method_impossible", "gradients"),
        ({"method": "vera", "vera_dropuot": 0.1}, "strategy.peft_option_unknown", "vera_dropout"),
        ({"method": "vera", "r": "many"}, "strategy.peft_option_of_another_type", "integer"),
        ({"method": "oft", "r": 4, "oft_block_size": 4}, "strategy.peft_options_refused", "r"),
        ({"method": "vera", "task_type": "X"}, "strategy.peft_option_unknown", "task_type"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], code: str, told: str) -> None:
    with refused(code) as error:
        config_of(**options)
    assert told in str(error.value)


def test_options_reach_pefts_config(tiny: Any) -> None:
    options = {"type": "peft", "method": "vera", "r": 7, "d_initial": 0.3}
    model, anatomy, _ = build(tiny("bert"), options)
    config = model.peft_config["default"]
    assert (config.r, config.d_initial) == (7, 0.3)
    linears = {linear for block in anatomy.blocks for linear in block.linears}
    lengthened = {name for name, _ in model.named_parameters() if "vera_lambda_b" in name}
    assert {undecorated(name).rpartition(".vera")[0] for name in lengthened} == linears
    assert "classifier" in config.modules_to_save


def test_named_modules_are_taken_as_they_are(tiny: Any) -> None:
    options = {"type": "peft", "method": "oft", "oft_block_size": 8, "target_modules": ["query"]}
    model, _, strategy = build(tiny("bert"), options)
    changed = {name for name, weight in model.named_parameters() if ".oft_R." in name}
    assert len(changed) == 4 and all(".query." in name for name in changed)
    assert strategy.target_modules == ("query",)


def test_normalisations_are_where_ln_tuning_goes(tiny: Any) -> None:
    model, anatomy, strategy = build(tiny("gpt2"), {"type": "peft", "method": "ln_tuning"})
    norms = {norm for block in anatomy.blocks for norm in block.norms} | set(anatomy.final)
    assert set(model.peft_config["default"].target_modules) == norms
    assert not list(strategy.check(anatomy))


def test_ia3_scales_what_goes_into_the_feed_forward_output(tiny: Any) -> None:
    model, anatomy, _ = build(tiny("llama"), {"type": "peft", "method": "ia3"})
    outputs = {block.feed_forward_output for block in anatomy.blocks}
    assert set(model.peft_config["default"].feedforward_modules) == outputs
    sizes = {n.split(".")[-3]: w.numel() for n, w in model.named_parameters() if "ia3_l" in n}
    assert sizes["down_proj"] == 48 and sizes["o_proj"] == 32


def test_layers_that_peft_cannot_change_are_refused_before_weights_load(tiny: Any) -> None:
    _, bert, _ = build(tiny("bert"), {"type": "full"})
    _, gpt2, _ = build(tiny("gpt2"), {"type": "full"})
    (fault,) = asked(method="c3a").check(bert)
    assert fault.code == "strategy.peft_unsupported" and "block size" in fault.values["reason"]
    assert not list(asked(method="c3a", block_size=16).check(bert))
    assert codes(asked(method="oft").check(gpt2)) == ["strategy.peft_unsupported"]
    assert codes(asked(method="vera").check(gpt2)) == []


def test_what_everything_means_of_it_is_every_method() -> None:
    methods = [one["method"] for one in Peft.variants()]
    assert methods == possible_methods() and len(methods) > 20
