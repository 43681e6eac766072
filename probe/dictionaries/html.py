"""A dictionary in a notebook."""

from probe.dictionaries.base import Dictionary, shape_of
from probe.dictionaries.cross_layer import CrossLayerTranscoder
from probe.show.beside import shows
from probe.show.html import block, facts_html


@shows
def dictionary_html(learned: "Dictionary | CrossLayerTranscoder") -> str:
    """The shape of a dictionary, and how alike its decoder's rows are in length."""
    facts = {"name": learned.name, **shape_of(learned)} if learned.name else shape_of(learned)
    return block(facts_html(facts), title=f"{type(learned).__name__} of {learned.d_dict:,} latents")
