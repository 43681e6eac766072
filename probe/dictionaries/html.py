"""A dictionary in a notebook."""

from typing import Any

from probe.show.html import block, facts_html


def dictionary_html(learned: Any) -> str:
    """The shape of a dictionary, and how alike its decoder's rows are in length."""
    from probe.dictionaries.store import shape_of

    facts = {"name": learned.name, **shape_of(learned)} if learned.name else shape_of(learned)
    return block(facts_html(facts), title=f"{type(learned).__name__} of {learned.d_dict:,} latents")
