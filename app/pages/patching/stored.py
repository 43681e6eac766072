"""Sweeps that are there already: small pictures of those of one pair, and rows of all that are stored."""

from typing import TYPE_CHECKING, Any

import numpy as np

from app import links
from app.components.drawn import Drawn
from app.jobs import work
from app.library.models import short_model
from app.methods.view import asked_of, when
from app.methods.work import results_of, stored_call
from app.pages.patching.asked import SWEEP, Asked
from circuits.patching.figures import plane
from circuits.patching.kinds import KINDS
from circuits.patching.store import stored_patchings
from probe.artifacts.json import Json
from probe.artifacts.manifest import Manifest
from probe.methods.call import Call
from probe.words import decimals

if TYPE_CHECKING:
    from circuits.patching.record import PatchingSweep

MOST, FINEST = 12, 96
"""Small pictures beside each other; rows and columns of one."""


def beside_data(asked: Asked, shown: str) -> Drawn:
    """Small pictures of the sweeps of this pair that are stored. shown: the key of the one that the page shows."""
    mine = [m for m in results_of("patch") if asked_of(stored_call(m), asked.model, asked.given())]
    found = [(key, work.result(key)) for m in mine[:MOST] if (key := _key(m))]
    return {"sweeps": [_small(asked, key, sweep, key == shown) for key, sweep in reversed(found) if sweep is not None]}


def _key(manifest: Manifest) -> str:
    """The key of the job that made a result; "" for one that was stored by name."""
    key = manifest.facts.get("key")
    return key if isinstance(key, str) else ""


def _small(asked: Asked, key: str, sweep: "PatchingSweep", shown: bool) -> Json:
    z = plane(sweep)
    steps = [max(1, -(-n // FINEST)) for n in z.shape]
    z = z[:: steps[0], :: steps[1]]
    top = float(np.abs(z).max(initial=0)) or 1.0
    words = "restored" if sweep.direction == "denoise" else "broken"
    control = ", with unrelated donors" if sweep.control is not None else ""
    return {
        "name": KINDS[sweep.over].label,
        "note": f"{words}{control}: up to {decimals(top, 2)}",
        "href": asked.address(**{SWEEP: key}),
        "shown": shown,
        "rows": z.shape[0],
        "values": [round(float(v) / top, 3) for v in z.ravel()],
    }


def stored_rows() -> Drawn:
    """The stored sweeps as rows that open them."""
    names = ("name", "patched", "clean prompt", "corrupted prompt", "model", "stored")
    kinds = ("unit", *["text"] * 5)
    columns = [{"key": name, "label": name, "kind": kind} for name, kind in zip(names, kinds, strict=True)]
    rows = [_row(name, manifest) for name, manifest in stored_patchings()]
    return {"columns": columns, "rows": rows, "label": "Stored sweeps", "sorts": True, "page": 12}


def _row(name: str, manifest: Manifest) -> Json:
    told = _told(manifest)
    over, direction = str(told.get("over") or "resid_pre"), told.get("direction") or "denoise"
    label = KINDS[over].label if over in KINDS else over
    return {
        "name": name,
        "patched": f"{label}, {'restored' if direction == 'denoise' else 'broken'}",
        "clean prompt": str(told.get("clean", ""))[:80],
        "corrupted prompt": str(told.get("corrupted", ""))[:80],
        "model": short_model(manifest.model.name) if manifest.model else "",
        "stored": when(manifest),
        "href": links.address(links.PATCHING, stored=name),
    }


def _told(manifest: Manifest) -> dict[str, Any]:
    """What a sweep was asked: by its call, or as its manifest says it."""
    call: Call | None = stored_call(manifest)
    return call.arguments if call is not None else dict(manifest.facts)
