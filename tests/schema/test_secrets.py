"""Secrets are known by their key or their form, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from welltuned.schema.secrets import (
    MASK,
    masked,
    masked_command,
    masked_keys,
    masked_text,
    secret_lines,
)

FORMS = [
    "hf_AbCdEfGhIjKlMnOpQrStUvWxYz12345678",
    "sk-proj-abcdefghijklmnop1234567890",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
    "AKIAIOSFODNN7EXAMPLE",
    "xoxb-123456789012-abcdefghij",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
]


@pytest.mark.parametrize("secret", FORMS)
def test_what_has_the_form_of_a_secret_is_masked_in_any_text(secret: str) -> None:
    assert masked_text(f"401 for {secret}, retry") == f"401 for {MASK}, retry"
    assert masked({"error": [{"said": secret}]}) == {"error": [{"said": MASK}]}


@pytest.mark.parametrize(
    "key",
    [
        "hub_token",
        "token",
        "api_key",
        "apikey",
        "WANDB_API_KEY",
        "password",
        "aws_secret_access_key",
    ],
)
def test_what_has_the_key_of_a_secret_is_masked_whatever_it_is(key: str) -> None:
    values = masked({"training": {"trainer": {key: "correct horse", "other": "kept"}}})
    assert values == {"training": {"trainer": {key: MASK, "other": "kept"}}}
    assert list(masked_keys(values)) == [f"training.trainer.{key}"]
    assert masked(values) == values, "masking twice changes nothing"


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("train training.trainer.hub_token=correct", f"train training.trainer.hub_token={MASK}"),
        (
            "train 'trainer={hub_token: correct, a: 1}'",
            f"train 'trainer={{hub_token: {MASK}, a: 1}}'",
        ),
        ("train --api-key correct a=1", f"train --api-key {MASK} a=1"),
        ("train password='correct horse' a=1", f"train password={MASK} a=1"),
        ("data=https://me:correct@host/x.csv", f"data=https://{MASK}@host/x.csv"),
    ],
)
def test_a_command_line_keeps_all_but_its_secrets(given: str, written: str) -> None:
    assert masked_command(given) == written
    assert masked({"command": given}) == {"command": written}


@pytest.mark.parametrize(
    "values",
    [
        {"max_tokens_per_step": 100, "num_virtual_tokens": 5, "eos_token": "</s>"},
        {"data": {"columns": {"token": "word"}}, "token": None, "secret": ""},
        {"name": "hf_transformers", "path": "models/hf_internal_testing", "task": "sk-learn"},
        {"fingerprint": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
        {"command": "welltuned train task=token_classification task.max_length=64"},
    ],
)  # fmt: skip
def test_nothing_else_is_masked(values: dict[str, object]) -> None:
    assert masked(values) == values and list(masked_keys(values)) == []


def test_what_the_environment_holds_as_a_secret_is_masked_in_any_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SERVICE_PASSWORD", "correct horse")
    monkeypatch.setenv("SHORT_TOKEN", "film")
    monkeypatch.setenv("GOOGLE_CREDENTIALS", str(tmp_path))
    monkeypatch.setenv("SERVICE_NAME", "a good film")
    text = f"401 for correct horse: a good film, by {tmp_path}"
    assert masked_text(text) == text.replace("correct horse", MASK)
    assert masked({"error": text}) == {"error": text.replace("correct horse", MASK)}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"first\nsee {FORMS[0]}\nlast {FORMS[1]}\n", [2, 3]),
        ('{\n  "hub_token": "correct-horse",\n  "layers": 4\n}', [2]),
        ("API_KEY=correct-horse\n", [1]),
        ("a = 1\n\nexport DB_PASSWORD = correct-horse  \n", [3]),
        ("client(api_key='correct-horse')", [1]),
        ("s3: https://me:correct@host/x\n", [1]),
    ],
)
def test_the_lines_of_a_file_that_hold_secrets_are_found(text: str, lines: list[int]) -> None:
    assert secret_lines(text) == lines


@pytest.mark.parametrize(
    "text",
    [
        '{"token": 5000000000, "password": 17, "Ġsecret": 31999}',  # a vocabulary
        '{"audio_token": "<|audio_bos|>", "image_token": "[IMG_BREAK]", "eos_token": "endoftext"}',
        f'{{"hub_token": "{MASK}"}}',
        "token = tokenizer.eos_token\n",
        "The token: it has one meaning\nno password: none\n",
        "secret secrets\ntoken tok en\n",  # merges
    ],
)
def test_what_only_looks_like_a_secret_is_none(text: str) -> None:
    assert secret_lines(text) == []


def test_a_value_of_the_environment_is_found_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_PASSWORD", "correct horse")
    assert secret_lines("one\nit says correct horse here\n") == [2]
