"""How strongly one unit fires at each token of a text of one's own: one forward pass, the unit's own encoder, nothing sampled.

    on_text(model, "In the year 1776", "L5N120")                     # a neuron
    on_text(model, "In the year 1776", "L5F650", dictionary=sae)     # a latent

The numbers are those a feature table counts: `mlp_post` of a neuron, the encoded latent of a dictionary.
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from jaxtyping import Float

from probe.dictionaries.owners import layer_read, part_with
from probe.errors import BadInput
from probe.interventions.unit_edits import require_there, unit_named, unit_values
from probe.methods import DictionaryName, Doc, Unit, method
from probe.model.unit_names import unit_name
from probe.show.html import shown
from probe.show.opening import came_from
from probe.show.panels import Figure, Panel, Rows, Sentence, Tokens
from probe.show.record import Record
from probe.text.prompts import Prompt, read_prompt
from probe.text.tokens import display_tokens
from probe.words import figures

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class OwnText(Record, figure=True, page=True):
    """The activation of `unit` at every token of `text`."""

    text: str
    unit: str
    token_ids: list[int]
    tokens: list[str]
    values: Float[np.ndarray, " pos"]

    @property
    def peak(self) -> int:
        """Where it is strongest: a neuron far below zero writes as much as one as far above."""
        return int(np.abs(self.values).argmax())

    def rows(self) -> list[dict[str, Any]]:
        """One row a token."""
        pairs = zip(self.tokens, self.values.tolist(), strict=True)
        return [{"position": i, "token": shown(token), "activation": value} for i, (token, value) in enumerate(pairs)]

    def panels(self) -> list[Panel]:
        """The unit at every token."""
        title = f"Activation of {self.unit} at each token"
        strip = Tokens("activation", self.tokens, self.values.tolist())
        return [Figure(title, self.figure), Rows(title, self.rows()), strip, Sentence(self.summary())]

    def summary(self) -> str:
        """One sentence."""
        on, below = int((self.values > 0).sum()), bool((self.values < 0).any())
        if not on and not below:
            return f"{self.unit} is active at none of the {len(self.tokens)} tokens."
        at = (
            f"strongest at {shown(self.tokens[self.peak])} (position {self.peak}, {figures(self.values[self.peak], 4)})"
        )
        if self.values[self.peak] < 0:
            at += ": below zero there, so it writes the opposite of its direction"
        return f"{self.unit} is {'above zero' if below else 'active'} at {on} of {len(self.tokens)} tokens, {at}."

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self) | {"values": self.values.tolist()}


@method("unit-on-text", group="neurons")
def on_text(
    model: "TransformerBridge",
    text: Annotated[Prompt, Doc("What the unit reads.")],
    unit: Unit,
    *,
    layer: Annotated[int | None, Doc("Of a neuron that is given by its number alone.", least=0)] = None,
    dictionary: Annotated[DictionaryName | None, Doc("Whose latent it is.")] = None,
) -> OwnText:
    """How strongly one unit fires at each token of a text.

    A neuron by its name (`L5N120`) or by number and layer, a latent by its name or number and its dictionary. BadInput where that
    is not one unit, and for a unit there is not.

    >>> one = ow.on_text(model, "When Mary and John went to", "L1N5")
    >>> len(one.values) == len(one.tokens)
    True
    """
    dictionary, unit, _ = part_with(dictionary, unit)
    number, layer, pos = unit_named(unit, layer, dictionary)
    if pos is not None:
        raise BadInput(f"{unit} stands at one position; a text is read at all. Leave out what stands behind the @.")
    if (layer is None) == (dictionary is None):
        raise BadInput("A unit is a neuron of a layer or a latent of a dictionary: give one of the two.")
    require_there(model, number, layer, dictionary)
    text, ids = read_prompt(model, text)
    tokens = torch.tensor([ids], device=model.W_E.device)
    values = unit_values(model, tokens, layer=layer, dictionary=dictionary)[0]
    name = (
        unit_name("neuron", layer, number)
        if dictionary is None
        else unit_name("latent", layer_read(dictionary), number)
    )
    found = OwnText(text, name, ids, display_tokens(model, ids), values[:, number].float().cpu().numpy())
    return came_from(found, model, dictionary)
