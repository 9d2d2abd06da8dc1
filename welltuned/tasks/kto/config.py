"""The config of learning from thumbs."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field

from welltuned.data.layouts.thumbs import DOWN, UP, convert_thumbs
from welltuned.data.load_splits import DataSplits
from welltuned.data.table import SPLITS, Table
from welltuned.errors import Faults
from welltuned.tasks import pairs
from welltuned.tasks.direct_alignment import DirectAlignment
from welltuned.tasks.direct_alignment.config import refuse_label_smoothing
from welltuned.tasks.kto.losses import balanced_weights
from welltuned.tasks.kto.problem import LABELS, KtoProblem

_Weight = Annotated[float, Field(gt=0)] | Literal["auto"]


class Kto(DirectAlignment):
    """KTO: make good answers likelier and bad ones less likely, judged one by one."""

    type: Literal["kto"] = "kto"
    beta: float = Field(default=0.1, gt=0)
    """How soon an answer counts as won or lost; smaller allows more drift from the model as it
    was."""
    desirable_weight: _Weight = Field(default="auto", examples=[1.0])
    """The weight of good answers. auto: 1, or what balances rare ones: this weight times good
    answers is 1 to 4/3 times the other weight times bad ones."""
    undesirable_weight: _Weight = Field(default="auto", examples=[1.0])
    """The weight of bad answers. auto: 1, or what balances rare ones, in the same way."""

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        return convert_thumbs(table, columns, faults)

    def find_problem(
        self, data: DataSplits, label_smoothing: float, faults: Faults
    ) -> KtoProblem | None:
        before = len(faults)
        refuse_label_smoothing(label_smoothing, "set it to 0", faults)
        if any(prompt is None for prompt in data.train["prompt"]):
            faults.add(
                "task.thumbs_without_prompts",
                "the answers have no prompts that they answer",
                data.train.place(0),
                "give prompt, response and label; texts by themselves are of task classification",
            )
            return None
        counts = {split: Counter(data[split]["score"]) for split in SPLITS}
        ups, downs = counts["train"][UP], counts["train"][DOWN]
        if not (ups and downs):
            _refuse_one_kind(data, bool(ups), faults)
        form = pairs.form_of(self.form, data, faults)
        if form is None or len(faults) > before:
            return None
        weights = balanced_weights(self.desirable_weight, self.undesirable_weight, ups, downs)
        data.facts.task = {
            "problem": "thumbs",
            "labels": list(LABELS),
            "counts": {
                split: {LABELS[0]: found[DOWN], LABELS[1]: found[UP]}
                for split, found in counts.items()
            },
        }
        data.facts.note(
            "task.thumbs_weighted",
            "Good answers: {ups:,}, with the weight {up:.3g}; bad answers: {downs:,}, with the "
            "weight {down:.3g}.",
            ups=ups,
            downs=downs,
            up=weights[0],
            down=weights[1],
        )
        return KtoProblem(self, form, *weights)


def _refuse_one_kind(data: DataSplits, are_good: bool, faults: Faults) -> None:
    faults.add(
        "task.thumbs_all_alike",
        "all {number:,} answers are {kind}, so nothing tells them from others",
        data.train.place(0),
        "add answers of the other kind; good answers alone are what task generation learns from",
        number=len(data.train),
        kind="good" if are_good else "bad",
    )
