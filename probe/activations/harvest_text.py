"""Harvest text into a stored cache by names alone, and mend a stored cache: the tools `openwork harvest` and
`openwork caches repair`. What a harvest does: `probe.activations.harvest`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from probe.activations.cache import Cache
from probe.activations.harvest import HarvestConfig, harvest
from probe.activations.open_for_repair import open_damaged
from probe.activations.plan import HarvestPlan, plan
from probe.artifacts.locks.claims import claim
from probe.artifacts.manifest import found_folder, model_made_from
from probe.doc import Doc
from probe.errors import Unavailable
from probe.methods import CacheName, CorpusName, tool
from probe.model.aliases import DEFAULT
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.record import Record
from probe.text.documents import corpus
from probe.text.tokens import TokenSet, tokenize

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class TextRead(Settings):
    """The text that is harvested, and how much of it."""

    text: CorpusName = "sotu"
    "sotu (bundled), a .txt, .jsonl or .parquet file, sample:NAME, or datasets:ID[:split[:column]]."
    tokens: Annotated[int, Doc(least=1)] = 300_000
    "Token positions to read."
    context: Annotated[int, Doc(least=2)] = 128
    "Tokens a row, BOS included."

    def rows(self, model: "TransformerBridge", seed: int) -> TokenSet:
        return tokenize(model, corpus(self.text, seed=seed), max_tokens=self.tokens, context=self.context)


def cache_name(model: str, sites: Sequence[str]) -> str:
    """`smollm2-135m-mlp_in.4-mlp_out.4`, free of what a folder name cannot hold."""
    return "-".join([model.rstrip("/").split("/")[-1], *_each(sites)]).replace("/", "-")


def default_model() -> str:
    """The model that is meant where none is named."""
    return DEFAULT


@takes_fields("read", TextRead)
@takes_fields("config", HarvestConfig)
def plan_harvest_text(
    model: "TransformerBridge",
    sites: Sequence[str] = ("mlp_in.4", "mlp_out.4"),
    folder: Path = Path(),
    *,
    read: TextRead = TextRead(),
    config: HarvestConfig = HarvestConfig(),
) -> HarvestPlan:
    """What `harvest_text` would take."""
    rows = read.rows(model, config.seed)
    return plan(model, rows, _each(sites), folder, dtype=config.dtype, batch=config.batch)


@tool("harvest", leaves="cache", plan="plan_harvest_text", named="cache_name", model_by="default_model")
@takes_fields("read", TextRead)
@takes_fields("config", HarvestConfig, ("dtype", "batch", "held_out", "seed"))
def harvest_text(
    model: "TransformerBridge",
    *,
    folder: str | Path,
    sites: Annotated[Sequence[str], Doc("Like mlp_in.4,mlp_out.4; several with commas between, or repeated.")] = (
        "mlp_in.4",
        "mlp_out.4",
    ),
    read: TextRead = TextRead(),
    config: HarvestConfig = HarvestConfig(),
    resume: bool = False,
    progress: Progress = SILENT,
) -> Cache:
    """Write activations of several aligned sites to a cache, stopping the model after the last of them.

    resume: continue an unfinished cache of exactly these settings, or open a finished one. Raises BadInput for unknown sites,
    values the dtype cannot hold, or a folder in the way; Unavailable for a full disk.

    >>> ow.harvest_text(model, folder=folder, sites=["mlp_in.1"], tokens=256, context=32).n_tokens
    256
    """
    rows = read.rows(model, config.seed)
    return harvest(model, rows, _each(sites), folder, config=config, resume=resume, progress=progress)


def _each(sites: Sequence[str]) -> list[str]:
    written = [sites] if isinstance(sites, str) else sites
    return [site.strip() for one in written for site in str(one).split(",") if site.strip()]


@dataclass(frozen=True)
class Repaired(Record):
    """What was damaged of a cache, and of each whether it is now what it was, bit for bit."""

    folder: Path
    damaged: list[str]
    bit_exact: list[bool]

    def to_dict(self) -> dict[str, Any]:
        return {"folder": str(self.folder), "damaged": self.damaged, "bit_exact": self.bit_exact, "still_damaged": []}

    def summary(self) -> str:
        """Which files."""
        return f"{len(self.damaged)} damaged, all made again: {', '.join(self.damaged) or 'none'}"


def model_of_cache(cache: CacheName) -> str:
    """The name of the model a cache was made from."""
    return model_made_from("cache", cache, "`openwork harvest` makes one.") or DEFAULT


@tool("repair", group="caches", model_by="model_of_cache")
def repair_cache(
    model: "TransformerBridge",
    cache: Annotated[CacheName, Doc("The cache; its model is the one it was made from.")],
    *,
    progress: Progress = SILENT,
) -> Repaired:
    """Check the files of a stored cache and make the damaged ones again, from its tokens.

    Raises BadInput for another model, Unavailable if its tokens are damaged, or a file cannot be mended.

    >>> ow.repair_cache(model, "small").damaged
    []
    """
    folder = found_folder("cache", cache, "`openwork harvest` makes one.")
    with claim(folder):
        opened, broken = open_damaged(folder, model, progress)
        exact = [opened.repair(model, name, progress=progress) for name in broken]  # shards first, then their sums
        left = opened.verify(progress=progress) if broken else []
    if left:
        raise Unavailable(
            f"{len(broken) - len(left)} of {len(broken)} damaged files were made again; {', '.join(left)} could not be mended. "
            "Harvest the cache again under another name."
        )
    return Repaired(folder, broken, exact)
