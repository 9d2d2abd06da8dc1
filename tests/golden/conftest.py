"""`record` and its neighbours are scripts beside each other; tests import them as such."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
