"""What every responder of ours can be asked, whichever task it answers for."""

from __future__ import annotations

import inspect

import pytest

from welltuned.tasks.direct_alignment import PromptResponder
from welltuned.tasks.generation.responder import TextResponder
from welltuned.tasks.responder import Responder


@pytest.mark.parametrize("responder", [TextResponder, PromptResponder])
def test_a_responder_answers_all_that_callers_ask(responder: type[Responder]) -> None:
    assert not inspect.isabstract(responder)
    for name in Responder.__abstractmethods__:
        asked, given = getattr(Responder, name), getattr(responder, name)
        if callable(asked):
            assert list(inspect.signature(given).parameters) == list(
                inspect.signature(asked).parameters
            )
