"""What leaves the machine is every file of a folder, and none that should not."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import noted, refused
from welltuned.deployment.hub.files import Upload, local_names, uploads_of

TOKEN = "a-token-of-the-environment"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of three files, one of them in a folder of its own."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/model.safetensors").write_bytes(b"\0\1\2")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("the card that the run wrote")
    return tmp_path


def test_every_file_goes_in_order_with_the_card_in_place_of_its_own(folder: Path) -> None:
    found = uploads_of(folder, "the card of the Hub")
    assert [(one.name, one.size) for one in found] == [
        ("README.md", 19), ("config.json", 2), ("parts/model.safetensors", 3),
    ]  # fmt: skip
    assert found[0].text == "the card of the Hub"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\xef\xbb\xbfwords", "words"),
        ("中文".encode(), "中文"),
        (b"a\0b", None),
        (b"\xff\xfe", None),
        (b"", ""),
    ],
)
def test_what_is_no_text_says_nothing(content: bytes, text: str | None, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert Upload("file", tmp_path / "file").text == text
    if b"\0" not in content:
        assert Upload("file", content).text == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes.md", "first\nask with hf_AbCdEfGhIjKlMnOpQrStUvWxYz12345678\n"),
        ("settings.json", '{\n  "api_key": "correct-horse"\n}'),
        ("env.txt", "# here\nDB_PASSWORD=correct-horse\n"),
        ("parts/sums.txt", f"one\n{TOKEN}\n"),
    ],
)
def test_a_secret_does_not_leave(
    name: str, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    (folder / name).write_text(text)
    with refused("hub.secret", place=f"{folder / name}:2"):
        uploads_of(folder, "")


def test_a_secret_of_the_card_does_not_leave(folder: Path) -> None:
    with refused("hub.secret", place=f"{folder / 'README.md'}:1"):
        uploads_of(folder, "api_key = 'correct-horse'")


def test_links_and_hidden_files_do_not_leave(folder: Path) -> None:
    (folder / "beside.txt").symlink_to("/etc/hostname")
    (folder / "elsewhere").symlink_to("/etc")
    (folder / ".env").write_text("A=1")
    (folder / ".cache").mkdir()
    (folder / ".cache/model.json").write_text("{}")
    with refused("hub.hidden_file", "hub.hidden_file", "hub.link", "hub.link"):
        uploads_of(folder, "")


# --- Folders of this machine ------------------------------------------------------


def told(text: str, *names: str) -> list[str]:
    notes = noted(local_names([Upload("a", text.encode())], names))
    return [note.split(" ", 1)[1] for note in notes]


def test_the_first_line_that_names_a_folder_is_told() -> None:
    text = "one\nof /models/base/x and /home/me\nin /home/me"
    assert told(text, "/home/me") == ["file=a line=2 folder=me"]
    assert told(text, "/home/me", "/models/base/") == ["file=a line=2 folder=base"]
    assert told("it stands in /home/me.", "/home/me") != []
    assert local_names([Upload("weights", b"\xff/home/me")], ["/home/me"]) == []


def test_a_longer_name_is_another_folder() -> None:
    assert told("/home/melanie, /home/me-too", "/home/me") == []


def test_a_home_at_the_root_is_not_seen_in_every_path() -> None:
    assert told("see https://example.org/a", "/") == []
