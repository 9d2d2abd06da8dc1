"""Contrastive losses against their formulas, written out text by text."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch

from welltuned.tasks.contrast.losses import ContrastLoss, cosine_sum, likeness, supcon_sum


def cosines(groups: int, size: int) -> torch.Tensor:
    features = torch.nn.functional.normalize(torch.randn(groups, size, 5), dim=-1)
    return features @ features.transpose(1, 2)


def one_label(labels: list[int]) -> torch.Tensor:
    flags = torch.nn.functional.one_hot(torch.tensor([labels])).float()
    return likeness(flags)


def test_supervised_contrast_is_the_papers_sum() -> None:
    torch.manual_seed(0)
    labels, found = [0, 0, 1, 1, 0, 2], cosines(1, 6)
    expected = 0.0
    for i, own in enumerate(labels):
        alike = [j for j, other in enumerate(labels) if other == own and j != i]
        below = sum(math.exp(found[0, i, a] / 0.2) for a in range(6) if a != i)
        terms = [-math.log(math.exp(found[0, i, p] / 0.2) / below) for p in alike]
        expected += sum(terms) / len(terms) if terms else 0.0
    assert float(supcon_sum(found, one_label(labels), 0.2)) == pytest.approx(expected, rel=1e-5)


def test_the_cosine_loss_is_a_squared_error_of_each_pair() -> None:
    torch.manual_seed(0)
    labels, found = [0, 1, 0, 1], cosines(1, 4)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    expected = sum((float(found[0, i, j]) - (labels[i] == labels[j])) ** 2 for i, j in pairs)
    assert float(cosine_sum(found, one_label(labels))) == pytest.approx(expected, rel=1e-5)


def test_texts_with_several_labels_are_alike_by_the_share_in_common() -> None:
    flags = torch.tensor([[[1.0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]])
    alike = likeness(flags)[0]
    assert alike[0].tolist() == [1, 0.5, 0, 0, 0]
    assert alike[3, 4] == 1
    assert alike[3, 0] == 0


def test_a_text_that_is_like_no_other_neither_counts_nor_learns() -> None:
    loss, alike = ContrastLoss("supcon", 0.1), one_label([0, 0, 1])
    assert loss.count(alike) == 2
    assert ContrastLoss("cosine", 0.1).count(alike) == 3
    assert loss.count(one_label([0, 1, 2])) == 0
    assert float(loss.sum(cosines(1, 3), one_label([0, 1, 2]))) == 0


@pytest.mark.parametrize("name", ["supcon", "cosine"])
def test_groups_do_not_meet(name: Literal["supcon", "cosine"]) -> None:
    """So it makes no difference which groups stand in one micro-batch."""
    torch.manual_seed(1)
    loss, found = ContrastLoss(name, 0.1), cosines(3, 4)
    alike = likeness(torch.nn.functional.one_hot(torch.tensor([[0, 0, 1, 1]] * 3)).float())
    apart = sum(float(loss.sum(found[i : i + 1], alike[i : i + 1])) for i in range(3))
    assert float(loss.sum(found, alike)) == pytest.approx(apart, rel=1e-5)


def test_gradients_are_finite_at_a_small_temperature() -> None:
    features = torch.randn(1, 6, 4, requires_grad=True)
    normal = torch.nn.functional.normalize(features, dim=-1)
    supcon_sum(normal @ normal.transpose(1, 2), one_label([0, 0, 1, 1, 2, 2]), 0.01).backward()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()
