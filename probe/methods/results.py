"""Results that are stored with the call that made them, whichever door they came through: those of a method, and of each what was
asked, of which artifacts, and when."""

from collections.abc import Mapping
from typing import Any

from probe.artifacts.manifest import Manifest
from probe.artifacts.stored import library
from probe.errors import BadInput, OpenworkError
from probe.methods.call import Call, call_of
from probe.methods.in_words import asked, label
from probe.methods.kinds import STORED
from probe.methods.parameters import Asks


def results_of(method: str) -> list[Manifest]:
    """Manifests of the stored results of a method, newest first."""
    kept = [manifest for folder, manifest in library("result").kinds["result"] if manifest.name == folder.name]
    return [m for m in kept if isinstance(made := m.facts.get("call"), dict) and made.get("method") == method]


def stored_call(manifest: Manifest | None) -> Call | None:
    """The call that a manifest tells; None where it tells none that there is now."""
    made = manifest.facts.get("call") if manifest else None
    try:
        return Call.checked(made["method"], made.get("model", ""), made.get("arguments")) if made else None
    except (OpenworkError, KeyError, TypeError, AttributeError):
        return None


def call_that_made(record: Any, manifest: Manifest | None = None) -> Call | None:
    """The call of a record, or of what is stored of it; None where it is unknown or no call any more."""
    return call_of(record) if record is not None else stored_call(manifest)


def artifacts_of(call: Call) -> list[tuple[str, str]]:
    """Kind and name of every stored artifact that the call names."""
    return stored_in(call.about, call.arguments)


def stored_in(about: Asks, arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same of arguments that are no call yet."""
    found = [(STORED[p.kind], arguments.get(p.name)) for p in about.parameters if p.kind in STORED]
    return [(kind, n) for kind, value in found if value for n in (value if isinstance(value, list) else [value])]


def asked_of(call: Call | None, model: str, fixed: Mapping[str, Any]) -> bool:
    """Whether a call has these arguments among its own."""
    if call is None:
        return False
    try:
        return Call.checked(call.method, model or call.model, {**call.arguments, **fixed}) == call
    except BadInput:
        return False


def held_by(manifest: Manifest) -> str:
    """The class of the record that a result holds: as it was stored, or of an older one as its method declares."""
    facts = manifest.facts
    if "record" in facts or "key" not in facts:  # whoever saves a record by itself says of it what it is
        return str(facts.get("record") or facts.get("what") or "")
    call = stored_call(manifest)
    return call.about.returns if call is not None else ""


def line(manifest: Manifest) -> str:
    """What a stored result was asked; the title where that is no call any more."""
    if (call := stored_call(manifest)) is None:
        return str(manifest.facts.get("title") or manifest.name)[:200]
    return asked(call) or "all at their defaults"


def words_of(manifest: Manifest) -> str:
    """A stored result among others: what was asked of which method, behind the name that somebody gave it."""
    call, named = stored_call(manifest), "key" not in manifest.facts
    said = f"{label(call.method)}: {line(manifest)}" if call is not None else "" if named else line(manifest)
    return " · ".join(part for part in (manifest.name if named else "", said, when(manifest)) if part)


def when(manifest: Manifest) -> str:
    """`2026-01-31 09:30`."""
    return manifest.created[:16].replace("T", " ")
