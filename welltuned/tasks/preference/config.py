"""The config of direct preference optimisation."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from welltuned.data import preferences
from welltuned.data.load_splits import DataSplits
from welltuned.data.preferences import RECORD_ROLES
from welltuned.data.records import Records, Role
from welltuned.data.table import SPLITS, Table
from welltuned.errors import Faults
from welltuned.schema.part import conflict
from welltuned.tasks import pairs
from welltuned.tasks.base import Task
from welltuned.tasks.generation import Decoding
from welltuned.tasks.preference.problem import PreferenceProblem
from welltuned.tasks.responses import Form


class Preference(Task):
    """Direct preference optimisation: make preferred answers likelier than rejected ones."""

    roles: ClassVar[tuple[Role, ...]] = RECORD_ROLES
    proposed_kind: ClassVar[Literal["encoder", "decoder"]] = "decoder"

    type: Literal["preference"] = "preference"
    form: Form = "auto"
    """How prompt and response become one text: through the chat template, or plain, one after
    the other. auto: through the template where the tokenizer has one."""
    loss: Literal["sigmoid", "ipo"] = "sigmoid"
    """sigmoid: DPO; ipo: a squared loss on mean log-probabilities, which stops pushing once
    the pair is far enough apart (Azar et al. 2023, arXiv 2310.12036)."""
    beta: float = Field(default=0.1, gt=0)
    """The strength of the KL constraint to the reference model; smaller allows more drift."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """The assumed probability that a preference is mislabelled (conservative DPO)."""
    decoding: Decoding = Decoding()
    """How answers are generated in tests and predictions."""
    scored_examples: int = Field(default=20, ge=0)
    """The number of test prompts that are answered, before and after."""
    max_length: int | Literal["auto"] = Field(default="auto", examples=[256])
    """Tokens of prompt and response together. auto: the model's limit, at most 512. The beginning
    of the prompt is truncated first."""

    @model_validator(mode="after")
    def _consistent(self) -> Preference:
        if self.loss == "ipo" and self.label_smoothing:
            raise conflict(
                "task.smoothing_without_sigmoid",
                "'task.label_smoothing' requires 'task.loss: sigmoid'",
                "set it to 0, or use sigmoid",
            )
        return self

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        return preferences.convert_preferences(table, columns, faults)

    def find_problem(
        self, data: DataSplits, label_smoothing: float, faults: Faults
    ) -> PreferenceProblem | None:
        before = len(faults)
        if label_smoothing:
            faults.add(
                "task.label_smoothing_of_preferences",
                "'training.label_smoothing_factor' does not apply to preferences",
                None,
                "use task.label_smoothing",
            )
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
        elif self.loss == "ipo" and any(pair.margin for row in records["pairs"] for pair in row):
            faults.add(
                "task.margins_without_sigmoid",
                "margins require 'task.loss: sigmoid'",
                records.place(0),
                "leave the column out, or use sigmoid",
            )
