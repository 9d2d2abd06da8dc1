"""DPO, IPO, SimPO and ORPO: direct preference optimisation, without a reward model."""

from welltuned.tasks.preference.config import Preference
from welltuned.tasks.preference.problem import PreferenceProblem

__all__ = ["Preference", "PreferenceProblem"]
