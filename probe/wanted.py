"""What a hint lets in, and in which words it is asked for: one parameter of a function, one field of a config.

    str | None                 a text or None
    "Cache | Pairs"            a cache, of harvest() or open_cache(), or pairs of activations
    Sequence[Recipe]           a list

A hint is understood where each of its parts is: plain values, what is made here, collections. A Sequence takes whatever can be
gone through. What is made here is known by what it has, not by its class: an object that stands for a cache is one, and nothing
needs to be imported to look. Anything else, prompts and paths and tensors, is its reader's own business.
"""

import ast
import functools
import numbers
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

_LARGEST = 2**63 - 1
_PLAIN: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "True or False",
    slice: "a slice",
    type(None): "None",
}
_ANY_VALUE = (str, bool, slice, type(None))
_MADE: dict[str, tuple[tuple[str, ...], str]] = {
    "TokenSet": (("tokens", "special"), "a TokenSet of tokenize()"),
    "Cache": (("layout", "n_tokens"), "a cache of harvest() or open_cache()"),
    "Pairs": (("standardiser", "n_tokens"), "pairs of activations like LiveActivations"),
    "Dictionary": (("sites_in", "encode"), "a dictionary of load_dictionary() or your own, like Transcoder(...),"),
    "CrossLayerTranscoder": (
        ("parts", "encode"),
        "a dictionary of load_dictionary() or your own, like Transcoder(...),",
    ),
    "Sparsifier": (("bind", "forward"), "a sparsifier like TopK(32)"),
    "FeatureTable": (("folder", "manifest"), "a feature table of build_features() or open_features()"),
    "CircuitGraph": (("nodes", "edges"), "a graph of trace() or load_graph()"),
    "LensResult": (("resid_norm", "tokens"), "a reading of logit_lens()"),
    "TrainingRun": (("name", "folder"), "a run of runs() or run_named()"),
    "PatchingSweep": (("pair", "raw"), "a sweep of patch_sweep() or load_patching()"),
    "Pair": (("clean", "corrupted"), "a pair of prompts of read_pair()"),
    "Embeddings": (("table", "name"), "a vocabulary of embeddings()"),
    "UnitEdit": (("mode", "unit"), "a UnitEdit"),
    "Recipe": (("rule", "seed"), "a Recipe"),
    "Document": (("text",), "a Document"),
    "Path": (("__fspath__",), "a path or a name"),
    "Site": (("kind", "short"), "a site like resid_post(5)"),
    "UnitName": (("layer", "unit"), "a unit, by name like L5N120 or as (layer, unit),"),
    "Place": (("site", "pos"), "a place like head(5, 3)"),
}
"""What is made here, by its class's name: what every such object has, and how one is come by."""
_COLLECTIONS: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(("Sequence", "Iterable", "list", "set"), (Iterable, "a list")),
    "tuple": (Iterable, "a tuple"),
    **dict.fromkeys(("Mapping", "dict"), (Mapping, "a mapping")),
    "Callable": (Callable, "a function"),
}
_EACH = ("Sequence", "Iterable", "list", "set")
_NAMED = {kind.__name__: kind for kind in _PLAIN if kind is not type(None)} | {"None": type(None)}


class _Of(NamedTuple):
    """A collection, and what it holds. Where that may be a name, one alone is its reader's business."""

    name: str
    inner: tuple[Any, ...] = ()


class Wanted(NamedTuple):
    """The parts of a hint, each understood; words: all of them, to be read."""

    parts: tuple[Any, ...]
    words: str

    def is_met(self, value: Any) -> bool:
        """Whether the value is what one of the parts says. Most are of the very type, which is seen at once."""
        kind = type(value)
        if kind in self.parts and (kind in _ANY_VALUE or (kind is int and -_LARGEST <= value <= _LARGEST)):
            return True
        return (kind.__name__ in self.parts and kind.__name__ in _MADE) or any(_is(value, part) for part in self.parts)


def wanted(hint: Any) -> Wanted | None:
    """What a hint lets in; None where a part of it is not understood."""
    try:
        return _wanted(hint)
    except TypeError:  # what cannot be hashed is not understood
        return None


@functools.cache
def _wanted(hint: Any) -> Wanted | None:
    parts = tuple(_parts(hint))
    if not parts or not all(map(_understood, parts)):
        return None
    if "UnitName" in parts and "Site" not in parts:
        return Wanted(parts, _said("UnitName"))
    said = [_said(part) for part in parts if not (part is str and "Path" in parts)]
    return Wanted(parts, " or ".join(dict.fromkeys(said)))


def _parts(hint: Any) -> list[Any]:
    """Plain types and Literals as they are, collections with what they hold, everything else by its name."""
    if isinstance(hint, str):
        return _written(ast.parse(hint.strip(), mode="eval").body)
    origin = get_origin(hint)
    if origin is Annotated:
        return _parts(get_args(hint)[0])
    if origin in (types.UnionType, Union):
        return [part for one in get_args(hint) for part in _parts(one)]
    if hint in _PLAIN or hint is None or origin is Literal:
        return [type(None) if hint is None else hint]
    name = getattr(origin or hint, "__name__", "")
    inner = get_args(hint)[:1] if name != "Callable" else ()
    return [_Of(name, tuple(part for one in inner for part in _parts(one)))] if name in _COLLECTIONS else [name]


def _written(node: ast.expr) -> list[Any]:
    """The same of a hint that is text."""
    if isinstance(node, ast.BinOp):
        return [*_written(node.left), *_written(node.right)]
    name = ast.unparse(node.value if isinstance(node, ast.Subscript) else node)
    if name not in _COLLECTIONS:
        return [_NAMED.get(name, name)]
    inside = node.slice if isinstance(node, ast.Subscript) and name != "Callable" else None
    first = inside.elts[0] if isinstance(inside, ast.Tuple) else inside
    return [_Of(name, tuple(_written(first)) if first is not None else ())]


def _understood(part: Any) -> bool:
    if isinstance(part, _Of):
        return all(map(_understood, part.inner))
    return part in _PLAIN or part in _MADE or get_origin(part) is Literal


def _said(part: Any) -> str:
    if isinstance(part, _Of):
        inner = " or ".join(dict.fromkeys(map(_said, part.inner)))
        return _COLLECTIONS[part.name][1] + (f", each {inner.rstrip(',')}," if inner and part.name in _EACH else "")
    if get_origin(part) is Literal:
        return f"one of {', '.join(map(repr, get_args(part)))}"
    return _PLAIN[part] if part in _PLAIN else _MADE[part][1]


def _is(value: Any, part: Any) -> bool:
    if isinstance(part, _Of):
        alone = str in part.inner and any(_is(value, one) for one in part.inner)
        return alone or isinstance(value, _COLLECTIONS[part.name][0])
    if isinstance(part, str):
        return not isinstance(value, type) and all(hasattr(value, name) for name in _MADE[part][0])
    if get_origin(part) is Literal:
        return any(value == one and type(value) is type(one) for one in get_args(part))
    return _is_plain(value, part)


def _is_plain(value: Any, kind: Any) -> bool:
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:  # a number of numpy or torch
        value = value.item()
    if kind is int:
        return isinstance(value, numbers.Integral) and not isinstance(value, bool) and abs(value) <= _LARGEST
    if kind is float:
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        return real and value == value and (abs(value) <= 1e300 or abs(value) == float("inf"))
    return isinstance(value, kind)
