"""PEFT's methods by name, and which of them a run can take.

What there is, PEFT says itself: whatever has a config class there. What cannot be taken is listed
here, with the reason.
"""

from __future__ import annotations

import difflib
from functools import cache
from typing import Any

from welltuned.errors import Fault

_OURS = {
    "lora": "lora",
    "prompt_tuning": "prompt",
    "multitask_prompt_tuning": "prompt",
    "p_tuning": "prompt",
    "cpt": "prompt",
    "prefix_tuning": "prefix",
    "cartridge": "prefix",
    "adaption_prompt": "prefix",
}
"""Methods that a strategy of ours stands for."""
_WHY_OURS = {
    "lora": "it has a strategy of its own, which takes all its options",
    "prompt": "PEFT puts its vectors before the text, where a head reads them in place of the text",
    "prefix": "PEFT puts its keys and values into the cache, which moves the positions of tokens",
}
_IMPOSSIBLE = {
    "adalora": "its ranks follow from gradients between the backward pass and the step, and its "
    "loss has a term of its own",
    "poly": "every example has to say which of several tasks it is of",
    "shadow": "it trains a second model beside the first",
    "trainable_tokens": "it neither trains nor saves a new head",
    "xlora": "it mixes adapters that have been trained before",
}

_UNMERGED = {
    "beft": "PEFT merges it into layers with a bias alone",
    "lily": "its layers share what they compute, which PEFT cannot merge",
}
_MERGED_FOR_GOOD = ("osf",)
"""Methods that PEFT does not take out of the weights again."""
_CHANGED_AT_FIRST = ("c3a", "fourierft", "unilora", "vblora")
"""Methods whose first weights change what the model computes."""


@cache
def config_classes() -> dict[str, Any]:
    """PEFT's config classes by the name of the method, but for methods of our own."""
    from peft import PEFT_TYPE_TO_CONFIG_MAPPING, PeftType

    every = {kind: kind.value.lower() for kind in PeftType}
    return {
        name: PEFT_TYPE_TO_CONFIG_MAPPING[kind]
        for kind, name in every.items()
        if kind in PEFT_TYPE_TO_CONFIG_MAPPING
    }


def possible_methods() -> list[str]:
    """Those that a run can take."""
    return [name for name in config_classes() if name not in _OURS and name not in _IMPOSSIBLE]


def merge_refusal_of(method: str) -> str | None:
    """Why a method's update cannot be merged into the weights; None where it can."""
    return _UNMERGED.get(method)


def comes_out_again(method: str) -> bool:
    """Whether what was merged into the weights can be taken out of them."""
    return method not in _MERGED_FOR_GOOD


def starts_unchanged_by(method: str) -> bool:
    """Whether the model computes what it did before, when a method has just been put into it."""
    return method not in _CHANGED_AT_FIRST


def method_refusal(method: str) -> Fault | None:
    """Why a method cannot be taken; None where it can be."""
    if method in _OURS:
        ours = _OURS[method]
        return Fault(
            "strategy.peft_method_of_ours",
            "PEFT's method '{method}' is not taken as it is: {reason}",
            None,
            "write strategy={ours}",
            method=method,
            reason=_WHY_OURS[ours],
            ours=ours,
        )
    if method in _IMPOSSIBLE:
        return Fault(
            "strategy.peft_method_impossible",
            "PEFT's method '{method}' cannot be trained here: {reason}",
            None,
            "choose another method",
            method=method,
            reason=_IMPOSSIBLE[method],
        )
    if method not in config_classes():
        known = possible_methods()
        close = difflib.get_close_matches(method, [*known, *_OURS], n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        return Fault(
            "strategy.peft_method_unknown",
            "PEFT has no method '{method}'",
            None,
            "{hint}(methods: {known})",
            method=method,
            hint=hint,
            known=", ".join(known),
        )
    return None
