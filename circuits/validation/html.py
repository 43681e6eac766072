"""A test of a subgraph in a notebook."""

from circuits.validation.records import SubgraphTest
from circuits.validation.verdicts import verdict_rows
from probe.show.beside import shows
from probe.show.html import table_html


@shows
def test_html(test: SubgraphTest) -> str:
    """The verdicts, each root, all nodes together, and random subgraphs beside it."""
    parts = [table_html(verdict_rows(test.verdicts), test.summary())]
    parts += [table_html(test.rows(), "each root"), table_html(test.agreement_rows(), "over all nodes")]
    return "".join([*parts, table_html(test.comparison_rows(), "against random subgraphs")])
