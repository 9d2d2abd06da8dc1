"""Text generation: instruction and chat tuning of language models, and continuation."""

from welltuned.tasks.generation.config import Generation
from welltuned.tasks.generation.decoding import Decoding
from welltuned.tasks.generation.problem import GenerationProblem

__all__ = ["Decoding", "Generation", "GenerationProblem"]
