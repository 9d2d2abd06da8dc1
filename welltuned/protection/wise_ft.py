"""WiSE-FT: interpolate initial and tuned weights (Wortsman et al. 2022, arXiv 2109.01903).

    w = (1 - alpha) · w0 + alpha · w1

after training, with the alpha that validation selects. What was new, such as a head, has nothing
before it and stays as trained. For LoRA, B is multiplied by alpha, which is the same for s·B·A.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator

from welltuned.errors import Fault
from welltuned.protection.base import CheckContext, FinishContext, Protection
from welltuned.protection.l2sp import products
from welltuned.runs.results_schema import AlphaPoint

if TYPE_CHECKING:
    import torch

_EVENLY = tuple(i / 10 for i in range(11))


class WiseFT(Protection):
    """WiSE-FT: interpolate between the pretrained and the tuned weights after training."""

    works_on_parts: ClassVar[bool] = True

    type: Literal["wise_ft"] = "wise_ft"
    alphas: tuple[float, ...] = _EVENLY
    """The interpolation coefficients to try: 0 the pretrained weights, 1 the tuned ones. 0 itself
    is reported and never chosen."""
    tolerance: float = Field(default=0.005, ge=0, lt=1)
    """The share of the best validation score that may be traded for a smaller alpha."""

    @field_validator("alphas")
    @classmethod
    def _on_the_way(cls, alphas: tuple[float, ...]) -> tuple[float, ...]:
        if not any(alphas) or not all(0 <= alpha <= 1 for alpha in alphas):
            raise ValueError("alphas lie between 0 and 1, and one of them above 0")
        return tuple(sorted({*alphas, 1.0}))

    def check(self, setting: CheckContext) -> Iterator[Fault]:
        yield from self.needs_change(setting, "weights", "product")

    @property
    def finishes(self) -> bool:
        return True

    def finish(self, end: FinishContext) -> Mapping[str, object]:
        """Try every alpha, and leave the model at the chosen one.

        Returns {"alpha", "curve": [{"alpha", "validation", "kept"}], "why"}.
        """
        way = WeightPath.of(end)
        curve: list[AlphaPoint] = []
        for alpha in self.alphas:
            way.go_to(alpha)
            curve.append({"alpha": alpha, "validation": end.score(), "kept": end.kept()})
            end.progress(len(curve), len(self.alphas))
        values = [end.value(point["validation"]) for point in curve]
        chosen = choose_alpha(self.alphas, values, self.tolerance)
        way.go_to(chosen)
        why = (
            f"the smallest of {len(curve)} alphas whose validation score is within "
            f"{self.tolerance:.2%} of the best"
        )
        return {"alpha": chosen, "curve": curve, "why": why}


def choose_alpha(alphas: tuple[float, ...], values: list[float], tolerance: float) -> float:
    """The smallest alpha above 0 whose value is at most `tolerance` below the best, in shares.

    Values that are not finite do not count; where none is, everything stays as trained.
    """
    pairs = zip(alphas, values, strict=True)
    able = [(alpha, value) for alpha, value in pairs if alpha > 0 and math.isfinite(value)]
    if not able:
        return 1.0
    best = max(value for _, value in able)
    return next(alpha for alpha, value in able if value >= best - tolerance * abs(best))


class WeightPath:
    """Linear interpolation between two sets of values of the same weights."""

    def __init__(
        self, weights: Mapping[str, torch.Tensor], start: Mapping[str, torch.Tensor]
    ) -> None:
        self._weights = weights
        self._start = {name: start[name] for name in weights}
        self._end = {name: weight.detach().cpu().clone() for name, weight in weights.items()}

    @classmethod
    def of(cls, end: FinishContext) -> WeightPath:
        """The line of all pretrained weights; for LoRA that of every B, which begins at zero."""
        import torch

        scene = end.scene
        if scene.strategy.update_kind == "product":
            factors = {str(i): one.b_OR for i, one in enumerate(products(scene.model))}
            return cls(factors, {name: torch.zeros(b.shape) for name, b in factors.items()})
        return cls(scene.pretrained(), end.start)

    def go_to(self, alpha: float) -> None:
        """Exactly the start at 0, and exactly the end at 1."""
        import torch

        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(_between(self._start[name], self._end[name], alpha))


def _between(start: torch.Tensor, end: torch.Tensor, alpha: float) -> torch.Tensor:
    import torch

    return torch.lerp(start.to(end.dtype), end, alpha)
