"""Model work on one unit: its weights, its activation on own text, a run with it changed. Built here, run by the worker."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.jobs.again import Arguments, prompt_in, task, whole, whole_or_none
from app.jobs.edited import Edit, edited_work
from app.jobs.results import Origin
from app.jobs.work import Work, key_of, submit
from app.library import models
from app.library.artifacts import registered
from app.library.models import require_offered
from app.library.prompts import prompt_id
from app.library.units import PageUnit, unit_of
from probe.artifacts.json import Json
from probe.errors import BadInput
from probe.interventions.change_text import SYNONYMS
from probe.progress import Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.dictionaries.store import AnyDictionary
    from probe.interventions.unit_edits import UnitEdit


MODES = ("zero", "scale", "clamp", "steer")
"""The edits of `probe.interventions.unit_edits` that a page offers."""
MOST = 1e6
"""Largest amount of an edit."""


def weights_work(found: PageUnit, href: str) -> Work:
    """What the weights say of the unit."""

    def run(progress: Progress) -> object:
        from probe.features import unit_weights

        bridge = models.model_named(found.model, progress)
        what: Any = found.layer if found.kind == "neuron" else _dictionary(found, bridge)
        return unit_weights(bridge, what, found.number, progress=progress)

    key = key_of("unit-weights", found.model, found.kind, found.layer, found.dictionary, found.number)
    return Work(key, f"Weights of {found.name}", run, href, again=["unit-weights", {"unit": found.asked}])


def text_work(found: PageUnit, text: str, href: str) -> Work:
    """The unit's activation at every token of a text."""

    def run(progress: Progress) -> object:
        from probe.features.on_text import on_text

        bridge = models.model_named(found.model, progress)
        with progress.stage("read the text", total=1, unit="run") as step:
            owner, unit = owner_of(found, bridge)
            read = on_text(bridge, text, unit, **owner)
            step(1)
        return read

    key = key_of("unit-text", found.model, found.kind, found.layer, found.dictionary, found.number, text)
    origin = Origin(
        (found.dictionary,) if found.dictionary else (),
        {"unit": found.name, "text": text},
        model=lambda: models.stamp_in_memory(found.model),
    )
    again = ["unit-text", {"unit": found.asked, "prompt": prompt_id(text)}]
    return Work(key, f"{found.name} on a text", run, href, origin=origin, again=again)


def edit_work(found: PageUnit, text: str, mode: str, amount: float, pos: int | None, generate: int) -> Work:
    """A run of the text without and with the unit changed. BadInput for a mode or an amount there is not."""
    mode = SYNONYMS.get(mode, mode)
    if mode not in MODES:
        raise BadInput(f"'{str(mode)[:20]}' is no edit; choose {', '.join(MODES)}.")
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not abs(amount) <= MOST:
        raise BadInput(f"The amount must be a number between {-MOST:,.0f} and {MOST:,.0f}.")
    changes = _changes(found, mode, float(amount), pos)
    named = (found.kind, found.layer, found.dictionary, found.number, mode, float(amount), pos)
    said = {
        "mode": mode,
        "amount": float(amount),
        "where": "all" if pos is None else "token",
        "generate": int(generate),
    }
    asked = {"mode": mode, "amount": float(amount), "pos": pos, "generate": int(generate)}
    edit = Edit(
        changes,
        named,
        options={"unit": found.name, **said},
        again=["unit-edit", {"unit": found.asked, "prompt": prompt_id(text), **asked}],
        about=(found.dictionary,) if found.dictionary else (),
        generate=min(max(int(generate), 0), 60),
    )

    def page(key: str) -> str:
        return found.href(prompt=prompt_id(text), token=pos, edit=key)

    return edited_work(found.model, text, edit, f"Run with {found.name} changed ({mode})", page)


def _changes(
    found: PageUnit, mode: str, amount: float, pos: int | None
) -> "Callable[[TransformerBridge], list[UnitEdit]]":
    def changes(bridge: "TransformerBridge") -> "list[UnitEdit]":
        from probe.interventions.unit_edits import UnitEdit

        owner, unit = owner_of(found, bridge)
        return [UnitEdit(mode, unit, pos, amount, **owner)]

    return changes


def owner_of(found: PageUnit, bridge: "TransformerBridge") -> tuple[Json, int]:
    """The layer of a neuron or the dictionary of a latent, and its number there. BadInput where it reads several places."""
    if found.kind == "neuron":
        return {"layer": found.layer}, found.number
    learned, number = _dictionary(found, bridge), found.number
    for part in getattr(learned, "parts", ()):  # of a cross-layer transcoder
        if number < part.d_dict:
            return {"dictionary": part}, number
        number -= part.d_dict
    if len(learned.sites_in) > 1:
        raise BadInput(
            f"{found.dictionary} reads several places at once, so one of its latents has no single input to encode."
        )
    return {"dictionary": learned}, number


def _dictionary(found: PageUnit, bridge: "TransformerBridge") -> "AnyDictionary":
    from probe.dictionaries import load_dictionary

    return load_dictionary(registered("dictionary", str(found.dictionary)), bridge)


def _offered_unit(arguments: Arguments) -> PageUnit:
    """The unit of a row, of a model that is offered."""
    found = unit_of(arguments["unit"])
    require_offered(found.model)
    return found


@task("unit-weights")
def _weights_again(arguments: Arguments) -> None:
    found = _offered_unit(arguments)
    submit(weights_work(found, found.href()))


@task("unit-text")
def _text_again(arguments: Arguments) -> None:
    found, prompt = _offered_unit(arguments), prompt_in(arguments)
    submit(text_work(found, prompt.text, found.href(prompt=prompt.id)))


@task("unit-edit")
def _edit_again(arguments: Arguments) -> None:
    (generate,) = whole(arguments, "generate")
    text, pos = prompt_in(arguments).text, whole_or_none(arguments, "pos")
    submit(edit_work(_offered_unit(arguments), text, arguments["mode"], arguments["amount"], pos, generate))
