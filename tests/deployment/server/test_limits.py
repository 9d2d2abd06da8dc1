"""What a server needs to be installed."""

from __future__ import annotations

import pytest

from faults import refused
from welltuned.deployment.server import limits


def test_what_is_missing_is_told_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits.require_serving()
    monkeypatch.setattr(limits, "_NEEDED", ("fastapi", "no_such_package"))
    with refused("serve.extra_missing", missing="no-such-package") as error:
        limits.require_serving()
    assert error.value.faults[0].remedy == "pip install 'welltuned[serve]'"
