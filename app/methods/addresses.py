"""A call as an address, and back. An address holds names, numbers and ids; the text of a prompt is stored, and named by its id.

    /methods/sinks?m=toy&prompt=0123456789ab&ratio=500.0

What comes from an address is checked like everything else that comes from outside, with the same sentences. Further keys are
`like` (a stored result, whose arguments fill the form), `beside` (one that stands beside this one) and `run` (whoever opens it
asks at once).
"""

from collections.abc import Mapping
from typing import Any

from app import links
from app.library import prompts
from app.library.models import require_offered
from app.selection import SHOWN
from probe.errors import BadInput
from probe.methods.call import Call, checked, unknown_name, wrong
from probe.methods.form_fields import parts_of, plain_of, texts_of
from probe.methods.read_declarations import Method, Parameter

MODEL, LIKE, BESIDE, RAW, RUN = "m", "like", "beside", "raw", "run"
_IDS = "ids:"
_LONGEST = 4000  # characters of one value


def key_in_address(name: str, part: str = "") -> str:
    """The key of a parameter's field. A single letter, and what addresses use themselves, gets a stroke behind it."""
    taken = len(name) < 2 or name in (LIKE, BESIDE, RUN)
    return name + ("_" if taken else "") + (f"-{part}" if part else "")


def keys_of(about: Method) -> list[str]:
    """Every key that a call of this method may have in an address."""
    return [MODEL, *(key_in_address(p.name, part) for p in about.parameters for part in parts_of(p))]


def query_of(call: Call) -> dict[str, str]:
    """The call as it stands in an address. What an address cannot hold (chat messages) is left out."""
    found = {MODEL: call.model} if call.about.of_model else {}
    for p in call.about.parameters:
        if p.name in call.arguments:
            texts = _texts(p, call.arguments[p.name], call.model)
            found |= {key_in_address(p.name, part): text for part, text in texts.items()}
    return found


def address_of(call: Call, **chosen: str) -> str:
    """The page of the method, with this call in its form, and its result below once there is one. chosen: what is selected."""
    return links.method_page(call.method, {**query_of(call), **chosen})


def asked_in(about: Method, query: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Model and arguments that an address asks for, as far as it does. BadInput for what cannot be asked."""
    query = _by_their_keys(about, query)
    known = {*keys_of(about), LIKE, BESIDE, RUN, *links.KEYS.values()}
    if unknown := [key for key in query if key not in known and not key.startswith(SHOWN)]:
        raise BadInput(unknown_name(about, unknown[0]))
    found = {}
    for p in about.parameters:
        given = {part: query[key] for part in parts_of(p) if (key := key_in_address(p.name, part)) in query}
        if given:
            found[p.name] = _argument(about, p, {part: text[:_LONGEST] for part, text in given.items()})
    return require_offered(query[MODEL]) if about.of_model and MODEL in query else "", found


def _by_their_keys(about: Method, query: Mapping[str, str]) -> Mapping[str, str]:
    """The query, a parameter of one letter under its key also where somebody wrote `n=2`. What the panels of a method select
    keeps its keys; a node is selected on the page of a graph alone."""
    selected = set(links.KEYS.values()) - {links.KEYS["node"]}
    bare = {p.name: key_in_address(p.name) for p in about.parameters if len(p.name) == 1 and p.name not in selected}
    named = {bare.get(key, key): text for key, text in query.items()}
    return named | {key: query[key] for key in bare.values() if key in query}


def call_of(about: Method, model: str, arguments: Mapping[str, Any]) -> Call | None:
    """The call of what was asked; None while something is missing that it needs."""
    if (about.of_model and not model) or any(p.required and arguments.get(p.name) is None for p in about.parameters):
        return None
    return Call.checked(about.name, model, arguments)


def _argument(about: Method, p: Parameter, given: Mapping[str, str]) -> Any:
    if p.kind.control != "prompt":
        return plain_of(about, p, given)
    each = [_prompt_of(about, p, one) for one in given[""].split("\n")]
    return checked(about, p, each if p.several else each[0])


def _prompt_of(about: Method, p: Parameter, text: str) -> Any:
    if not text.startswith(_IDS):
        return prompts.load(text).text
    try:
        return [int(one) for one in text.removeprefix(_IDS).split(",")]
    except ValueError as error:
        raise BadInput(wrong(about.name, p, text)) from error


def _texts(p: Parameter, plain: Any, model: str) -> dict[str, str]:
    if p.kind.control != "prompt":
        return texts_of(p, plain) or {}
    each = [_prompt_text(one, model) for one in (plain if p.several else [plain])]
    return {"": "\n".join(each)} if all(each) else {}


def _prompt_text(plain: Any, model: str) -> str:
    """A prompt's id, or its token ids; nothing for chat messages."""
    if isinstance(plain, str):
        return prompts.store(plain, model).id
    return _IDS + ",".join(map(str, plain)) if all(isinstance(one, int) for one in plain) else ""
