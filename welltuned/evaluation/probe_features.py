"""Every block's hidden states of what a linear probe reads: whole texts, or some tokens."""

from __future__ import annotations

import numpy as np

from welltuned.evaluation.eval_model import EvalModel
from welltuned.evaluation.features import pooled_states, word_states
from welltuned.tasks import Examples


def block_states(
    subject: EvalModel, examples: Examples, places: list[np.ndarray] | None, pooling: str
) -> np.ndarray:
    """(L + 1, M, H), from the embeddings up.

    Of texts as the head reads them (`pooling`), the mean of their windows where there are several;
    or of the tokens at `places` in each text.
    """
    if places is None:
        states_LRH = pooled_states(
            subject.model,
            subject.anatomy,
            examples.encoded,
            subject.pad_id,
            pooling,
            subject.batch_size,
            subject.precision,
        )
        if examples.windows is None:
            return states_LRH
        return np.stack([examples.text_means(state_RH) for state_RH in states_LRH])
    return word_states(
        subject.model,
        subject.anatomy,
        examples.encoded,
        places,
        subject.pad_id,
        subject.batch_size,
        subject.precision,
    )
