"""What the lens tells of one token: how surprising it was, how sure the model is of what follows, and where that settles."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from probe.words import figures, number

if TYPE_CHECKING:
    from probe.lens.logit import LensResult


def token_facts(lens: "LensResult", at: int) -> list[tuple[str, str, str | None]]:
    """Name, value, and what is worth knowing beside it."""
    loss = float(lens.loss[at])
    known = np.isfinite(loss)
    beside = f"it had probability {np.exp(-loss):.3g}" if known else "nothing predicts the first token"
    row = lens.settled(at)  # 0 is the embedding
    settled = f"layer {lens.layers[row]}" if row else "the embedding"
    return [
        ("position", str(at), None),
        ("token id", f"{lens.token_ids[at]:,}", None),
        ("loss", f"{number(loss)} nats" if known else "–", beside),
        ("entropy of what follows", f"{number(float(lens.entropy[-1, at]))} nats", None),
        ("prediction settles at", settled, "from there on the top token is the final one"),
    ]


def beside_mean(logit: float, convention: Mapping[str, Any]) -> str:
    """A split logit and what it is measured from, `1.2 above the mean logit`; the difference of two tokens alone."""
    if "other" in convention.get("logit", ""):
        return figures(logit)
    return f"{figures(abs(logit))} {'below' if logit < 0 else 'above'} the mean logit"
