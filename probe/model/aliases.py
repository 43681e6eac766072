"""Names of the models that come with Openwork, and the toy's shape. No torch: pages offer them before they load any."""

from pathlib import Path

DEFAULT = "smollm2-135m"
ALIASES = (DEFAULT, "toy")
TOY = {"n_layers": 4, "n_heads": 4, "d_model": 64, "d_mlp": 128, "d_vocab": 466}
TOY_PARAMETERS = 208_448


def short_model(name: str) -> str:
    """A model's name for people: of a local folder or file, which is stored by its whole path, the last part."""
    return Path(name).name if Path(name).is_absolute() else name
