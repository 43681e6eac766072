"""Kill every writer at every file operation and at random moments, refuse every operation; say what is then not as it should be.

python scripts/faults.py                       # everything: half an hour of one core
python scripts/faults.py --only train --kinds kill,EIO --every 3

An operation at which a fault can do nothing that it does not do at another is passed over (`Trial.worth`); `--all` tries it too.
"""

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests" / "support")]
os.environ["HF_HUB_OFFLINE"], os.environ["TOKENIZERS_PARALLELISM"] = "1", "false"


CHEAP = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "PYTHONMALLOC": "malloc"}
"Memory in large pages: a fork copies the table of them, which is most of what a short trial takes."


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", default="", help="writers, comma-separated")
    options.add_argument("--kinds", default="kill,random,ENOSPC,EROFS,EIO,gone,memory")
    options.add_argument("--every", type=int, default=1, help="only every so many operations")
    options.add_argument("--all", action="store_true", help="also where nothing new can come of it")
    options.add_argument("--random", type=int, default=100, help="kills at random moments, of all writers together")
    options.add_argument("--seed", type=int, default=0, help="of the random moments")
    asked = options.parse_args()
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # where bringing to disk costs nothing
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        return trials(asked, Path(folder))


def trials(asked: argparse.Namespace, folder: Path) -> int:
    from faults import Trial, evenly, mended, warm  # pyright: ignore[reportMissingImports]

    evenly()
    import torch
    from fault_writers import template, writers  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(1)
    from probe.model.load import load_model

    home = folder / "template"
    os.environ["OPENWORK_HOME"] = str(home)
    model = load_model("toy")
    template(model, home)
    chosen = [w for w in writers(model).values() if not asked.only or w.name in asked.only.split(",")]
    warm(home, [*(w.begin for w in chosen), mended], folder)
    total, bad, moments = Counter[str](), 0, random.Random(asked.seed)
    for writer in chosen:
        trial = Trial(writer, home, folder)
        print(f"{writer.name}: {trial.operations} operations", flush=True)
        for kind in asked.kinds.split(","):
            begin, before = perf_counter(), total[kind]
            for label, wrong in tried(trial, kind, asked, moments, len(chosen)):
                total[kind] += 1
                bad += bool(wrong)
                for words in wrong:
                    print(f"{writer.name}, {kind} at {label}: {words}", flush=True)
            found = f"{total[kind] - before} trials, {trial.different} different homes left so far"
            print(f"{writer.name}, {kind}: {found}, {perf_counter() - begin:.0f} s", flush=True)
    said = ", ".join(f"{kind} {n}" for kind, n in total.items())
    print(f"{total.total()} trials ({said}), {bad} not as they should be")
    return int(bad > 0)


def tried(
    trial, kind: str, asked: argparse.Namespace, moments: random.Random, n: int
) -> Iterator[tuple[str, list[str]]]:
    """Each trial of a kind, of one writer of n: where, and what was wrong then."""
    if kind == "random":
        longest = trial.lasts()
        for _ in range(max(1, -(-asked.random // n))):
            delay = moments.uniform(0, longest)
            yield f"{delay:.3f} s", trial.kill(delay=delay)
        return
    if kind == "memory":
        for extra in (1 << 18, 1 << 20, 1 << 22, 1 << 24):
            yield f"{extra >> 10} KiB", trial.starve(extra)
        return
    chosen = range(1, trial.operations + 1) if asked.all else trial.worth(kind)
    for at in chosen[:: asked.every]:
        yield f"{at} ({trial.seen[at - 1]})", _met(trial, kind, at)


def _met(trial, kind: str, at: int) -> list[str]:
    if kind in ("kill", "gone"):
        return trial.kill(at) if kind == "kill" else trial.remove(at)
    return trial.refuse(kind, at)


if __name__ == "__main__":
    if os.environ.get("PYTHONMALLOC") != CHEAP["PYTHONMALLOC"]:
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **CHEAP})
    sys.exit(main())
