"""Unit tests as a reward: programs are run in processes of their own, within limits.

`reward.py` is the reward, `program.py` starts and ends the processes, and `harness.py` is what runs
in them. They keep mistakes within bounds: endless loops, too much memory, forks, writing about. A
program that is written to break out can, as far as the user it runs as can: no sandbox holds here
what is malicious.
"""

from welltuned.rlhf.rewards.unit_tests.reward import UnitTests

__all__ = ["UnitTests"]
