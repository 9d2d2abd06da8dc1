"""One thread for each product of matrices: imported before torch, which asks when it is imported.

Models are tiny, and several threads wait for each other: a step takes many times as long.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
