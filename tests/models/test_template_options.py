"""Options of chat templates become defaults of the template that is saved."""

from __future__ import annotations

from typing import Any

import pytest

from faults import refused
from talking import CHATML, byte_tokenizer, chat
from welltuned.models.template_options import options_of, set_template_options

OPTIONAL = (
    "{% if date is not defined %}{% set date = 'today' %}{% endif %}{{ date + ':' }}"
    "{% generation %}{% set said = messages[0].content %}{{ said }}{% endgeneration %}"
    "{% if add_generation_prompt and not think | default(true) %}<none>{% endif %}"
)


def written(tokenizer: Any, **given: Any) -> str:
    return str(
        tokenizer.apply_chat_template(
            chat("Hi"), tokenize=False, add_generation_prompt=True, **given
        )
    )


def test_an_option_is_what_the_template_is_told_by_default() -> None:
    tokenizer, untouched = byte_tokenizer(OPTIONAL), byte_tokenizer(OPTIONAL)
    set_template_options(tokenizer, {"think": False, "date": 'a "quoted" Monday'})
    asked = {"think": False, "date": 'a "quoted" Monday'}
    assert written(tokenizer) == written(untouched, **asked) == 'a "quoted" Monday:Hi<none>'
    assert written(tokenizer, think=True) == 'a "quoted" Monday:Hi'


def test_nothing_else_of_the_template_changes() -> None:
    for template in ("\n" + CHATML, CHATML + "{{ extra | default('') }}"):
        tokenizer, untouched = byte_tokenizer(template), byte_tokenizer(template)
        tokenizer.chat_template = template = template + "{{ extra | default('') }}"
        untouched.chat_template = template
        set_template_options(tokenizer, {"extra": ""})
        assert written(tokenizer) == written(untouched)
        assert written(untouched).startswith("\n") == template.startswith("\n")


def test_each_of_several_templates_is_told() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = {"default": OPTIONAL, "tool_use": "tools:" + OPTIONAL}
    set_template_options(tokenizer, {"date": "D"})
    assert written(tokenizer) == "D:Hi"
    assert written(tokenizer, chat_template="tool_use") == "tools:D:Hi"


def test_an_option_that_the_template_does_not_read_is_refused() -> None:
    assert options_of(OPTIONAL) == {"date", "think"}
    tokenizer = byte_tokenizer(OPTIONAL)
    with refused("model.template_option_unknown", name="thimk", remedy="did you mean 'think'?"):
        set_template_options(tokenizer, {"thimk": False})
    with refused("model.template_option_unknown", name="messages", remedy="it reads date, think"):
        set_template_options(tokenizer, {"messages": "none"})
    with refused("model.template_option_unknown", name="think"):
        set_template_options(byte_tokenizer(), {"think": False})
    assert tokenizer.chat_template == OPTIONAL


def test_it_travels_with_the_model(tmp_path: Any) -> None:
    from transformers import AutoTokenizer

    from welltuned.models.config import ModelConfig
    from welltuned.models.loading import read_tokenizer

    byte_tokenizer(OPTIONAL).save_pretrained(tmp_path / "base")
    config = ModelConfig(name=str(tmp_path / "base"), template_options={"think": False})
    read_tokenizer(config).save_pretrained(tmp_path / "tuned")
    assert written(AutoTokenizer.from_pretrained(tmp_path / "tuned")) == "today:Hi<none>"


@pytest.mark.parametrize("value", [True, 3, "text", 0.5])
def test_values_keep_their_kind(value: bool | int | float | str) -> None:
    tokenizer = byte_tokenizer("{{ [kind is string, kind is boolean, kind] }}")
    set_template_options(tokenizer, {"kind": value})
    assert written(tokenizer) == str([isinstance(value, str), isinstance(value, bool), value])
