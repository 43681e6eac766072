"""Where every page lives. An address holds ids and the selection, never the text of a prompt.

Short keys of a query: m model, p prompt, t token, l layer, h head (`5.3`), u unit (`L5N120`), n node of a graph, k influence
kept. `assets/00-openwork.js` writes the same keys when the selection moves.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

KEYS = {"model": "m", "prompt": "p", "token": "t", "layer": "l", "head": "h", "unit": "u", "node": "n", "column": "c"}
"""Names of the selection and their keys in an address."""

HOME, PROMPTS, HEADS, LENS, UNITS = "/", "/p", "/heads", "/lens", "/units"
CIRCUITS, PATCHING, TRAINING, METHODS, JOBS = "/circuits", "/patching", "/training", "/methods", "/jobs"


def local(link: str) -> bool:
    """Does a link that was stored lead to a page of ours? `//host`, `/\\host` and every scheme lead elsewhere."""
    return re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", link) is not None


def address(path: str, **chosen: object) -> str:
    """A path with the parts of the selection that are there: `address("/lens", model="toy", prompt=id, token=3)`."""
    query = {KEYS.get(name, name): value for name, value in chosen.items() if value not in (None, "")}
    return f"{path}?{urlencode(query, quote_via=quote)}" if query else path


def prompt_page(prompt: str, model: str, **chosen: object) -> str:
    """The hub of a prompt by its id."""
    return address(f"{PROMPTS}/{quote(prompt, safe='')}", model=model, **chosen)


def beside_page(prompt: str, other: str, model: str, **chosen: object) -> str:
    """Two prompts side by side: asks for what differs between them, and goes there."""
    return address(f"{PROMPTS}/{quote(prompt, safe='')}/beside/{quote(other, safe='')}", model=model, **chosen)


def heads_page(model: str, prompt: str | None = None, **chosen: object) -> str:
    """The grid of heads, and one head where `head` is given as `layer.head`."""
    return address(HEADS, model=model, prompt=prompt, **chosen)


def lens_page(model: str, prompt: str | None = None, **chosen: object) -> str:
    """The logit lens of a prompt."""
    return address(LENS, model=model, prompt=prompt, **chosen)


def table_page(table: str, **chosen: object) -> str:
    """The browser over the units of a feature table."""
    return address(f"{UNITS}/table/{quote(table, safe='')}", **chosen)


def unit_page(table: str, unit: int, **chosen: object) -> str:
    """A unit of a feature table, by its number there."""
    return address(f"{UNITS}/table/{quote(table, safe='')}/{unit}", **chosen)


def neuron_page(model: str, layer: int, unit: int, **chosen: object) -> str:
    """A neuron of a model, with or without a feature table."""
    return address(f"{UNITS}/neuron/{layer}/{unit}", model=model, **chosen)


def latent_page(dictionary: str, unit: int, **chosen: object) -> str:
    """A latent of a stored dictionary, with or without a feature table."""
    return address(f"{UNITS}/latent/{quote(dictionary, safe='')}/{unit}", **chosen)


def circuit_page(name: str, **chosen: object) -> str:
    """A stored graph."""
    return address(f"{CIRCUITS}/{quote(name, safe='')}", **chosen)


def circuit_of_result(name: str) -> str:
    """A result that holds a circuit of components, as a graph: stored when it is first opened."""
    return f"{CIRCUITS}/of/{quote(name, safe='')}"


def circuits_beside(name: str, other: str) -> str:
    """Two stored graphs compared."""
    return f"{CIRCUITS}/{quote(name, safe='')}/beside/{quote(other, safe='')}"


def patching_page(
    model: str | None = None, clean: str | None = None, corrupted: str | None = None, **chosen: object
) -> str:
    """A patching sweep: ids of the clean and the corrupted prompt."""
    return address(PATCHING, model=model, prompt=clean, corrupted=corrupted, **chosen)


def run_page(name: str) -> str:
    """A training run by the name of its dictionary."""
    return f"{TRAINING}/{quote(name, safe='')}"


def method_page(name: str, query: Mapping[str, str] | None = None) -> str:
    """A declared method: its form, and the result of the call that the query asks for (`app.methods.addresses`)."""
    path = f"{METHODS}/{quote(name, safe='')}"
    return f"{path}?{urlencode(query, quote_via=quote)}" if query else path


def result_page(name: str, **chosen: object) -> str:
    """A stored result: what a method found, an evaluation, a sweep, a report. beside: one of the same method beside it."""
    return address(f"/results/{quote(name, safe='')}", **chosen)


def artifact_page(kind: str, name: str, what: object = None) -> str:
    """The page that shows an artifact; of a kind without one, its shelf on the home page. what: of a result, what it is of."""
    if what == "patching":
        return address(PATCHING, stored=name)
    pages = {"graph": circuit_page, "features": table_page, "dictionary": run_page, "result": result_page}
    return pages[kind](name) if kind in pages else address(HOME, shelf=kind)
