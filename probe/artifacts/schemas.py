"""What a manifest's fields may be, for every kind of artifact: types, ranges, and numbers that must agree.

Files are checked by their checksums; these are the fields that code trusts after that. A field that is there must be of its
sort. Which ones must be there depends on who asks, and is said when it is asked for; fields that nobody here knows are passed
over, so that older and newer artifacts open.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from probe.errors import brief

Rule = Callable[[Any], bool]
MOST = 2**53  # beyond it, whole numbers are no longer exact where JSON or a table is read as floats


def whole(low: int = 0, high: int = MOST) -> Rule:
    """A whole number from `low` to `high`."""
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high


def number(low: float = -math.inf, high: float = math.inf) -> Rule:
    """A finite number from `low` to `high`."""
    return lambda v: (
        isinstance(v, int | float)
        and not isinstance(v, bool)
        and abs(v) < 1e300
        and math.isfinite(v)
        and low <= v <= high
    )


def text(value: Any) -> bool:
    """A text that any file can hold."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def yes_or_no(value: Any) -> bool:
    """True or False."""
    return isinstance(value, bool)


def anything(value: Any) -> bool:
    """Whatever JSON holds: it is shown, never computed with."""
    return True


def maybe(rule: Rule) -> Rule:
    """None, or what the rule allows."""
    return lambda v: v is None or rule(v)


def several(rule: Rule, least: int = 0) -> Rule:
    """A list of such values."""
    return lambda v: isinstance(v, list | tuple) and len(v) >= least and all(map(rule, v))


def mapping(rule: Rule = anything) -> Rule:
    """A mapping from texts to such values."""
    return lambda v: isinstance(v, Mapping) and all(text(k) for k in v) and all(map(rule, v.values()))


def fields(required: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None) -> Rule:
    """A mapping that has these keys, and may have others."""
    return lambda v: (
        isinstance(v, Mapping)
        and all(k in v and rule(v[k]) for k, rule in required.items())
        and all(rule(v[k]) for k, rule in (optional or {}).items() if k in v)
    )


COUNT, SIZE, SITES = whole(), whole(1, 2**31 - 1), several(text)
SECONDS = number(0, 1e12)
RULE = fields({"name": text})

MANIFEST: dict[str, Rule] = {
    **dict.fromkeys(("kind", "name", "dtype", "command", "created", "changed"), text),
    **dict.fromkeys(("config", "facts"), mapping()),
    **dict.fromkeys(("files", "versions"), mapping(text)),
    **dict.fromkeys(("sites", "parents"), several(text)),
    "model": maybe(fields(dict.fromkeys(("name", "weights", "tokenizer"), text))),
    "seed": maybe(whole(0, 2**64 - 1)),
    "schema": whole(1, 10**6),
}

FACTS: dict[str, dict[str, Rule]] = {
    "cache": {
        "layout": fields(
            {"widths": mapping(SIZE), "dtype": text, "context": SIZE, "rows": whole(1, 2**40), "shard_rows": SIZE}
        ),
        "bytes": mapping(COUNT),
        "held_out_documents": several(whole(0, 2**31 - 1)),
        **dict.fromkeys(("tokens", "special_tokens", "documents"), COUNT),
    },
    "dictionary": {
        "dictionary_kind": text,
        **dict.fromkeys(("d_in", "d_dict", "d_out"), SIZE),
        **dict.fromkeys(("sites_in", "sites_out"), several(text, 1)),
        **dict.fromkeys(("widths_in", "widths_out"), several(SIZE, 1)),
        **dict.fromkeys(("site_in", "site_out", "data"), text),
        **dict.fromkeys(("sparsifier", "sparsifier_trained"), RULE),
        "skip": yes_or_no,
        "tokens": COUNT,
        "steps": COUNT,
        "seconds": SECONDS,
    },
    "features": {
        **dict.fromkeys(("units", "source"), text),
        "n_units": whole(1, 2**31 - 1),
        "layers": several(lambda v: several(whole(0, 2**31 - 1))(v) and len(v) == 2, 1),
        "signed": yes_or_no,
        "tokens": COUNT,
        "window": SIZE,
        "sample": fields({"tokens": COUNT, "share": number(0, 1)}),
        "convention": mapping(text),
    },
    "graph": {
        **dict.fromkeys(("prompt", "model"), text),
        **dict.fromkeys(("n_tokens", "n_nodes", "n_edges"), COUNT),
        "nodes_by_kind": mapping(COUNT),
        "targets": several(mapping()),
        "dictionaries": mapping(text),
        "seconds": SECONDS,
    },
    "text": {
        **dict.fromkeys(("n_documents", "n_tokens"), COUNT),
        "nats_per_token": number(),
        "seconds": SECONDS,
    },
    "result": {
        **dict.fromkeys(("what", "subject", "over", "direction", "metric", "clean", "corrupted", "largest"), text),
        **dict.fromkeys(("kind", "name", "site_in", "site_out", "text"), text),
        "answers": several(text),
        "dictionaries": several(text),
        "judged": mapping(),
        **dict.fromkeys(("fvu", "fvu_affine", "l0", "dead_share", "ce", "ce_spliced", "ce_zero"), maybe(number())),
    },
    "study": {},
}
"""What the facts of each kind are made of, as far as anything is decided by them."""


def faults(raw: Mapping[str, Any]) -> list[str]:
    """What in a manifest, as JSON, is not what it should be: `facts.d_dict is -3`. Empty for a sound one."""
    found = [f"{name} is {brief(raw[name])}" for name, rule in MANIFEST.items() if name in raw and not rule(raw[name])]
    if found:
        return found
    facts, kind = raw.get("facts", {}), raw.get("kind", "")
    rules = FACTS.get(kind, {})
    found = [
        f"facts.{name} is {brief(facts[name])}"
        for name, rule in rules.items()
        if name in facts and not rule(facts[name])
    ]
    return found or _disagreements(kind, raw, facts)


def _disagreements(kind: str, raw: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """Numbers that are said twice and differ."""
    check = {"cache": _cache, "dictionary": _dictionary, "features": _features}.get(kind)
    files = [name for name in raw.get("files", {}) if not _inside(name)]
    return [f"files names {brief(files[0])}"] if files else check(raw, facts) if check else []


def _inside(name: str) -> bool:
    """Whether a file's name stays in its folder."""
    return (
        bool(name)
        and not name.startswith(("/", "\\"))
        and ".." not in name.replace("\\", "/").split("/")
        and "\0" not in name
    )


def _cache(raw: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    layout = facts.get("layout")
    if layout is None:
        return []
    found, tokens = [], layout["rows"] * layout["context"]
    if not layout["widths"] or tuple(layout["widths"]) != tuple(raw.get("sites", layout["widths"])):
        found.append("its sites are not those of its layout")
    if facts.get("tokens", tokens) != tokens:
        found.append(f"it says {facts['tokens']} tokens for {layout['rows']} rows of {layout['context']}")
    if raw.get("dtype", layout["dtype"]) != layout["dtype"]:
        found.append(f"it is of {brief(raw['dtype'])} and its layout of {brief(layout['dtype'])}")
    if "bytes" in facts and set(facts["bytes"]) - set(raw.get("files", facts["bytes"])):
        found.append("it gives the length of files that it does not list")
    shards = -(-layout["rows"] // layout["shard_rows"])
    if "bytes" in facts and sum(name.startswith("shard-") for name in facts["bytes"]) != shards:
        found.append(f"it does not list the {shards} shards of its layout")
    return found


def _dictionary(raw: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    found = []
    for side in ("in", "out"):
        sites, widths = facts.get(f"sites_{side}"), facts.get(f"widths_{side}")
        if sites is not None and widths is not None and len(sites) != len(widths):
            found.append(f"it has {len(sites)} sites_{side} and {len(widths)} widths_{side}")
        if sites is not None and facts.get(f"site_{side}", sites[0]) != sites[0]:
            found.append(f"site_{side} is none of its sites_{side}")
    return found


def _features(raw: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    layers, n = facts.get("layers"), facts.get("n_units")
    if layers is None or n is None:
        return []
    firsts = [first for first, _ in layers]
    sound = firsts[0] == 0 and firsts == sorted(set(firsts)) and firsts[-1] < n
    return [] if sound else [f"its layers begin at units {brief(firsts)} of {n}"]
