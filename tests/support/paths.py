"""Where our code and what tests share are, for processes that tests start."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [str(ROOT), str(ROOT / "tests" / "support")]
PYTHONPATH = os.pathsep.join(FOLDERS)
"""With this in its environment a process imports all that a test imports."""
