"""An artifact is refused where it was made from another model than the one that is loaded, by fingerprint, not by name."""

from pathlib import Path

from probe.artifacts.manifest import Manifest, ModelStamp
from probe.errors import BadInput


def check_model(manifest: Manifest, stamp: ModelStamp, folder: Path) -> None:
    """Refuse an artifact made from another model or another tokenizer."""
    made = manifest.model
    if made is None:
        raise BadInput(f"{folder} does not say which model it belongs to.")
    for part in ("weights", "tokenizer"):
        if getattr(made, part) != getattr(stamp, part):
            raise BadInput(
                f"{folder} was made from {made.name} ({part} {getattr(made, part)[:12]}), but the loaded model is "
                f"{stamp.name} ({part} {getattr(stamp, part)[:12]}). Load {made.name}, or make the {manifest.kind} again."
            )
