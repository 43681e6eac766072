"""`openwork edit`: a prompt run without and with heads or units changed."""

import re
from typing import Annotated, Any

import typer

from app.commands.common import AsJson, Device, Model, Precision, load, print_json, print_rows, progress
from app.commands.prompts import Prompt
from probe.errors import BadInput

_CHANGE = re.compile(
    r"(?:(?P<how>zero|scale|clamp|add)=?(?P<amount>[-+.\deE]+)?:)?L(?P<layer>\d{1,4})(?P<kind>[HNF])(?P<unit>\d{1,9})(?:@(?P<pos>\d{1,7}))?"
)


def edit(
    prompt: Prompt,
    changes: Annotated[
        list[str],
        typer.Option(
            "--change",
            help="zero:L9H6, scale=2:L5N120, clamp=8:L4F650@3 (@3: at that position), add=5:L4F650; repeatable.",
        ),
    ],
    dictionary: Annotated[
        list[str] | None, typer.Option("--dictionary", help="Stored dictionary whose latents are changed; repeatable.")
    ] = None,
    position: Annotated[int, typer.Option("--position", help="After which token to predict; -1 is the last.")] = -1,
    generate: Annotated[int, typer.Option("--generate", min=0, help="Tokens to continue both texts by.")] = 0,
    model: Model = "smollm2-135m",
    device: Device = None,
    precision: Precision = "float32",
    json: AsJson = False,
) -> None:
    """What a model predicts with heads, neurons or latents zeroed, scaled or held."""
    wanted = [parsed(text) for text in changes]
    bridge = load(model, device, precision)
    from probe.edited import edited_run

    made = [_made(bridge, one, _dictionaries(bridge, dictionary)) for one in wanted]
    found = edited_run(bridge, prompt, made, pos=position, generate=generate, progress=progress())
    if json:
        print_json(found.to_dict())
        return
    print_rows(found.rows(), found.summary())
    if found.text_before is not None:
        print_rows([{"": "without", "text": found.text_before}, {"": "with", "text": found.text_after}])


def parsed(text: str) -> dict[str, Any]:
    """A change as written on the command line. BadInput where it is none."""
    found = _CHANGE.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"'{text}' is no change. Write zero:L9H6, scale=2:L5N120 or clamp=8:L4F650@3.")
    how = found["how"] or "zero"
    try:
        amount = float(found["amount"]) if found["amount"] else 0.0
    except ValueError as error:
        raise BadInput(f"'{found['amount']}' in '{text}' is no number.") from error
    if how != "zero" and not found["amount"]:
        raise BadInput(
            f"'{text}' does not say by how much; write for example {how}=2:L{found['layer']}{found['kind']}{found['unit']}."
        )
    pos = int(found["pos"]) if found["pos"] else None
    return {
        "how": how,
        "amount": amount,
        "layer": int(found["layer"]),
        "kind": found["kind"],
        "unit": int(found["unit"]),
        "pos": pos,
    }


def _made(model: Any, change: dict[str, Any], learned: list[Any]) -> Any:
    """An intervention or a unit edit."""
    from probe import interventions as i
    from probe.unit_edits import UnitEdit

    layer, unit, pos, amount = (change[k] for k in ("layer", "unit", "pos", "amount"))
    if change["kind"] == "H":
        if not (layer < model.cfg.n_layers):
            raise BadInput(f"There is no layer {layer}; this model has layers 0 to {model.cfg.n_layers - 1}.")
        if change["how"] == "add":
            raise BadInput(f"L{layer}H{unit} is a head; add=... steers along what a neuron or a latent writes.")
        at = i.head(layer, unit, pos)
        return {"zero": i.Zero(at), "scale": i.Scale(at, amount), "clamp": i.Clamp(at, amount)}[change["how"]]
    mode = {"zero": "ablate"}.get(change["how"], change["how"])
    if change["kind"] == "N":
        return UnitEdit(mode, unit, pos, amount, layer=layer)
    fitting = [d for d in learned if _reads(d, layer)]
    if len(fitting) != 1:
        raise BadInput(
            f"L{layer}F{unit} is a latent: name the one dictionary of layer {layer} it belongs to (--dictionary NAME)."
        )
    return UnitEdit(mode, unit, pos, amount, dictionary=fitting[0])


def _reads(dictionary: Any, layer: int) -> bool:
    from probe.sites import parse_site

    return parse_site(dictionary.site_in).layer == layer


def _dictionaries(model: Any, names: list[str] | None) -> list[Any]:
    from app.library import registered
    from probe.dictionaries import load_dictionary

    return [load_dictionary(registered("dictionary", name), model) for name in names or []]


COMMANDS = (edit,)
