"""Choice of pooling: as the model was pretrained, otherwise by a quick linear probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from welltuned.models.anatomy import Kind
from welltuned.models.modeling_pooled import pool

PROBED = 400
"""The number of training examples in the probe."""

CANDIDATES: dict[Kind, tuple[str, ...]] = {
    "encoder": ("mean", "first"),
    "decoder": ("last", "mean"),
}
"""Of an encoder-decoder nothing is probed: it has the head of its family alone."""


@dataclass(frozen=True)
class PoolingChoice:
    """The pooling, and why, in words."""

    pooling: str
    reason: str


def probe_poolings(
    trunk: nn.Module,
    kind: Kind,
    examples: Sequence[np.ndarray],
    targets: np.ndarray,
    regression: bool,
    pad_id: int,
) -> PoolingChoice:
    """Fit a linear model on frozen features under each pooling; cross-validated score decides.

    `examples` are token ids of some training texts, `targets` their classes (N),
    flags (N, K) or numbers (N).
    """
    features = _features(trunk, CANDIDATES[kind], examples, pad_id)
    scores = {
        pooling: _linear_score(features[pooling], targets, regression)
        for pooling in CANDIDATES[kind]
    }
    best = max(scores, key=lambda pooling: scores[pooling])
    told = ", ".join(f"{pooling} {score:.3f}" for pooling, score in scores.items())
    return PoolingChoice(best, f"a linear probe on {len(examples)} training texts: {told}")


def _features(
    trunk: nn.Module, poolings: Sequence[str], examples: Sequence[np.ndarray], pad_id: int
) -> dict[str, np.ndarray]:
    device = next(trunk.parameters()).device
    features: dict[str, list[np.ndarray]] = {pooling: [] for pooling in poolings}
    order = np.argsort([-len(example) for example in examples], kind="stable")
    trunk.eval()
    with torch.inference_mode():
        for start in range(0, len(order), 32):
            rows = [
                torch.from_numpy(examples[i].astype(np.int64)) for i in order[start : start + 32]
            ]
            ids_BT = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad_id).to(
                device
            )
            lengths_B = torch.tensor([len(row) for row in rows], device=device)
            mask_BT = (torch.arange(ids_BT.shape[1], device=device) < lengths_B.unsqueeze(1)).long()
            hidden_BTH = trunk(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state.float()
            for pooling in poolings:
                features[pooling].append(pool(hidden_BTH, mask_BT, pooling).cpu().numpy())
    back = np.argsort(order)
    return {pooling: np.concatenate(parts)[back] for pooling, parts in features.items()}


def _linear_score(features_NH: np.ndarray, targets: np.ndarray, regression: bool) -> float:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = KFold(4, shuffle=True, random_state=0)
    if regression:
        return float(
            cross_val_score(
                make_pipeline(StandardScaler(), Ridge(100.0)),
                features_NH,
                targets,
                cv=folds,
                scoring="r2",
            ).mean()
        )
    columns = targets.T if targets.ndim == 2 else [targets]
    # A fold can hold one class alone when classes are rare;
    # such columns say nothing and are left out.
    usable = [
        column
        for column in columns
        if all(len(np.unique(column[train])) > 1 for train, _ in folds.split(features_NH))
    ]
    if not usable:
        return 0.0
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    return float(
        np.mean([cross_val_score(model, features_NH, column, cv=folds).mean() for column in usable])
    )
