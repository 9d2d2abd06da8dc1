"""Comparison schema: every field of `comparison.json` and of a comparison's `results.json`.

Typed dicts, as in `results_schema`; a string under a field is its documentation.
"""

from welltuned.runs.comparison_schema.record import (
    BESIDE,
    BudgetRecord,
    CellRecord,
    ComparisonRecord,
    DataRecord,
    ModelRecord,
    ModelSettings,
    Scouted,
    SharedSettings,
    SplitRecord,
    StrategyRecord,
    TunedRecord,
)
from welltuned.runs.comparison_schema.results import (
    BaselineResults,
    ComparisonResults,
    ComparisonRow,
    CostSummary,
    FailedCell,
    PairRecord,
    RankedRows,
    Ranking,
    Recommendation,
    ScoreSummary,
    StandingRecord,
)

__all__ = [
    "BESIDE",
    "BaselineResults",
    "BudgetRecord",
    "CellRecord",
    "ComparisonRecord",
    "ComparisonResults",
    "ComparisonRow",
    "CostSummary",
    "DataRecord",
    "FailedCell",
    "ModelRecord",
    "ModelSettings",
    "PairRecord",
    "RankedRows",
    "Ranking",
    "Recommendation",
    "ScoreSummary",
    "Scouted",
    "SharedSettings",
    "SplitRecord",
    "StandingRecord",
    "StrategyRecord",
    "TunedRecord",
]
