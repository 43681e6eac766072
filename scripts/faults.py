"""Kill every writer at every file operation and at random moments, refuse every operation; say what is then not as it should be.

python scripts/faults.py                       # everything: some minutes
python scripts/faults.py --only train --kinds kill,EIO --every 3
"""

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]
os.environ["HF_HUB_OFFLINE"], os.environ["TOKENIZERS_PARALLELISM"] = "1", "false"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", default="", help="writers, comma-separated")
    options.add_argument("--kinds", default="kill,random,ENOSPC,EROFS,EIO,gone,memory")
    options.add_argument("--every", type=int, default=1, help="only every so many operations")
    options.add_argument("--random", type=int, default=100, help="kills at random moments, of all writers together")
    asked = options.parse_args()
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # where bringing to disk costs nothing
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        return trials(asked, Path(folder))


def trials(asked: argparse.Namespace, folder: Path) -> int:
    import torch

    torch.set_num_threads(1)
    from fault_writers import template, writers  # pyright: ignore[reportMissingImports]
    from faults import Trial, mended, warm  # pyright: ignore[reportMissingImports]

    from probe.models import load_model

    home = folder / "template"
    os.environ["OPENWORK_HOME"] = str(home)
    model = load_model("toy")
    template(model, home)
    chosen = [w for w in writers(model).values() if not asked.only or w.name in asked.only.split(",")]
    warm(home, [*(w.begin for w in chosen), mended], folder)
    bad = n = 0
    for writer in chosen:
        begin = time.perf_counter()
        trial = Trial(writer, home, folder)
        took = time.perf_counter() - begin
        for kind in asked.kinds.split(","):
            for label, wrong in tried(trial, kind, asked, took, len(chosen)):
                n += 1
                bad += bool(wrong)
                for words in wrong:
                    print(f"{writer.name}, {kind} at {label}: {words}", flush=True)
        print(f"{writer.name}: {trial.operations} operations, {time.perf_counter() - begin:.0f} s", flush=True)
    print(f"{n} trials, {bad} not as they should be")
    return int(bad > 0)


def tried(trial, kind: str, asked: argparse.Namespace, took: float, n_writers: int):
    if kind == "random":
        for _ in range(max(1, asked.random // n_writers)):
            delay = random.uniform(0, took)
            yield f"{delay:.3f} s", trial.kill(delay=delay)
        return
    if kind == "memory":
        for extra in (1 << 18, 1 << 20, 1 << 22, 1 << 24):
            yield f"{extra >> 10} KiB", trial.starve(extra)
        return
    for at in range(1, trial.operations + 1, asked.every):
        label = f"{at} ({trial.seen[at - 1]})"
        yield label, _met(trial, kind, at)


def _met(trial, kind: str, at: int) -> list[str]:
    if kind in ("kill", "gone"):
        return trial.kill(at) if kind == "kill" else trial.remove(at)
    return trial.refuse(kind, at)


if __name__ == "__main__":
    sys.exit(main())
