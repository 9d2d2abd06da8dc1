"""`serve` refuses what would not be safe, or could not work, before it loads a model."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from welltuned.deployment.server import limits
from welltuned.deployment.server.listening import bound, listen
from welltuned.runs import Run


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--address", "0.0.0.0"], "serve.token_needed"),
        (["--address", "example.com"], "serve.address_unknown"),
        (["--token", "my-token-in-clear-text"], "serve.token_in_clear"),
        (["--token", "env:NO_SUCH_VARIABLE"], "serve.token_not_set"),
    ],
)
def test_what_is_not_safe_is_refused(
    options: list[str], code: str, call: Any, finished: Run
) -> None:
    status, out, err = call("serve", finished.folder, *options)
    assert (status, out) == (2, "") and f"[{code}]" in err
    assert "my-token" not in err


def test_a_port_in_use_is_told(call: Any, finished: Run) -> None:
    with closing(bound("127.0.0.1", 0)) as taken:
        listen(taken)
        status, _, err = call("serve", finished.folder, taken.getsockname()[1])
    assert status == 2 and "[serve.port_in_use]" in err


def test_without_the_extra_the_line_that_installs_it_is_told(
    call: Any, finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_NEEDED", ("fastapi", "no_such_package"))
    status, _, err = call("serve", finished.folder)
    assert status == 2 and "[serve.extra_missing]" in err
    assert "no-such-package" in err and "pip install 'welltuned[serve]'" in err
