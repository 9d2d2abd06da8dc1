"""`welltuned data`: what is in the data, without loading a model.

Three examples are shown as the model would read them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from welltuned.config import read_run_config
from welltuned.data.config import DataConfig
from welltuned.data.encoding import IGNORED
from welltuned.data.load_splits import DataSplits, collect
from welltuned.data.records import Records
from welltuned.data.table import SPLITS
from welltuned.errors import Faults, InputError
from welltuned.models.loading import ModelConfig, read_tokenizer
from welltuned.models.loading import read_model_config as read_model_config
from welltuned.schema.document import Document, Part, apply_overrides, peek, validate
from welltuned.tasks import AnyTask, Classification, Examples, Problem

_EXAMPLES = 3


class _Request(Part):
    data: DataConfig
    task: AnyTask = Classification()
    model: ModelConfig | None = None


@dataclass
class Inspection:
    """The facts, and a few finished examples."""

    facts: dict[str, Any]
    collected: DataSplits
    problem: Problem
    tokenizer: Any = None
    examples: Examples | None = None
    """The training examples as the model reads them; None without a model."""

    def render(self) -> RenderableType:
        """Everything as tables and text for a terminal."""
        parts: list[RenderableType] = [self._splits()]
        if "counts" in self.facts["task"]:
            parts.append(self._labels())
        parts += [Text(f"· {note}") for note in self.facts["notes"]]
        columns = ", ".join(
            f"{role} from '{column}'" for role, column in self.facts["columns"].items()
        )
        parts.append(Text(f"· Columns: {columns}."))
        if self.facts["unused_columns"]:
            parts.append(Text(f"· Not used: {', '.join(self.facts['unused_columns'])}."))
        parts.append(self._shown_examples())
        return Group(*parts)

    def _splits(self) -> Table:
        table = Table(box=None, padding=(0, 2), header_style="bold")
        tokens = self.facts["task"].get("tokens")
        for name in ("split", "source"):
            table.add_column(name)
        for name in (
            "examples",
            "empty",
            "repeated",
            "conflicting",
            *(("tokens mean", "longest", "cut short") if tokens else ()),
        ):
            table.add_column(name, justify="right")
        for split in SPLITS:
            facts = self.facts["splits"][split]
            row: list[str | Text] = [
                split,
                Text(facts["source"]),
                *(f"{facts[key]:,}" for key in ("rows", "empty", "repeats", "conflicts")),
            ]
            if tokens:
                row += [
                    f"{tokens[split]['mean']:.1f}",
                    f"{tokens[split]['greatest']:,}",
                    f"{self.facts['task']['truncated'][split]:,}",
                ]
            table.add_row(*row)
        return table

    def _labels(self) -> Table:
        table = Table(box=None, padding=(0, 2), header_style="bold")
        table.add_column("label")
        for split in SPLITS:
            table.add_column(split, justify="right")
        for name in self.facts["task"]["labels"]:
            table.add_row(
                Text(name), *(f"{self.facts['task']['counts'][split][name]:,}" for split in SPLITS)
            )
        return table

    def _shown_examples(self) -> RenderableType:
        if self.examples is None:
            return Group(
                *self._raw_examples(), Text("\nAdd model=NAME to see tokens.", style="dim")
            )
        parts: list[RenderableType] = []
        for i in range(min(_EXAMPLES, len(self.examples))):
            label = self.problem.target_of(self.examples.targets[i])  # type: ignore[index]
            parts.append(self._heading(i, self.examples.records, label))
            parts += map(self._tokens, self.examples.rows_of([i]))
        if self.examples.encoded.labels is not None:
            parts.append(Text("\nGreen: what is learned.", style="dim"))
        return Group(*parts)

    def _raw_examples(self) -> Iterator[RenderableType]:
        train = self.collected.train
        few = train.take(range(min(_EXAMPLES, len(train))))
        for i, target in enumerate(self.problem.read_targets(few, Faults())):
            yield self._heading(i, few, self.problem.target_of(target))
            yield from map(Text, self.problem.lines(few, i))

    def _heading(self, index: int, records: Records, label: Any) -> Text:
        name = {
            "generation": "tokens learned",
            "token_classification": "tags",
            "reward": "judged",
            "preference": "judged",
        }
        told = " ".join(label) if self.problem.type == "token_classification" else label
        text = f"\nexample {index + 1}  {records.id(index)}  "
        text += f"{name.get(self.problem.type, 'label')}: {told}"
        return Text(text, style="bold")

    def _tokens(self, row: int) -> Text:
        """Every token of a row with its id; special ones and those that are learned stand out."""
        assert self.examples is not None
        encoded = self.examples.encoded.take([row])
        learned = encoded.labels != IGNORED if encoded.labels is not None else encoded.ids < 0
        line = Text()
        tokens = self.tokenizer.convert_ids_to_tokens(encoded.ids.tolist())
        for token, number, is_learned in zip(tokens, encoded.ids.tolist(), learned, strict=True):
            special = number in self.tokenizer.all_special_ids
            line.append(token, style="green" if is_learned else "cyan" if special else "")
            line.append(f"·{number} ", style="dim")
        return line


def inspect(file: str | None, overrides: list[str]) -> Inspection:
    """Inspect a config's data, or a data file or folder.

    Raises `InputError` with all faults found.
    """
    faults = Faults()
    request = _read_request(file, overrides, faults)
    data = collect(request.data, request.task.roles, faults, request.task.convert)
    problem = request.task.bind(data, 0.0, faults) if data is not None else None
    if data is None or problem is None or len(faults):
        raise InputError(faults)
    inspection = Inspection(data.facts.as_dict(), data, problem)
    if request.model is not None:
        from welltuned.training.encode import LONGEST, encode_splits

        tokenizer = read_tokenizer(request.model)
        limit = (
            getattr(
                read_model_config(request.model).get_text_config(), "max_position_embeddings", None
            )
            or LONGEST
        )
        wanted = request.task.max_length
        max_length = min(LONGEST, limit, tokenizer.model_max_length) if wanted == "auto" else wanted
        examples = encode_splits(problem, tokenizer, data, max_length)
        inspection.facts = data.facts.as_dict()
        inspection.tokenizer, inspection.examples = tokenizer, examples["train"]
    return inspection


def _read_request(file: str | None, overrides: list[str], faults: Faults) -> _Request:
    if file is not None and Path(file).suffix in (".yaml", ".yml"):
        if peek(file, overrides, "pipeline") is not None:
            from welltuned.rlhf import read_config as reading

            whole = reading.load_rlhf_config(file, overrides)
            return _Request(data=whole.data, task=whole.task, model=whole.model)
        config, _ = read_run_config(file, overrides, faults)
        faults.raise_if_any()
        assert config is not None
        return _Request(data=config.data, task=config.task, model=config.model)
    document = Document()
    apply_overrides(
        document, [*([f"data.train={file}"] if file else []), *overrides], _Request, faults
    )
    request = validate(_Request, document, faults)
    faults.raise_if_any()
    assert request is not None
    return request
