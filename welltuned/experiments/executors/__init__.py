"""Executors: where the runs of a comparison are carried out.

To add one: write a file with a class, and name it in `EXECUTORS`, or add it by an entry point.
"""

from typing import Annotated

from welltuned.experiments.executors.executor import Executor
from welltuned.experiments.executors.local import Local
from welltuned.experiments.executors.ray_tasks import Ray
from welltuned.schema.plugins import OneOf

EXECUTORS = OneOf("executors", Executor, Local, Ray)
AnyExecutor = Annotated[Executor, EXECUTORS]

__all__ = ["EXECUTORS", "AnyExecutor", "Executor", "Local", "Ray"]
