"""A feature table whose units are to be named: of which model, and what is refused before anything is read."""

from typing import TYPE_CHECKING

from probe.artifacts.manifest import model_made_from
from probe.errors import BadInput
from probe.features.naming.config import ReadFor
from probe.features.naming.firings import Firings
from probe.features.table import FeatureTable, open_features
from probe.methods import TableName

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def model_of_table(table: TableName | None = None) -> str:
    """The name of the model that the units are of."""
    return model_made_from("features", table) if table is not None else ""


def opened_table(table: TableName, model: "TransformerBridge") -> FeatureTable:
    """The table. BadInput for one of another model, or one that says nothing of where its units fire."""
    found = open_features(table, model)
    require_examples(found)
    return found


def dictionary_of(table: FeatureTable) -> str:
    """The dictionary that its units are latents of; empty for neurons."""
    return "" if table.kind == "neuron" else str(table.manifest.facts["source"])


def require_examples(table: FeatureTable) -> None:
    """BadInput for a table that says nothing of where its units fire."""
    if not len(table.windows[1]) or not table.column("fired").any():
        raise BadInput(
            f"{table.folder.name} holds no examples: none of its units was ever active. Measure them on other text "
            "(`openwork features measure-units`), or look at how the dictionary was trained."
        )


def require_some(firings: Firings, table: FeatureTable, how: ReadFor) -> None:
    """BadInput where no unit fires often enough to be looked at."""
    if not len(firings.units):
        raise BadInput(
            f"No unit of {table.folder.name} fires {how.firings} times in either half of the text that was read. Read more of it "
            "(read), count weaker firings too (share), ask for fewer firings, or measure the units on more text."
        )
