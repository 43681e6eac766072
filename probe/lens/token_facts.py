"""What the lens tells of one token: how surprising it was, how sure the model is of what follows, and where that settles."""

from typing import TYPE_CHECKING

import numpy as np

from probe.words import number

if TYPE_CHECKING:
    from probe.lens.logit import LensResult


def token_facts(lens: "LensResult", at: int) -> list[tuple[str, str, str | None]]:
    """Name, value, and what is worth knowing beside it."""
    loss = float(lens.loss[at])
    known = np.isfinite(loss)
    beside = f"it had probability {np.exp(-loss):.3g}" if known else "nothing predicts the first token"
    settled = f"layer {lens.layers[lens.settled(at)]}"
    return [
        ("position", str(at), None),
        ("token id", f"{lens.token_ids[at]:,}", None),
        ("loss", f"{number(loss)} nats" if known else "–", beside),
        ("entropy of what follows", f"{number(float(lens.entropy[-1, at]))} nats", None),
        ("prediction settles at", settled, "from there on the top token is the final one"),
    ]
