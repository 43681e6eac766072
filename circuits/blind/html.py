"""A blind study and its reveal in a notebook."""

from circuits.blind.record import Revealed
from circuits.blind.study import Study
from probe.show.beside import shows
from probe.show.html import shown, table_html
from probe.show.values import quoted


@shows
def study_html(study: Study) -> str:
    """All evidence, and what comes next."""
    blocks = [table_html(rows, title) for title, rows in study.tables()]
    return "".join([*blocks, table_html([], study.next_step)])


@shows
def revealed_html(found: Revealed) -> str:
    """The examples beside the guess, and the tokens by what they make of the unit."""
    guessed = f"guessed {quoted(found.hypothesis.text)} at {found.hypothesis.time}"
    fires = [{"fires at": shown(token), "mean activation": value} for token, value in found.measured]
    title = f"{found.unit}: {guessed}; its strongest examples are"
    return table_html(found.examples, title) + table_html(fires, "Tokens by mean activation")
