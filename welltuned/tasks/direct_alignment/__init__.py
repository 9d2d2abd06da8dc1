"""What DPO, its relatives and KTO share: a generator tuned by judgements, with no reward model."""

from welltuned.tasks.direct_alignment.codec import AlignmentCodec
from welltuned.tasks.direct_alignment.config import DirectAlignment
from welltuned.tasks.direct_alignment.objective import ResponseLikelihood
from welltuned.tasks.direct_alignment.problem import DirectAlignmentProblem
from welltuned.tasks.direct_alignment.responder import PromptResponder

__all__ = [
    "AlignmentCodec",
    "DirectAlignment",
    "DirectAlignmentProblem",
    "PromptResponder",
    "ResponseLikelihood",
]
