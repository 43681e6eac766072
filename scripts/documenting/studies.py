"""The studies as a page: of each paper its claims, what their numbers are, and the rule that was written down before them."""

from collections.abc import Iterator
from pathlib import Path

from circuits.studies.catalogue import Entry, studies
from scripts.documenting.pages import Page


def declared(root: Path) -> Page:
    """Every study by its declaration; the numbers are in its document, where there is one."""
    lines = ["# Studies\n"]
    lines += [
        "A study re-examines a paper on a loaded model. Each claim has a measure, a control and a rule that says beforehand which"
    ]
    lines += [
        "number makes it hold; `openwork study NAME --model M` runs one, `openwork study --list` prints this list.\n"
    ]
    for one in studies():
        lines += list(_study(one, root))
    return Page("studies/index.md", "All studies", "\n".join(lines), "Studies")


def _study(one: Entry, root: Path) -> Iterator[str]:
    yield f"## {one.title}\n"
    yield f"{one.summary}\n"
    yield f"*{one.paper}*\n"
    if (root / "docs" / f"{one.name}.md").is_file():
        yield f"What came out: [{one.title}]({one.name}.md). To run it:\n"
    yield f"```sh\nopenwork study {one.name} --quick\n```\n"
    for claim in one.study().claims:
        yield f"**{claim.sentence}**\n"
        yield f"{claim.measure} Control: {claim.control} {claim.rule.words()} *{claim.source}*\n"
