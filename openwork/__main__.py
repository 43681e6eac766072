"""`openwork ...` and `python -m openwork ...`: the command line, from Openwork's own packages wherever it is started."""

import sys

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

    command()


if __name__ == "__main__":
    main()
