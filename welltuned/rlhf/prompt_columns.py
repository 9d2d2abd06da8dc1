"""Columns of the files that prompts come from, beside those that have a role: rewards read them.

They are found by file and line, so that what prompts are made of needs not know of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from welltuned.data.layouts.nested import with_nested
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records
from welltuned.data.sources import find_sources
from welltuned.data.table import SPLITS, Table
from welltuned.errors import Faults, Place
from welltuned.rlhf.rewards import RewardSource

if TYPE_CHECKING:
    from welltuned.rlhf.config import RlhfConfig
    from welltuned.training.preparation.data_cache import DataCache


@dataclass(frozen=True)
class PromptColumns:
    """The tables that prompts come from, and which of their columns rewards read."""

    tables: Mapping[str, Table]
    """By split; splits that have no file were cut off the training data."""
    names: tuple[str, ...]

    @classmethod
    def read(cls, config: RlhfConfig, cache: DataCache) -> PromptColumns:
        """Raises `InputError` for every column that a reward reads and a file lacks."""
        rewards, faults = readers(config), Faults()
        names = tuple(dict.fromkeys(name for one in rewards for name in one.needed_columns))
        if not names:
            return cls({}, ())
        asked, tables = config.rl.data or config.data, dict[str, Table]()
        for split, read in find_sources(asked, faults, cache.read_path).items():
            table = read() if split not in asked.leave_out else None
            if table is not None and len(table):
                tables[split] = with_nested(table, names)
        for table in {id(table): table for table in tables.values()}.values():
            for reward in rewards:
                _require_columns(reward, table, faults)
        faults.raise_if_any()
        return cls(tables, names)

    def of(self, split: str, records: Records) -> dict[str, list[object]]:
        """Of some records of a split the cells of each column."""
        if not self.names:
            return {}
        table = self.tables.get(split, self.tables["train"])
        rows = {line: row for row, line in enumerate(table.lines)}
        return {
            name: [table.columns[name][rows[line]] for line in records.lines] for name in self.names
        }

    def fingerprint_with(self, of_records: str) -> str:
        """A hash of these columns and of the records beside them; theirs alone without columns."""
        if not self.names:
            return of_records
        cells = {
            split: [table.columns[name] for name in self.names]
            for split, table in self.tables.items()
        }
        text = json.dumps([of_records, self.names, cells], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def readers(config: RlhfConfig) -> list[RewardSource]:
    """The rewards that read columns, the one that training never sees included."""
    second = config.rl.second_reward
    rewards = [*config.reward, *([second] if second is not None else [])]
    return [reward for reward in rewards if reward.needed_columns]


def require_cells(
    config: RlhfConfig, data: DataSplits, columns: PromptColumns, faults: Faults
) -> None:
    """Record every cell that a reward reads and cannot use."""
    for split in SPLITS:
        cells = columns.of(split, data[split])
        for reward in readers(config):
            for name in reward.needed_columns:
                for index, cell in enumerate(cells[name]):
                    if not reward.accepts(cell):
                        faults.add_counted(
                            "rlhf.reward_cell_unusable",
                            "'{column}' is {cell}, of which the reward '{reward}' can make nothing",
                            data[split].place(index),
                            "write {expects}, or remove the row",
                            column=name,
                            cell=f"{cell!r}"[:80],
                            reward=reward.name,
                            expects=reward.expects,
                        )


def _require_columns(reward: RewardSource, table: Table, faults: Faults) -> None:
    for name in reward.needed_columns:
        if name not in table.columns:
            faults.add(
                "rlhf.reward_column_missing",
                "the reward '{reward}' reads the column '{column}', which is not there",
                Place(table.source, 1),
                "name the column that it shall read; the file has: {columns}",
                reward=reward.name,
                column=name,
                columns=", ".join(table.columns),
            )
