"""BitFit: only biases train, and the head (Ben Zaken et al. 2022, arXiv 2106.10199)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from welltuned.errors import Fault
from welltuned.strategies.base import Context, Strategy

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from welltuned.models.anatomy import Anatomy


class BitFit(Strategy):
    """Every bias trains, those of normalisations included, and the head; nothing else.

    It saves the whole model: biases are where they were, and the plain libraries load it as it is.
    """

    stands_in_all: ClassVar[bool] = False
    trains_few: ClassVar[bool] = True
    plausible_rates: ClassVar[tuple[float, float]] = (1e-5, 1.0)

    type: Literal["bitfit"] = "bitfit"

    def check(self, anatomy: Anatomy) -> Iterator[Fault]:
        if not anatomy.biases:
            yield Fault(
                "strategy.no_biases",
                "strategy 'bitfit' does not support '{family}': its blocks have no biases to train",
                None,
                "use lora, or {{type: peft, method: ln_tuning}}",
                family=anatomy.family,
            )

    def prepare(self, model: PreTrainedModel, context: Context) -> PreTrainedModel:
        for name, parameter in model.named_parameters():
            in_head = context.anatomy.depth(name) == 0
            parameter.requires_grad_(in_head or name.endswith("bias"))
        return model
