"""Protection against catastrophic forgetting, for every strategy it supports.

To add one: write a file with a class, and name it in `PROTECTIONS`. One that only changes
which examples are learned (`replay`) is asked for by name where training data are made.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator

from welltuned.protection.base import CheckContext, FinishContext, Guard, GuardContext, Protection
from welltuned.protection.ewc import EWC
from welltuned.protection.kl import KL
from welltuned.protection.l2sp import L2SP
from welltuned.protection.lp_ft import LPFT
from welltuned.protection.replay import Replay, replayed
from welltuned.protection.wise_ft import WiseFT
from welltuned.schema.plugins import OneOf


def _as_list(given: Any) -> Any:
    """One or several, each as a mapping or by its type alone; `none` stands for none."""
    if given in ("none", {"type": "none"}):
        return ()
    if not isinstance(given, (list, tuple)):
        given = (given,)
    return tuple({"type": one} if isinstance(one, str) else one for one in given)


PROTECTIONS = OneOf("protections", Protection, L2SP, EWC, KL, Replay, WiseFT, LPFT)
AnyProtection = Annotated[Protection, PROTECTIONS]
Protections = Annotated[tuple[AnyProtection, ...], BeforeValidator(_as_list)]

__all__ = [
    "EWC",
    "KL",
    "L2SP",
    "LPFT",
    "PROTECTIONS",
    "AnyProtection",
    "CheckContext",
    "FinishContext",
    "Guard",
    "GuardContext",
    "Protection",
    "Protections",
    "Replay",
    "WiseFT",
    "replayed",
]
