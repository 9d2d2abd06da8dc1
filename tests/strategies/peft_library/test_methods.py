"""PEFT's methods by name: which a run can take, and why not the others."""

from __future__ import annotations

import pytest

from welltuned.strategies.peft_library.methods import (
    comes_out_again,
    config_classes,
    merge_refusal_of,
    method_refusal,
    possible_methods,
    starts_unchanged_by,
)


def test_those_that_a_run_can_take_are_not_refused() -> None:
    methods = possible_methods()
    assert {"ia3", "vera", "oft", "ln_tuning"} <= set(methods) <= set(config_classes())
    assert [name for name in methods if method_refusal(name) is not None] == []


@pytest.mark.parametrize(
    ("method", "code", "told"),
    [
        ("lora", "strategy.peft_method_of_ours", "strategy=lora"),
        ("p_tuning", "strategy.peft_method_of_ours", "strategy=prompt"),
        ("xlora", "strategy.peft_method_impossible", "another method"),
        ("verra", "strategy.peft_method_unknown", "did you mean 'vera'?"),
        ("prefix-tuning", "strategy.peft_method_unknown", "did you mean 'prefix_tuning'?"),
    ],
)
def test_others_are_refused_with_what_to_do(method: str, code: str, told: str) -> None:
    fault = method_refusal(method)
    assert method not in possible_methods()
    assert fault is not None and fault.code == code and told in str(fault)


def test_what_becomes_of_an_update() -> None:
    assert merge_refusal_of("vera") is None and "bias" in str(merge_refusal_of("beft"))
    assert comes_out_again("vera") and not comes_out_again("osf")
    assert starts_unchanged_by("vera") and not starts_unchanged_by("fourierft")
