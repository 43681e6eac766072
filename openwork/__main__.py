"""`openwork ...` and `python -m openwork ...`: the command line, from Openwork's own packages wherever it is started."""

import sys

from openwork import interrupts
from openwork.own import PACKAGES, own


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        for name in PACKAGES:
            own(name)
    except ImportError as error:
        sys.stderr.write(f"openwork: {error}\n")
        sys.exit(1)
    from app.cli import main as command

    interrupts.started()
    try:
        command()
    except BaseException as left:
        if not interrupts.pressed() or (isinstance(left, SystemExit) and left.code in (0, interrupts.CODE)):
            raise
        interrupts.leave()  # what failed, failed because of Ctrl-C


if __name__ == "__main__":
    main()
