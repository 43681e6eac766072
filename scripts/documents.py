"""The pages of the site, from the documents, the notebooks, the declarations of methods, the source and the glossary.

python -m scripts.documents              write pages and menu to build/site (make docs builds them with mkdocs)
python -m scripts.documents --check      look at what was built: nothing comes from elsewhere, no link leads nowhere
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.documenting.catalogue import catalogue
from scripts.documenting.copied import documents
from scripts.documenting.notebooks import notebooks
from scripts.documenting.offline import problems
from scripts.documenting.pages import Page, write
from scripts.documenting.rooms import reference
from scripts.documenting.shell import commands
from scripts.documenting.studies import declared
from scripts.documenting.words import glossary

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "site"


def pages(root: Path = ROOT) -> Iterator[Page]:
    """Every page, in the order of the menu."""
    yield from documents(root)
    yield from notebooks(root)
    yield from catalogue()
    yield declared(root)
    yield glossary()
    yield commands()
    yield from reference(root)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="look at the built site instead")
    if parser.parse_args().check:
        found = list(problems(SITE))
        print("\n".join(found) or f"{SITE}: nothing comes from elsewhere, no link leads nowhere", file=sys.stderr)
        return 1 if found else 0
    print(write(pages(), ROOT / "build" / "site", ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
