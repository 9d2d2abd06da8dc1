"""Masked language modelling: foretell words of a text that are hidden."""

from welltuned.tasks.masked_language_modelling.config import MaskedLanguageModelling
from welltuned.tasks.masked_language_modelling.problem import MaskedLanguageModellingProblem

__all__ = ["MaskedLanguageModelling", "MaskedLanguageModellingProblem"]
