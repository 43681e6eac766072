"""How a cache lies on disk, as arithmetic: which rows a shard holds, where a token's activations are, how many bytes.

Tokens are counted through the whole cache: token `i` stands in row `i // context`, at position `i % context`. Shard `n` holds
the rows from `n * shard_rows` on. Nothing here depends on what was written before, so shards can be made in any order,
again, or by several processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probe.errors import BadInput
from probe.model.sites import Site, as_dtype, parse_sites, width

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

TOKEN_BYTES = 4 + 4 + 4 + 1  # id, document, position, special
DTYPES = ("float16", "bfloat16", "float32")


@dataclass(frozen=True)
class Layout:
    """The shape of a cache; `widths` maps each site's canonical name to the length of its vectors."""

    widths: dict[str, int]
    dtype: str
    context: int
    rows: int
    shard_rows: int

    @property
    def shards(self) -> int:
        return -(-self.rows // self.shard_rows)

    @property
    def tokens(self) -> int:
        return self.rows * self.context

    @property
    def shard_tokens(self) -> int:
        """Tokens of a full shard; the last may hold fewer."""
        return self.shard_rows * self.context

    def rows_of(self, shard: int) -> range:
        return range(shard * self.shard_rows, min((shard + 1) * self.shard_rows, self.rows))

    def tokens_of(self, shard: int) -> int:
        return len(self.rows_of(shard)) * self.context

    def name_of(self, shard: int) -> str:
        return f"shard-{shard:05d}.safetensors"

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of tokens at all sites, with ids and masks."""
        return self.context * (sum(self.widths.values()) * as_dtype(self.dtype).itemsize + TOKEN_BYTES)

    @property
    def bytes(self) -> int:
        """Bytes of the finished cache, to within the shards' headers."""
        per_shard = 1024 + sum(16 * w + 512 for w in self.widths.values())
        return self.rows * (self.row_bytes + 5 * self.context) + self.shards * per_shard

    @property
    def shard_bytes(self) -> int:
        """Bytes of a full shard: what a harvest holds in memory beside the model."""
        return min(self.shard_rows, self.rows) * self.row_bytes


def make_layout(
    model: "TransformerBridge", sites: Sequence[str | Site], shape: tuple[int, int], dtype: str, shard_tokens: int
) -> Layout:
    """The layout of a cache of `shape` (rows, context) at `sites`; BadInput for what cannot be cached."""
    if dtype not in DTYPES:
        raise BadInput(f"Activations cannot be stored as '{dtype}'; choose {', '.join(DTYPES)}.")
    wanted = parse_sites(sites, model)
    rows, context = shape
    if not rows:
        raise BadInput("There is nothing to harvest: the token set has no rows.")
    if shard_tokens < context:
        raise BadInput(
            f"A shard of {shard_tokens} tokens cannot hold one row of {context}; make shard_tokens at least that."
        )
    return Layout({s.name: width(s, model) for s in wanted}, dtype, context, rows, shard_tokens // context)
