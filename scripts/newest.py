"""The tests with the newest release of every library we ask for, our upper bounds taken away: what would break, and why.

Run by `make test-newest` with the Python of an environment made for it; arguments go to pytest. Torch stays within its range,
because a newer one is a download of gigabytes. Exit code 0 when every test passes.
"""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIP = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]


def unbounded(requirement: str) -> str:
    """The requirement without its upper bounds; torch keeps them."""
    name = re.match(r"[\w.-]+(\[\w+\])?", requirement)[0]  # type: ignore[index]
    bounds = requirement.removeprefix(name)
    if name == "torch":
        return requirement
    return name + ",".join(b for b in bounds.split(",") if not b.strip().startswith(("<", "==")))


def wanted() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    return [unbounded(r) for r in [*project["dependencies"], *project["optional-dependencies"]["dev"]]]


def locked() -> dict[str, str]:
    """The version of each library that is locked for this Python and system."""
    from packaging.requirements import Requirement

    text = (ROOT / "requirements.lock").read_text(encoding="utf8")
    lines = (line.removesuffix("\\").strip() for line in text.splitlines() if re.match(r"[\w.-]+==", line))
    found = [r for r in map(Requirement, lines) if r.marker is None or r.marker.evaluate()]
    return {r.name: str(r.specifier).removeprefix("==") for r in found}


def newer() -> list[str]:
    """`name locked -> installed` for every library whose version is not the locked one."""
    found = []
    for name, old in locked().items():
        try:
            now = version(name)
        except PackageNotFoundError:
            continue  # of another platform
        if now != old:
            found.append(f"{name} {old} -> {now}")
    return found


def main() -> int:
    print("newest: installing the newest of everything", file=sys.stderr)
    subprocess.run([*PIP, "--upgrade", "--upgrade-strategy", "eager", *wanted()], check=True)
    peers = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["dependency-groups"]["peers"]
    subprocess.run([*PIP, "--no-deps", *peers], check=True)
    subprocess.run([*PIP, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], check=True)
    moved = newer()
    print("newest: " + ("; ".join(moved) or "every library is the locked one"), flush=True)
    done = subprocess.run([sys.executable, "-m", "pytest", "--tb=short", "-rfE", *sys.argv[1:]], cwd=ROOT)
    if done.returncode:
        print(f"newest: the tests named above would break with {'; '.join(moved) or 'what is locked too'}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
