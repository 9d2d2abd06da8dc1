"""Each answer stands beside one to another prompt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from support import job_for
from welltuned.data.tokens.encoding import IGNORED
from welltuned.tasks.kto.codec import next_of_another


@pytest.mark.parametrize(
    ("prompts", "places"),
    [
        ("aabcc", [2, 2, 3, 0, 0]),
        ("aba", [1, 2, 1]),
        ("abba", [1, 3, 3, 1]),
        ("aa", [1, 0]),
        ("a", [0]),
    ],
)
def test_the_next_place_with_another_prompt(prompts: str, places: list[int]) -> None:
    assert next_of_another(list(prompts)) == places


def test_rows_are_the_own_answer_and_that_to_another_prompt(causal: Any, thumbs: str) -> None:
    job = job_for(causal("llama"), thumbs, {"type": "full"}, task="kto")
    examples = job.examples
    rows = len(examples.encoded)
    assert rows == 2 * len(examples) and examples.width == 2

    def answer(row: int) -> list[int]:
        where = slice(*examples.encoded.offsets[row : row + 2])
        labels = examples.encoded.labels[where]
        return labels[labels != IGNORED].tolist()

    partners = next_of_another(examples.records["prompt"])
    for i, j in enumerate(partners):
        assert examples.records["prompt"][i] != examples.records["prompt"][j]
        assert answer(2 * i + 1) == answer(2 * j)
    lengths = [target.lengths_K.tolist() for target in examples.targets]
    said = [len(one) for (one,) in examples.records["responses"]]
    assert lengths == [[said[i], said[j]] for i, j in enumerate(partners)]
    few = examples.take([3, 1])
    batch = job.problem.codec.collate(few, [0, 1], job.pad_id)
    assert batch["grid"].tolist() == [[0, 1], [2, 3]]
    assert batch["scores"].tolist() == [examples.targets[i].score for i in (3, 1)]
    assert np.isfinite(batch["reference"]).all()
