"""The config of direct preference optimisation and its relatives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from welltuned.data.layouts import preferences
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records
from welltuned.data.table import SPLITS, Table
from welltuned.errors import Faults
from welltuned.schema.field_types import GoesWith
from welltuned.schema.part import conflict
from welltuned.tasks import pairs
from welltuned.tasks.direct_alignment import DirectAlignment
from welltuned.tasks.direct_alignment.config import refuse_label_smoothing
from welltuned.tasks.preference.losses import IpoLoss, OrpoLoss, PairLoss, SigmoidLoss, SimpoLoss
from welltuned.tasks.preference.problem import PreferenceProblem

_BETA = {"sigmoid": 0.1, "ipo": 0.1, "simpo": 2.0, "orpo": 0.1}
"""As in the papers, and what DPO is usually run with."""
_GAMMA = 0.5
"""The least of what SimPO's paper tries; it is as far as rewards have to be apart."""


class Preference(DirectAlignment):
    """Direct preference optimisation: make preferred answers likelier than rejected ones."""

    type: Literal["preference"] = "preference"
    loss: Literal["sigmoid", "ipo", "simpo", "orpo"] = "sigmoid"
    """sigmoid: DPO; ipo: a squared loss on mean log-probabilities, which stops pushing once
    the pair is far enough apart (Azar et al. 2023, arXiv 2310.12036); simpo: mean
    log-probabilities themselves, `simpo_gamma` apart (Meng et al. 2024, arXiv 2405.14734); orpo:
    fine-tuning on the preferred answer, and its odds against the other (Hong et al. 2024, arXiv
    2403.07691). The last two need no reference model."""
    beta: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(default="auto", examples=[0.1])
    """sigmoid, ipo: the strength of the KL constraint to the reference model, smaller allows more
    drift; simpo: the scale of rewards; orpo: the weight of the odds, λ in its paper. auto: 0.1, and
    2 for simpo."""
    simpo_gamma: Annotated[Annotated[float, Field(ge=0)] | None, GoesWith("loss", "simpo")] = Field(
        default=None, examples=[0.5]
    )
    """simpo: by how much the preferred answer's reward has to be ahead. Default: 0.5."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """The assumed probability that a preference is mislabelled (conservative DPO)."""

    @property
    def pair_loss(self) -> PairLoss:
        """The loss that was asked for, with its numbers."""
        beta = _BETA[self.loss] if self.beta == "auto" else self.beta
        if self.loss == "ipo":
            return IpoLoss(beta)
        if self.loss == "simpo":
            return SimpoLoss(beta, _GAMMA if self.simpo_gamma is None else self.simpo_gamma)
        if self.loss == "orpo":
            return OrpoLoss(beta)
        return SigmoidLoss(beta, self.label_smoothing)

    @model_validator(mode="after")
    def _consistent(self) -> Preference:
        if self.loss != "sigmoid" and self.label_smoothing:
            raise conflict(
                "task.smoothing_without_sigmoid",
                "'task.label_smoothing' requires 'task.loss: sigmoid'",
                "set it to 0, or use sigmoid",
            )
        if self.loss != "simpo" and self.simpo_gamma is not None:
            raise conflict(
                "task.gamma_without_simpo",
                "'task.simpo_gamma' requires 'task.loss: simpo'",
                "remove it, or use simpo",
            )
        return self

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        return preferences.convert_preferences(table, columns, faults)

    def find_problem(
        self, data: DataSplits, label_smoothing: float, faults: Faults
    ) -> PreferenceProblem | None:
        before = len(faults)
        refuse_label_smoothing(label_smoothing, "use task.label_smoothing", faults)
        for split in SPLITS:
            self._require_pairs(data[split], faults)
        form = pairs.form_of(self.form, data, faults)
        if form is None or len(faults) > before:
            return None
        data.facts.task = {"problem": "direct_preference", **pairs.facts_of(data)}
        return PreferenceProblem(self, form)

    def _require_pairs(self, records: Records, faults: Faults) -> None:
        if "pairs" not in records:
            faults.add(
                "task.ratings_are_not_pairs",
                "ratings do not say which of two responses is the better one",
                records.place(0),
                "give chosen and rejected, or use task reward",
            )
        elif not self.pair_loss.takes_margins and any(
            pair.margin for row in records["pairs"] for pair in row
        ):
            faults.add(
                "task.margins_without_sigmoid",
                "margins require 'task.loss: sigmoid'",
                records.place(0),
                "leave the column out, or use sigmoid",
            )
