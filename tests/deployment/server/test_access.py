"""Who may ask: addresses, tokens, host names and origins."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import refused
from welltuned.deployment.server.access import (
    Access,
    AccessToken,
    is_loopback,
    listening_address,
    require_token,
)
from welltuned.deployment.server.refusal import Refusal

SECRET = "3f9c-a-token-of-many-letters"


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> AccessToken:
    monkeypatch.setenv("SERVE_SECRET", SECRET)
    return AccessToken.read("env:SERVE_SECRET")


# --- Where it listens ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "address"),
    [("localhost", "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("[::1]", "::1"), ("::", "::")],
)
def test_an_address_is_read_as_people_write_it(given: str, address: str) -> None:
    assert listening_address(given) == address


def test_a_name_is_no_address() -> None:
    with refused("serve.address_unknown", given="example.com"):
        listening_address("example.com")


def test_beyond_this_machine_a_token_is_needed(token: AccessToken) -> None:
    for address in ("0.0.0.0", "::", "192.168.1.5"):
        assert not is_loopback(address)
        with refused("serve.token_needed", address=address):
            require_token(address, None)
        require_token(address, token)
    require_token("127.0.0.1", None)
    require_token("::1", None)


# --- Tokens --------------------------------------------------------------------------


def test_a_token_comes_from_the_environment_or_a_file(token: AccessToken, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n", encoding="utf-8")
    for one in (token, AccessToken.read(f"file:{tmp_path / 'token'}")):
        assert one.is_shown_in(f"Bearer {SECRET}") and one.is_shown_in(f"bearer  {SECRET} ")
        for wrong in ("", SECRET, f"Basic {SECRET}", f"Bearer {SECRET}x", "Bearer ", "Bearer \xff"):
            assert not one.is_shown_in(wrong)


def test_it_is_not_kept(token: AccessToken) -> None:
    assert SECRET not in repr(token)


def test_a_token_on_the_line_is_refused_and_not_repeated() -> None:
    with refused("serve.token_in_clear") as error:
        AccessToken.read(SECRET)
    assert SECRET not in str(error.value)


def test_tokens_that_are_not_there_or_weak_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with refused("serve.token_not_set", name="NO_SUCH_SECRET"):
        AccessToken.read("env:NO_SUCH_SECRET")
    with refused("serve.token_file_unreadable"):
        AccessToken.read(f"file:{tmp_path / 'nothing'}")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe" * 20)
    with refused("serve.token_file_unreadable"):
        AccessToken.read(f"file:{tmp_path / 'bytes'}")
    for weak in ("short", "ünicode-is-no-header-value", "two\nlines-of-a-long-token"):
        monkeypatch.setenv("WEAK_SECRET", weak)
        with refused("serve.token_weak"):
            AccessToken.read("env:WEAK_SECRET")


def test_a_shell_reads_it_where_it_is(token: AccessToken) -> None:
    assert token.in_shell == "$SERVE_SECRET"
    assert AccessToken(b"", "file:/a b/it's").in_shell == "$(cat '/a b/it'\\''s')"


# --- Requests ------------------------------------------------------------------------


def status(access: Access, headers: dict[str, str], open_to_all: bool = False) -> int:
    try:
        access.check({"host": "localhost:8000", **headers}, open_to_all)
    except Refusal as refusal:
        return refusal.status
    return 200


@pytest.mark.parametrize("host", ["localhost:8000", "LOCALHOST", "127.0.0.1:1", "[::1]:8000"])
def test_a_server_of_this_machine_is_known_as_such(host: str) -> None:
    assert status(Access(), {"host": host}) == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1", "", "["])
def test_another_name_is_refused(host: str) -> None:
    """A page whose name was made to lead here would else be of our own origin."""
    assert status(Access(), {"host": host}) == 421


def test_names_can_be_allowed_and_addresses_need_not_be(token: AccessToken) -> None:
    access = Access.at("0.0.0.0", token, ["Models.Example"])
    shown = {"authorization": f"Bearer {SECRET}"}
    for host in ("models.example:80", "10.0.0.1:8000", "localhost:8000"):
        assert status(access, {"host": host, **shown}) == 200
    assert status(access, {"host": "other.example", **shown}) == 421


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost:8000", 200),
        ("http://localhost:3000", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
        ("file://localhost:8000", 403),
    ],
)
def test_only_pages_of_the_same_origin_may_ask(origin: str, expected: int) -> None:
    assert status(Access(), {"origin": origin}) == expected


def test_the_token_is_asked_for_but_where_all_may_ask(token: AccessToken) -> None:
    access = Access("0.0.0.0", token)
    assert status(access, {}) == 401
    assert status(access, {"authorization": "Bearer other-token-of-many-letters"}) == 401
    assert status(access, {"authorization": f"Bearer {SECRET}"}) == 200
    assert status(access, {}, open_to_all=True) == 200
