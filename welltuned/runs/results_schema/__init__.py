"""Results schema: every field of a run's `results.json`, typed and documented.

A string under a field is its documentation: it stands in `docs/run-folder.md` and in
`docs/schemas/results.schema.json` too. Files keep these as plain JSON, so they are typed dicts:
what is read from a file has a type, and nothing is converted. Numbers that are not finite are
null in files.
"""

from welltuned.runs.results_schema.adaptation import Adaptation
from welltuned.runs.results_schema.answers import Answered, AnsweredExamples
from welltuned.runs.results_schema.auto_tune import (
    AutoTuned,
    BatchSizeSearch,
    BatchSizeTry,
    LearningRateSearch,
    RangeTestResult,
    RehearsalRecord,
)
from welltuned.runs.results_schema.checks import (
    AnswerEnd,
    Diagnosis,
    FindingRecord,
    Pathology,
    ProofRecord,
)
from welltuned.runs.results_schema.contrast import Contrasted, ContrastRecord
from welltuned.runs.results_schema.cost import (
    Backoff,
    Cost,
    ParameterCount,
    TrainingProgress,
)
from welltuned.runs.results_schema.cross_validation import CrossValidation, FoldRecord
from welltuned.runs.results_schema.decision_rule import (
    Change,
    DecisionRuleRecord,
    Ruled,
    RuleEffect,
)
from welltuned.runs.results_schema.fields import (
    CLOSED,
    OPEN,
    Baselines,
    ClassScores,
    Config,
    Number,
    Score,
    Scores,
)
from welltuned.runs.results_schema.head_solution import HeadOptimum, HeadSolution, Solved
from welltuned.runs.results_schema.retention import (
    AlphaPoint,
    LayerProbe,
    ProbedTexts,
    ProbeResult,
    Retention,
    RetentionEntry,
    UnfreezingHint,
    WeightInterpolation,
)
from welltuned.runs.results_schema.run_results import (
    Evaluated,
    HeldOutScores,
    Kept,
    KnownSoFar,
    PolicyResults,
    RunResults,
    Written,
)
from welltuned.runs.results_schema.stages import PolicyMemory, RewardStage, Stages
from welltuned.runs.results_schema.start import StartedFrom, StartingHead, StartingPoint

__all__ = [
    "CLOSED",
    "OPEN",
    "Adaptation",
    "AlphaPoint",
    "AnswerEnd",
    "Answered",
    "AnsweredExamples",
    "AutoTuned",
    "Backoff",
    "Baselines",
    "BatchSizeSearch",
    "BatchSizeTry",
    "Change",
    "ClassScores",
    "Config",
    "ContrastRecord",
    "Contrasted",
    "Cost",
    "CrossValidation",
    "DecisionRuleRecord",
    "Diagnosis",
    "Evaluated",
    "FindingRecord",
    "FoldRecord",
    "HeadOptimum",
    "HeadSolution",
    "HeldOutScores",
    "Kept",
    "KnownSoFar",
    "LayerProbe",
    "LearningRateSearch",
    "Number",
    "ParameterCount",
    "Pathology",
    "PolicyMemory",
    "PolicyResults",
    "ProbeResult",
    "ProbedTexts",
    "ProofRecord",
    "RangeTestResult",
    "RehearsalRecord",
    "Retention",
    "RetentionEntry",
    "RewardStage",
    "RuleEffect",
    "Ruled",
    "RunResults",
    "Score",
    "Scores",
    "Solved",
    "Stages",
    "StartedFrom",
    "StartingHead",
    "StartingPoint",
    "TrainingProgress",
    "UnfreezingHint",
    "WeightInterpolation",
    "Written",
]
