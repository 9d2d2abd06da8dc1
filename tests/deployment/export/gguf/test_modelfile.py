"""The Modelfile's template writes what the tokenizer's own does, or there is none."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from chat_families import FAMILIES
from llamas import bpe_tokenizer, speaking
from talking import CHATML, INSTRUCT, UNCLOSED, byte_tokenizer, chat
from welltuned.deployment.export.gguf.modelfile import go_template, modelfile
from welltuned.deployment.export.gguf.turns import turns_of
from welltuned.deployment.export.gguf.vocabulary import read_vocabulary

DEFAULT = (  # a system text of its own, where none is given, as SmolLM2 has it
    "{% for m in messages %}{% if loop.first and m.role != 'system' %}"
    "{{ '<|im_start|>system\nBe good.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
STRING = re.compile(r"""{{ ("(?:[^"\\]|\\.)*") }}""")


def executed(template: str, messages: list[dict[str, str]]) -> str:
    """A template of Go's, as far as ours go: conditions, one range, fields and strings."""
    system = "".join(one["content"] for one in messages if one["role"] == "system")
    condition = re.compile(r"{{ if \.System }}(.*?){{ else }}(.*?){{ end }}", re.DOTALL)
    template = condition.sub(lambda found: found[1] if system else found[2], template)
    loop = re.compile(r"{{ range \.Messages }}(.*){{ end }}", re.DOTALL)
    said = re.compile(r'{{ if eq \.Role "(\w+)" }}(.*?){{ end }}', re.DOTALL)

    def turns(found: re.Match[str]) -> str:
        return "".join(
            body.replace("{{ .Content }}", one["content"])
            for one in messages
            for role, body in said.findall(found[1])
            if role == one["role"]
        )

    text = loop.sub(turns, template).replace("{{ .System }}", system)
    return STRING.sub(lambda found: json.loads(found[1]), text)


TALKS = [
    chat("was it good"),
    chat("one", "two", "three"),
    chat("a: b\nc", "d", "e", "f", "g"),
    [{"role": "system", "content": "speak"}, *chat("one", "two", "three")],
]


def rendered(tokenizer: Any, talk: Any) -> str:
    return str(tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True))


@pytest.mark.parametrize(
    ("template", "takes_system"),
    [(CHATML, True), (DEFAULT, True), (UNCLOSED, True), ("{{ bos_token }}" + CHATML, True)],
)
def test_a_template_of_turns_is_written_in_go(template: str, takes_system: bool) -> None:
    tokenizer = byte_tokenizer(template, bos_token="<s>")
    turns = turns_of(tokenizer)
    assert turns is not None and turns.takes_system is takes_system
    for talk in TALKS:
        assert executed(go_template(turns), talk) == rendered(tokenizer, talk)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_written_for_a_family_is_what_its_template_writes(name: str) -> None:
    tokenizer = FAMILIES[name].tokenizer()
    turns = turns_of(tokenizer)
    if turns is None:
        assert name in NOT_BY_TURNS
        return
    for talk in TALKS[: None if turns.takes_system else 3]:
        assert executed(go_template(turns), talk) == rendered(tokenizer, talk)


NOT_BY_TURNS = {"mistral", "llama-2"}
"""Their templates look at more than whose turn it is."""


def test_what_the_tokenizer_puts_first_is_left_to_llama_cpp() -> None:
    turns = turns_of(byte_tokenizer("{{ bos_token }}" + CHATML, bos_token="<s>"))
    assert turns is not None
    assert go_template(turns).count("<s>") == 2 and "<s>" not in go_template(turns, "<s>")


def test_commands_in_words_stay_words() -> None:
    braces = "{{ '{' + '{ x }' + '}' }}"
    odd = CHATML.replace("<|im_start|>assistant", braces + "<|im_start|>assistant")
    tokenizer = byte_tokenizer(odd)
    turns = turns_of(tokenizer)
    assert turns is not None and "{{ x }}" in turns.ask
    assert executed(go_template(turns), TALKS[0]) == rendered(tokenizer, TALKS[0])


def test_the_file_names_weights_stops_and_sampling() -> None:
    artifact = speaking(tokenizer=bpe_tokenizer(DEFAULT))
    vocabulary = read_vocabulary(artifact.tokenizer, len(artifact.tokenizer))
    lines = modelfile("model.gguf", artifact, vocabulary).splitlines()
    assert lines[0] == "FROM ./model.gguf" and lines[1].startswith('TEMPLATE """{{ if .System }}')
    assert 'PARAMETER stop "<|im_end|>"' in lines and "PARAMETER num_predict 6" in lines
    assert "PARAMETER temperature 0" in lines and "PARAMETER num_ctx 128" in lines


def test_without_a_template_of_turns_ollama_goes_by_the_file() -> None:
    doubled = INSTRUCT.replace("m.content }} [/", "m.content * 2 }} [/")
    artifact = speaking(tokenizer=bpe_tokenizer(doubled))
    vocabulary = read_vocabulary(artifact.tokenizer, len(artifact.tokenizer))
    assert "TEMPLATE" not in modelfile("model.gguf", artifact, vocabulary)
