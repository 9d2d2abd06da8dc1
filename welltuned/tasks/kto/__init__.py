"""KTO: a generator learns from single answers with thumbs up or down, without a reward model."""

from welltuned.tasks.kto.config import Kto
from welltuned.tasks.kto.problem import KtoProblem

__all__ = ["Kto", "KtoProblem"]
