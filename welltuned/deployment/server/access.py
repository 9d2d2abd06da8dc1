"""Who may ask a server: from which address, with which token, by which name, from which page.

A server of this machine alone (loopback) needs no token. It is still asked by every page that a
browser here has open, so a page of another origin is refused, and so is a host name that is not
ours, by which a page could pretend to be of our origin (DNS rebinding: it needs a name, and so no
address is refused that is one).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from welltuned.deployment.server.refusal import Refusal
from welltuned.errors import Fault, InputError, Place

_SHORTEST = 16
"""Characters of a token: enough that nobody guesses it, if they were drawn at random."""
_ENVIRONMENT, _FILE = "env:", "file:"
LOCALHOST = "127.0.0.1"


def listening_address(given: str) -> str:
    """The address that is meant, as an address. Raises `InputError` for what is none."""
    address = LOCALHOST if given.lower() == "localhost" else given.strip("[]")
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        raise InputError(
            Fault(
                "serve.address_unknown",
                "'{given}' is no address to listen at",
                None,
                "give an IP address: 127.0.0.1 for this machine alone, 0.0.0.0 for all networks",
                given=given,
            )
        ) from None


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(address).is_loopback


# --- Tokens --------------------------------------------------------------------------


@dataclass(frozen=True)
class AccessToken:
    """A secret that requests must show; only its hash is kept."""

    digest: bytes
    source: str
    """Where it was read: `env:NAME` or `file:PATH`."""

    @classmethod
    def read(cls, source: str) -> AccessToken:
        """From an environment variable or a file. Raises `InputError` where there is none.

        Never from the command line, which others on the machine can read, and which is kept.
        """
        token = _read(source).strip()
        if len(token) < _SHORTEST or not token.isascii() or not token.isprintable():
            raise InputError(
                Fault(
                    "serve.token_weak",
                    "the token in {source} has fewer than {least} characters, or other characters "
                    "than a header can hold",
                    None,
                    "make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
                    source=source,
                    least=_SHORTEST,
                )
            )
        return cls(_digest(token), source)

    def is_shown_in(self, authorization: str) -> bool:
        """Whether an Authorization header bears it; takes as long whatever it bears."""
        scheme, _, shown = authorization.partition(" ")
        same = hmac.compare_digest(_digest(shown.strip()), self.digest)
        return same and scheme.lower() == "bearer"

    @property
    def in_shell(self) -> str:
        """How a shell writes it between double quotes without its being seen."""
        if self.source.startswith(_ENVIRONMENT):
            return "$" + self.source.removeprefix(_ENVIRONMENT)
        quoted = self.source.removeprefix(_FILE).replace("'", "'\\''")
        return f"$(cat '{quoted}')"


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _read(source: str) -> str:
    if source.startswith(_ENVIRONMENT):
        return _of_environment(source.removeprefix(_ENVIRONMENT))
    if source.startswith(_FILE):
        return _of_file(Path(source.removeprefix(_FILE)).expanduser())
    raise InputError(  # without what was given, which may be the token
        Fault(
            "serve.token_in_clear",
            "--token takes env:NAME or file:PATH, and not a token itself, which everybody on this "
            "machine could read",
            None,
            "put a new token into an environment variable or a file, and forget this one",
        )
    )


def _of_environment(name: str) -> str:
    token = os.environ.get(name)
    if not token:
        raise InputError(
            Fault(
                "serve.token_not_set",
                "the environment variable '{name}' is not set, or empty",
                None,
                "export it before the server starts",
                name=name,
            )
        )
    return token


def _of_file(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise InputError(
            Fault(
                "serve.token_file_unreadable",
                "the token cannot be read: {reason}",
                Place(str(file)),
                "give a file that holds the token and nothing else",
                reason=reason,
            )
        ) from None


def require_token(address: str, token: AccessToken | None) -> None:
    """Raise `InputError` where others than this machine could ask without one."""
    if token is None and not is_loopback(address):
        raise InputError(
            Fault(
                "serve.token_needed",
                "at {address} others than this machine can ask, and no token is set",
                None,
                "give --token env:NAME or --token file:PATH, or listen at 127.0.0.1",
                address=address,
            )
        )


# --- Requests ------------------------------------------------------------------------


@dataclass(frozen=True)
class Access:
    """Which requests are let in."""

    address: str = LOCALHOST
    token: AccessToken | None = None
    names: frozenset[str] = frozenset()
    """Host names by which the server is asked, besides addresses."""

    @classmethod
    def at(cls, address: str, token: AccessToken | None, hosts: Iterable[str] = ()) -> Access:
        """By the names given; beyond this machine alone by the machine's own name, too."""
        own = [] if is_loopback(address) else [socket.gethostname()]
        return cls(address, token, frozenset(name.lower() for name in [*own, *hosts]))

    def check(self, headers: Mapping[str, str], open_to_all: bool) -> None:
        """Raise `Refusal` for a request that is not let in; `headers` by names in lower case.

        What is `open_to_all` is told without a token.
        """
        host = headers.get("host", "")
        if not self._knows(_name(host)):
            raise Refusal(421, _host_fault(host))
        origin = headers.get("origin")
        if origin is not None and not _is_of(origin, host):
            raise Refusal(403, _origin_fault(origin))
        shown = headers.get("authorization", "")
        if self.token is not None and not open_to_all and not self.token.is_shown_in(shown):
            raise Refusal(401, _token_fault())

    def _knows(self, name: str) -> bool:
        if name == "localhost" or name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not is_loopback(self.address)


def _name(host: str) -> str:
    """A Host header without its port, in lower case; empty where it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_of(origin: str, host: str) -> bool:
    """Whether a page was served by us."""
    scheme, separator, place = origin.partition("://")
    return bool(separator) and scheme in ("http", "https") and place.lower() == host.lower()


def _host_fault(host: str) -> Fault:
    return Fault(
        "serve.host_unknown",
        "the server is not known by the name '{host}'",
        None,
        "ask it by its address, or start it with --allow-host NAME",
        host=host[:100],
    )


def _origin_fault(origin: str) -> Fault:
    return Fault(
        "serve.origin_foreign",
        "pages of '{origin}' may not ask this server",
        None,
        "ask it from a program, or from a page behind the same host and port",
        origin=origin[:100],
    )


def _token_fault() -> Fault:
    return Fault(
        "serve.token_wrong",
        "the request shows no token, or another",
        None,
        "send the header `Authorization: Bearer TOKEN`",
    )
