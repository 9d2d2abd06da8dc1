"""Options of chat templates, such as `enable_thinking`, as defaults of the template itself.

A template is a program with variables. Whoever sets one only where prompts are written has other
prompts wherever else the model is used; so the default is written into the template, which is saved
with the model. Who sets the variable all the same has the last word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from welltuned.errors import Fault, InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TemplateOption = str | bool | int | float
_GIVEN = {
    *("messages", "tools", "documents", "add_generation_prompt", "raise_exception", "strftime_now"),
    *("bos_token", "eos_token", "pad_token", "unk_token"),
}
"""Names that whoever runs a template sets, and no option may."""
_OF_LIBRARY = re.compile(r"\{%[-+]?\s*(end)?generation\s*[-+]?%\}")
"""Tags that transformers adds to Jinja's; they set nothing."""


def set_template_options(
    tokenizer: PreTrainedTokenizerBase, options: Mapping[str, TemplateOption]
) -> None:
    """Write the options into the tokenizer's template, or into each of its templates.

    Raises `InputError` where there is no template, or none that reads an option.
    """
    if not options:
        return
    own = tokenizer.chat_template
    templates = own if isinstance(own, dict) else {"default": own} if own else {}
    known = sorted(set().union(*map(options_of, templates.values())))
    for name in options:
        if name not in known:
            raise InputError(_unknown(name, known))
    written = {key: _with_defaults(template, options) for key, template in templates.items()}
    tokenizer.chat_template = written if isinstance(own, dict) else written["default"]


def options_of(template: str) -> set[str]:
    """The variables that a template reads before it sets them, or sets where nobody else has."""
    from jinja2 import Environment, meta, nodes

    language = Environment(extensions=["jinja2.ext.loopcontrols"])
    syntax = language.parse(_OF_LIBRARY.sub("", template))
    own = {name.name for name in syntax.find_all(nodes.Name) if name.ctx == "store"}
    asked_for = {
        asked.node.name
        for asked in syntax.find_all((nodes.Test, nodes.Filter))
        if asked.name in ("defined", "undefined", "default", "d")
        and isinstance(asked.node, nodes.Name)
    }
    return meta.find_undeclared_variables(syntax) - (own - asked_for) - _GIVEN


def _with_defaults(template: str, options: Mapping[str, TemplateOption]) -> str:
    """The template with its options set, unless whoever runs it sets them."""
    defaults = "".join(
        f"{{% if {name} is not defined %}}{{% set {name} = {_literal(value)} %}}{{% endif %}}"
        for name, value in options.items()
    )
    if template.startswith("\n"):  # which would be taken for the end of the last tag's line
        defaults = defaults.removesuffix("%}") + "+%}"
    return defaults + template


def _literal(value: TemplateOption) -> str:
    """A value as templates write it; texts, numbers, true and false are written as in JSON."""
    return json.dumps(value)


def _unknown(name: str, known: list[str]) -> Fault:
    near = get_close_matches(name, known, 1, 0.6)
    return Fault(
        "model.template_option_unknown",
        "the model's chat template does not read '{name}'",
        None,
        "{remedy}",
        name=name,
        remedy=f"did you mean '{near[0]}'?"
        if near
        else f"it reads {', '.join(known)}"
        if known
        else "remove model.template_options: it has no options",
    )
