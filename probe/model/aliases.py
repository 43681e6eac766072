"""Names of the models that come with Openwork, and the toy's shape. No torch: pages offer them before they load any."""

DEFAULT = "smollm2-135m"
ALIASES = (DEFAULT, "toy")
TOY = {"n_layers": 4, "n_heads": 4, "d_model": 64, "d_mlp": 128, "d_vocab": 466}
TOY_PARAMETERS = 208_448
