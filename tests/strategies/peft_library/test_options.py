"""Options of a method, held against PEFT's own class of them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from welltuned.strategies.peft_library.options import check_options, option_names


def test_options_are_pefts_but_for_what_follows_from_the_run() -> None:
    names = option_names("vera")
    assert {"r", "target_modules", "vera_dropout", "modules_to_save"} <= set(names)
    assert {"task_type", "peft_type", "inference_mode"}.isdisjoint(names)


def test_options_as_a_config_holds_them_will_do() -> None:
    check_options("vera", {"r": 3, "target_modules": ("query", "value"), "vera_dropout": 0.1})
    check_options("ln_tuning", {})


@pytest.mark.parametrize(
    ("method", "options", "code", "told"),
    [
        ("vera", {"vera_dropuot": 0.1}, "strategy.peft_option_unknown", "'vera_dropout'?"),
        ("vera", {"inference_mode": True}, "strategy.peft_option_unknown", "options: "),
        ("vera", {"r": "many"}, "strategy.peft_option_of_another_type", "integer"),
        ("oft", {"r": 4, "oft_block_size": 4}, "strategy.peft_options_refused", "r"),
    ],
)
def test_what_peft_would_not_take_is_refused(
    method: str, options: dict[str, Any], code: str, told: str
) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        check_options(method, options)
    context: Any = caught.value.context
    assert context["fault"].code == code and told in str(context["fault"])
