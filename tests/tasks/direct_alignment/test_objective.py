"""How likely whole responses are, and what is noted of the untuned model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from welltuned.data.records import Records
from welltuned.data.tokens.encoding import Encoded
from welltuned.tasks.direct_alignment import ResponseLikelihood, objective
from welltuned.tasks.grouped import Grouped, ResponseTarget

BATCH = {
    "input_ids": torch.tensor([[1, 2, 3, 4], [1, 2, 0, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]),
    "labels": torch.tensor([[-100, 2, 3, 4], [-100, 2, -100, -100]]),
    "grid": torch.tensor([[0, 1], [1, -1]]),
}


class Means(ResponseLikelihood):
    """The same, averaged over tokens."""

    @property
    def averages(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def known_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each labelled token loses its own id."""

    def judge(model: Any, rows: dict[str, torch.Tensor]) -> Any:
        labels = rows["labels"][:, 1:]
        rows_M, _ = (labels != -100).nonzero(as_tuple=True)
        return SimpleNamespace(losses_M=labels[labels != -100].float(), rows_M=rows_M)

    monkeypatch.setattr(objective, "judge_tokens", judge)


def test_a_response_is_as_likely_as_its_tokens_together_or_on_average() -> None:
    model: Any = None
    with torch.no_grad():
        assert ResponseLikelihood().logprobs(model, BATCH).tolist() == [-9.0, -2.0]
        assert Means().logprobs(model, BATCH).tolist() == [-3.0, -2.0]
        assert ResponseLikelihood().outputs(model, BATCH).tolist() == [[-9.0, -2.0], [-2.0, 0.0]]


def test_what_the_untuned_model_makes_of_responses_stands_beside_them() -> None:
    targets = np.empty(2, dtype=object)
    targets[:] = [ResponseTarget(np.array([3, 3])), ResponseTarget(np.array([3]))]
    records = Records("a", {"text": ["a", "b"]}, [1, 2], ("text",))
    examples = Grouped(Encoded.of([[1]] * 3, [False] * 3), targets, records, np.array([0, 2, 3]))
    noted = ResponseLikelihood().with_reference(examples, np.array([[-1.0, -2.0], [-3.0, 0.0]]))
    assert isinstance(noted, Grouped) and noted.references_M.tolist() == [-1.0, -2.0, -3.0]
    assert np.isnan(examples.references_M).all() and not ResponseLikelihood().needs_reference
