"""A site is a named place in the model where a tensor can be read or changed. This docstring is the glossary.

Axes: `batch pos d_model head d_head d_mlp d_vocab layer`, `q_pos k_pos` in patterns; `latent` is an index, `d_dict` how many.
`kv_head` counts key-value heads, fewer than `head` under grouped-query attention.

One canonical name is stored everywhere: transformer-lens's (`blocks.5.hook_resid_post`). People may write the short
form (`resid_post.5`) or an older alias (`blocks.5.hook_mlp_out`, `blocks.5.hook_out`); `sites.parse_site` accepts them all. With
a model, layers also count from the end (`resid_post.-1`), and where several sites are read `resid_post.*` or `resid_post` is all
layers (`parse_sites`).

An MLP's dictionary reads `mlp_in`, what the MLP sees (after the norm), and predicts `mlp_out`, what the MLP returns (before
any post-norm). `attn_out` and `mlp_write` are what reaches the residual stream (after any post-norm).
"""

from dataclasses import dataclass

from probe.errors import BadInput, brief


@dataclass(frozen=True)
class SiteKind:
    """A row of the glossary. `hook` holds `{layer}` when every layer has one."""

    hook: str
    axes: str
    meaning: str
    aliases: tuple[str, ...] = ()


GLOSSARY: dict[str, SiteKind] = {
    "embed": SiteKind("hook_embed", "batch pos d_model", "token embedding", ("embed.hook_out",)),
    "pos_embed": SiteKind("hook_pos_embed", "batch pos d_model", "learned position embedding", ("pos_embed.hook_out",)),
    "resid_pre": SiteKind(
        "blocks.{layer}.hook_resid_pre",
        "batch pos d_model",
        "residual stream before a layer",
        ("blocks.{layer}.hook_in",),
    ),
    "ln1_scale": SiteKind("blocks.{layer}.ln1.hook_scale", "batch pos 1", "divisor of the norm before attention"),
    "attn_in": SiteKind(
        "blocks.{layer}.attn.hook_in", "batch pos d_model", "what attention reads", ("blocks.{layer}.ln1.hook_out",)
    ),
    "q": SiteKind(
        "blocks.{layer}.attn.hook_q",
        "batch pos head d_head",
        "queries, before any norm and rotation",
        ("blocks.{layer}.attn.q.hook_out",),
    ),
    "k": SiteKind(
        "blocks.{layer}.attn.hook_k",
        "batch pos kv_head d_head",
        "keys, before any norm and rotation",
        ("blocks.{layer}.attn.k.hook_out",),
    ),
    "v": SiteKind(
        "blocks.{layer}.attn.hook_v", "batch pos kv_head d_head", "values", ("blocks.{layer}.attn.v.hook_out",)
    ),
    "scores": SiteKind(
        "blocks.{layer}.attn.hook_attn_scores", "batch head q_pos k_pos", "attention scores before the softmax"
    ),
    "pattern": SiteKind("blocks.{layer}.attn.hook_pattern", "batch head q_pos k_pos", "attention pattern"),
    "z": SiteKind(
        "blocks.{layer}.attn.hook_z",
        "batch pos head d_head",
        "values mixed by the pattern, per head",
        ("blocks.{layer}.attn.o.hook_in",),
    ),
    "ln1_post_scale": SiteKind(
        "blocks.{layer}.ln1_post.hook_scale", "batch pos 1", "divisor of the norm after attention, where there is one"
    ),
    "attn_out": SiteKind(
        "blocks.{layer}.hook_attn_out",
        "batch pos d_model",
        "what attention writes to the residual stream (after any post-norm)",
    ),
    "resid_mid": SiteKind(
        "blocks.{layer}.hook_resid_mid",
        "batch pos d_model",
        "residual stream between attention and MLP",
        ("blocks.{layer}.hook_mlp_in",),
    ),
    "ln2_scale": SiteKind("blocks.{layer}.ln2.hook_scale", "batch pos 1", "divisor of the norm before the MLP"),
    "mlp_in": SiteKind(
        "blocks.{layer}.mlp.hook_in",
        "batch pos d_model",
        "what the MLP reads (after the norm)",
        ("blocks.{layer}.ln2.hook_out",),
    ),
    "mlp_pre": SiteKind(
        "blocks.{layer}.mlp.hook_pre", "batch pos d_mlp", "neurons before the nonlinearity (the gate's, if gated)"
    ),
    "mlp_pre_linear": SiteKind(
        "blocks.{layer}.mlp.hook_pre_linear", "batch pos d_mlp", "the linear factor of a gated MLP's neurons"
    ),
    "mlp_post": SiteKind(
        "blocks.{layer}.mlp.hook_post", "batch pos d_mlp", "neuron activations", ("blocks.{layer}.mlp.out.hook_in",)
    ),
    "mlp_out": SiteKind(
        "blocks.{layer}.mlp.hook_out", "batch pos d_model", "what the MLP returns (before any post-norm)"
    ),
    "ln2_post_scale": SiteKind(
        "blocks.{layer}.ln2_post.hook_scale", "batch pos 1", "divisor of the norm after the MLP, where there is one"
    ),
    "mlp_write": SiteKind(
        "blocks.{layer}.hook_mlp_out",
        "batch pos d_model",
        "what the MLP writes to the residual stream (after any post-norm)",
    ),
    "resid_post": SiteKind(
        "blocks.{layer}.hook_resid_post",
        "batch pos d_model",
        "residual stream after a layer",
        ("blocks.{layer}.hook_out",),
    ),
    "final_scale": SiteKind("ln_final.hook_scale", "batch pos 1", "divisor of the final norm"),
    "ln_final": SiteKind("ln_final.hook_out", "batch pos d_model", "what the unembedding reads", ("unembed.hook_in",)),
    "logits": SiteKind(
        "unembed.hook_out", "batch pos d_vocab", "unembedding output (before any soft-cap)", ("hook_unembed",)
    ),
}
"""Short name to site kind, in the order of the forward pass."""


@dataclass(frozen=True, order=True)
class Site:
    """One place: a kind of the glossary, at a layer where the kind has layers.

    >>> ow.Site("resid_post", 1).name
    'blocks.1.hook_resid_post'
    """

    kind: str
    layer: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str) or self.kind not in GLOSSARY:
            raise BadInput(f"There is no kind of site {brief(self.kind)}; there are {', '.join(GLOSSARY)}.")

    @property
    def name(self) -> str:
        """The canonical name, transformer-lens's."""
        return GLOSSARY[self.kind].hook.format(layer=self.layer)

    @property
    def short(self) -> str:
        """`resid_post.5`, or `embed` where there is no layer."""
        return self.kind if self.layer is None else f"{self.kind}.{self.layer}"

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the tensor's axes."""
        return tuple(GLOSSARY[self.kind].axes.split())

    @property
    def depth(self) -> tuple[int, int]:
        """Sort key in the order of the forward pass."""
        order = list(GLOSSARY).index(self.kind)
        final = order >= list(GLOSSARY).index("final_scale")
        return (1 << 30 if final else -1 if self.layer is None else self.layer, order)

    def __str__(self) -> str:
        return self.name


def spellings(site: Site) -> list[str]:
    """Every name of a site: short, canonical, older ones."""
    return spellings_of(site.kind, site.layer)


def spellings_of(kind: str, layer: int | None) -> list[str]:
    """The same, by kind and layer."""
    row = GLOSSARY[kind]
    short = kind if layer is None else f"{kind}.{layer}"
    return [short, *(h.format(layer=layer) for h in (row.hook, *row.aliases))]


def layered(kind: str) -> bool:
    """Whether every layer has such a site."""
    return "{layer}" in GLOSSARY[kind].hook


def resid_pre(layer: int) -> Site:
    """Residual stream before a layer.

    >>> ow.resid_pre(1).name
    'blocks.1.hook_resid_pre'
    """
    return Site("resid_pre", layer)


def resid_post(layer: int) -> Site:
    """Residual stream after a layer.

    >>> ow.resid_post(1).name
    'blocks.1.hook_resid_post'
    """
    return Site("resid_post", layer)


def mlp_in(layer: int) -> Site:
    """What an MLP reads.

    >>> ow.mlp_in(1).short
    'mlp_in.1'
    """
    return Site("mlp_in", layer)


def mlp_out(layer: int) -> Site:
    """What an MLP returns.

    >>> ow.mlp_out(1).short
    'mlp_out.1'
    """
    return Site("mlp_out", layer)
