"""Token classification: a tag per word, such as named entities or parts of speech."""

from welltuned.tasks.token_classification.config import TokenClassification
from welltuned.tasks.token_classification.problem import TokenClassificationProblem

__all__ = ["TokenClassification", "TokenClassificationProblem"]
