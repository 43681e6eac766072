"""A thousand damaged artifacts opened: each is refused in a sentence or read as what it was (`tests/support/mutations.py`).

python scripts/damage.py [1000] [first seed]       # some minutes; a paragraph for each that ends otherwise
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

import mutations
import stored_kinds

from probe.model.load import load_model

count, first = ([int(a) for a in sys.argv[1:]] + [1000, 0][len(sys.argv) - 1 :])[:2]
with tempfile.TemporaryDirectory(prefix="openwork-damage-") as folder:
    os.environ["OPENWORK_HOME"] = folder
    toy = load_model("toy")
    ends, bad = mutations.run(toy, stored_kinds.fill(toy), range(first, first + count))
for seed, end, did, trace in bad:
    print(f"--- {seed} {end} {did}\n{trace}")
print(dict(ends))
sys.exit(bool(bad))
