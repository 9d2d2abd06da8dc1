"""Sentences' statistics still add up to the corpus's score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from welltuned.models.compat.sacrebleu_api import score_of_statistics, sentence_statistics

PREDICTIONS = ["the film was good", "a very slow book", "it was warm and bright"]
REFERENCES = ["the film was very good", "a slow book", "it felt warm and bright"]


@pytest.mark.parametrize("metric", [CHRF(), BLEU()], ids=["chrf", "bleu"])
def test_sums_of_statistics_make_the_corpus_score(metric: Any) -> None:
    rows = np.array(sentence_statistics(metric, PREDICTIONS, REFERENCES))
    assert len(rows) == len(PREDICTIONS)
    score = score_of_statistics(metric, rows.sum(axis=0).tolist())
    assert score == pytest.approx(metric.corpus_score(PREDICTIONS, [REFERENCES]).score)
    part = score_of_statistics(metric, rows[:2].sum(axis=0).tolist())
    assert part == pytest.approx(metric.corpus_score(PREDICTIONS[:2], [REFERENCES[:2]]).score)
