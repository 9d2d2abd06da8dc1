"""A stand-in of the Hub that the real client talks to."""

from __future__ import annotations

from collections.abc import Iterator

import huggingface_hub
import pytest
from huggingface_hub.utils.tqdm import disable_progress_bars

from answering import answering
from hub_stand_in import TOKEN, HubStandIn, serving

__all__ = ["answering", "hub"]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    """The Hub of this test; nobody else is asked."""
    disable_progress_bars()
    constants = huggingface_hub.constants
    with serving(HubStandIn()) as stand_in:
        monkeypatch.setattr(constants, "ENDPOINT", stand_in.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # a protocol of its own
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield stand_in
