"""Secrets: tokens, keys and passwords are masked wherever a run writes what it was given.

They are known by the name of their key (`hub_token`, `api_key`, `password`), by their own form,
such as that of Hugging Face's or GitHub's tokens, or as what an environment variable of such a
name holds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import cast

MASK = "(masked)"
"""What is written in place of a secret. A config that holds it is refused with words."""

_SHORTEST = 8
"""Characters of a secret. Shorter words stand in many texts by chance."""
_SPECIAL = "pad|eos|bos|unk|cls|sep|mask|stop|end|start|image"
_NAME = (
    rf"(?:(?!(?:{_SPECIAL})_token\b)(?:\w+_)?(?:token|api_?key|secret|secret_key|password|passwd|"
    r"passphrase|credentials?|access_key|access_key_id|private_key|bearer))"
)
_SECRET_KEY = re.compile(_NAME, re.IGNORECASE)
_GIVEN = re.compile(
    rf"(?P<key>(?<!\w){_NAME}[\"']?\s*[=:]\s*|--?{_NAME.replace('_', '[_-]')}\s+)"
    r"(?P<value>\"[^\"]*\"|'[^']*'|[^\s\"',}]+)",
    re.IGNORECASE,
)
"""`key=value`, `{key: value}` and `--key value`, as they stand on a command line."""
_FORMS = re.compile(
    r"\bhf_(?=[A-Za-z0-9]*[0-9A-Z])[A-Za-z0-9]{10,}\b"  # Hugging Face
    r"|\bsk-[A-Za-z0-9_-]{16,}"  # OpenAI and its like
    r"|\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"  # GitHub, GitLab
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{35}|\bxox[abprs]-[\w-]{10,}"  # AWS, Google, Slack
    r"|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}"  # JSON Web Tokens
    r"|(?<=://)[^/\s:@]+:[^/\s:@]+(?=@)"  # user:password@host
)
_LITERAL = re.compile(
    # A quoted value without spaces; special tokens of a tokenizer, `<image>` or `[IMG]`, are none.
    rf"(?<!\w){_NAME}[\"']?\s*[=:]\s*([\"'])(?![<\[(])[^\s\"']{{{_SHORTEST},}}\1"
    # A line that is nothing else, as in a file of environment variables; not `token = a.b`.
    rf"|^[ \t]*(?:export[ \t]+)?{_NAME}[ \t]*[=:][ \t]*(?!\w+(?:\.\w+)+[ \t]*$)(?=\S*[A-Za-z])"
    rf"[^\s\"'(\[<#]{{{_SHORTEST},}}[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
"""A secret that stands in a file under the name of its key."""


def masked(values: Mapping[str, object]) -> dict[str, object]:
    """The same with every secret masked, at any depth."""
    return cast(dict[str, object], _masked(values, ()))


def masked_command(command: str) -> str:
    """A command line with every secret masked: by its form, or by the key it is given to."""
    return _GIVEN.sub(rf"\g<key>{MASK}", masked_text(command))


def masked_text(text: str) -> str:
    """A text without what has the form of a secret, or is one of the environment's."""
    for name, value in os.environ.items():
        if value in text and _is_secret(name, value):
            text = text.replace(value, MASK)
    return _FORMS.sub(MASK, text)


def secret_lines(text: str) -> list[int]:
    """The lines of a file's text, from 1, in which something is a secret.

    By its form, as a value of the environment, or as a literal under the name of a secret.
    """
    found = {text.count("\n", 0, match.end()) + 1 for match in _LITERAL.finditer(text)}
    if masked_text(text) != text:
        lines = enumerate(text.split("\n"), 1)
        found |= {number for number, line in lines if masked_text(line) != line}
    return sorted(found)


def masked_keys(values: object, path: str = "") -> Iterator[str]:
    """The dotted keys whose values are masked, wholly or in part."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from masked_keys(value, f"{path}.{key}" if path else str(key))
    elif isinstance(values, (list, tuple)):
        for i, value in enumerate(values):
            yield from masked_keys(value, f"{path}.{i}")
    elif isinstance(values, str) and MASK in values:
        yield path


def _masked(value: object, path: tuple[str, ...]) -> object:
    if isinstance(value, Mapping):
        return {key: _masked(item, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(item, path) for item in value]
    if not isinstance(value, str):
        return value
    if value and path and _is_secret_key(path):
        return MASK
    return masked_command(value) if path and path[-1] == "command" else masked_text(value)


@cache
def _is_secret(name: str, value: str) -> bool:
    """Whether an environment variable holds a secret, and not a path to one, or a short word."""
    named = _SECRET_KEY.fullmatch(name) is not None
    return named and len(value) >= _SHORTEST and not os.path.exists(value)


def _is_secret_key(path: tuple[str, ...]) -> bool:
    """Whether a key holds a secret; those of `columns` name columns of the data."""
    return "columns" not in path and _SECRET_KEY.fullmatch(path[-1]) is not None
