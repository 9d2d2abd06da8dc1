"""`push` asks for a licence, shows what would leave, and sends it as it was asked to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from welltuned.deployment.hub import push as hub_push
from welltuned.deployment.hub.card import Publication
from welltuned.deployment.hub.files import Upload
from welltuned.deployment.hub.push import Push
from welltuned.schema.messages import message

ASKED = ("push", "a-run", "me/reviews", "license=mit")
CARD = b"---\nlicense: mit\n---\n# Reviews"
NOTE = message(
    "hub.names_local_folder",
    "{file}, line {line}, names a folder of this machine: {folder}.",
    file="welltuned.json", line=3, folder="/home/me",
)  # fmt: skip


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, Publication]]:
    """What was to be published, and as what; a run of two files stands in for it."""
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(2500))
    asked: list[tuple[object, Publication]] = []

    def prepare(run: object, publication: Publication) -> Push:
        asked.append((run, publication))
        return Push(publication, [Upload("README.md", CARD), Upload(weights.name, weights)], [NOTE])

    monkeypatch.setattr(hub_push, "prepare_push", prepare)
    return asked


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, bool]]:
    """(public, update) of whatever was sent."""
    flags: list[tuple[bool, bool]] = []

    def send(push: Push, public: bool = False, update: bool = False) -> str:
        flags.append((public, update))
        return f"https://hub/{push.publication.repo}"

    monkeypatch.setattr(hub_push, "send", send)
    return flags


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], "cli.push_license"),
        (["license="], "cli.push_license"),
        (["license=mit", "licence=mit"], "cli.push_options"),
        (["license=mit", "public"], "cli.push_options"),
    ],
)
def test_a_licence_is_needed_and_other_keys_are_refused(
    arguments: list[str], code: str, call: Any, prepared: Any, sent: Any
) -> None:
    status, said, told = call(*ASKED[:3], *arguments)
    assert (status, said) == (2, "") and f"[{code}]" in told
    assert prepared == [] and sent == []


def test_a_dry_run_shows_every_file_and_the_card_and_sends_nothing(
    call: Any, prepared: Any, sent: Any
) -> None:
    status, said, told = call(*ASKED, "--dry-run")
    assert status == 0 and sent == []
    lines = said.splitlines()
    assert [line.split() for line in lines[:2]] == [
        [str(len(CARD)), "B", "README.md"], ["2.5", "kB", "model.safetensors"],
    ]  # fmt: skip
    assert lines[2].endswith("2 files would go to me/reviews (private)")
    assert said.endswith(f"\n\n{CARD.decode()}\n")
    assert told == "welltuned.json, line 3, names a folder of this machine: /home/me.\n"
    assert "(public)" in call(*ASKED, "--dry-run", "--public")[1]


@pytest.mark.parametrize(
    ("options", "flags"),
    [([], (False, False)), (["--public"], (True, False)), (["--update"], (False, True))],
)
def test_what_is_sent_is_private_and_new_unless_asked(
    options: list[str], flags: tuple[bool, bool], call: Any, prepared: Any, sent: Any
) -> None:
    status, said, _ = call(*ASKED, *options)
    assert (status, said) == (0, "https://hub/me/reviews\n") and sent == [flags]


def test_licence_and_languages_reach_the_card(call: Any, prepared: Any, sent: Any) -> None:
    call(*ASKED, "language=en,zh")
    call(*ASKED)
    assert prepared == [
        ("a-run", Publication("me/reviews", "mit", ("en", "zh"))),
        ("a-run", Publication("me/reviews", "mit")),
    ]


@pytest.mark.parametrize("dry", [True, False])
def test_programs_are_told_the_same(dry: bool, call: Any, prepared: Any, sent: Any) -> None:
    status, said, _ = call(*ASKED, "--json", *(["--dry-run"] if dry else []))
    assert status == 0 and sent == ([] if dry else [(False, False)])
    assert json.loads(said) == {
        "repo": "me/reviews",
        "private": True,
        "address": None if dry else "https://hub/me/reviews",
        "bytes": 2500 + len(CARD),
        "files": [
            {"name": "README.md", "bytes": len(CARD)},
            {"name": "model.safetensors", "bytes": 2500},
        ],
        "card": CARD.decode(),
    }
