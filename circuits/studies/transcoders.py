"""Transcoders in the place of some MLPs: how well they stand in, what their latents carry, and whether weights alone would do.

Taken are the transcoders that are stored for the model, of each layer the newest. What an earlier latent j gives a later one i at
the same token is (Dunefsky et al. 2024)

    (activation of j / the norm's divisor) * (W_dec[j] . W_enc[:, i], the norm's weight folded in)

The second factor holds for every input. Earlier latents are ranked by it alone and by the mean of the whole over a text; what the
two rankings share among their first ten says whether weights alone would do.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from circuits.replacement.points import attention_reads
from circuits.studies.claim import Measured
from circuits.studies.last_token import Scores, Task
from circuits.studies.study import Bench, Found, Table
from circuits.studies.traced import Traced
from circuits.studies.unit_sets import sets_of
from circuits.studies.years_and_capitals import SHORT, TESTED
from circuits.weights.units import weight_view
from probe.artifacts.folder import KINDS, home, place
from probe.artifacts.manifest import Manifest, read_manifest
from probe.dictionaries.store import load_dictionary
from probe.errors import BadInput, OpenworkError
from probe.identity import model_name
from probe.interventions.forward import capture
from probe.interventions.running import intervene
from probe.interventions.unit_edits import encoded
from probe.interventions.values import Splice
from probe.model.sites import Site, parse_site
from probe.text.documents import corpus
from probe.text.tokens import tokenize

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

FIRST, N_TARGETS, N_TEXT, CONTEXT = 10, 8, 2048, 64
OFTEN = (0.01, 0.2)
"""How often a latent fires whose earlier ones are ranked: neither hardly ever, nor nearly always."""
Given = Mapping[int, Any]


def transcoders_of(model: "TransformerBridge") -> dict[int, Any]:
    """By layer. BadInput where none is stored."""
    found: dict[int, Any] = {}
    for manifest in _newest_first():
        layer = _layer_of(manifest.facts)
        if layer is None or layer in found:
            continue
        try:
            found[layer] = load_dictionary(place("dictionary", manifest.name), model)
        except OpenworkError:
            continue  # another model's, or damaged
    if not found:
        raise BadInput(
            f"No transcoder of an MLP of {model_name(model)} is stored under {home()}; train some, like `openwork train --kind "
            "transcoder`, and ask again."
        )
    return dict(sorted(found.items()))


def _newest_first() -> list[Manifest]:
    told = []
    for folder in (home() / KINDS["dictionary"]).glob("[!.]*/"):
        try:
            told.append(read_manifest(folder, "dictionary"))
        except OpenworkError:
            continue
    return sorted(told, key=lambda one: one.created, reverse=True)


def _layer_of(facts: Mapping[str, Any]) -> int | None:
    """The layer whose MLP it stands for; None where it is no transcoder of one."""
    if facts.get("dictionary_kind") != "transcoder":
        return None
    read, written = (parse_site(str(facts[f"site_{side}"])) for side in ("in", "out"))
    return read.layer if (read.kind, written.kind) == ("mlp_in", "mlp_out") and read.layer == written.layer else None


# -- in the place of MLPs ----------------------------------------------------------------------------------------------------


def spliced(task: Task, some: Iterable[Any]) -> Scores:
    """The task with transcoders in the MLPs' place, the first position left as it is."""
    keep = torch.zeros_like(task.tokens, dtype=torch.bool)
    keep[:, 0] = True
    with intervene(task.model, [Splice(d, keep) for d in some]):
        return task.scores(task.logits())


def disordered(one: Any, draw: np.random.Generator) -> Any:
    """The same transcoder with what its latents write in random order."""
    found = copy.copy(one)
    found._parameters = dict(one._parameters)  # what is not permuted is the same, not a copy
    found.W_dec = torch.nn.Parameter(one.W_dec[torch.from_numpy(draw.permutation(one.d_dict))], requires_grad=False)
    return found


def replacing(name: str, bench: Bench) -> Found:
    """How much of the margin is left with all transcoders in place, beside disordered ones."""
    given, task = transcoders_of(bench.model), TESTED[name](bench.model).first(bench.scale.prompts)
    whole, draw = task.scores(task.logits()), np.random.default_rng(bench.scale.seed)
    left, drawn = spliced(task, given.values()).margin / whole.margin.mean(), []
    with task.start_at(min(given)):
        for _ in range(bench.scale.sets):
            bench.step(1)
            drawn.append(
                spliced(task, [disordered(d, draw) for d in given.values()]).margin.mean() / whole.margin.mean()
            )
    measured = Measured.of(left, np.array(drawn), over="prompts", seed=bench.scale.seed)
    sets = {"nothing": [], **{f"layer {layer}": [d] for layer, d in given.items()}, "all": list(given.values())}
    rows = [{"replaced": what, **spliced(task, some).means()} for what, some in sets.items()]
    return Found(measured={f"{SHORT[name]}-replaced": measured}, tables=[Table(f"MLPs replaced in {name}", rows)])


def latents(name: str, bench: Bench) -> Found:
    """Graphs with transcoders, and the latents that write most of the margin, ablated."""
    circuit = Traced.of(name, bench, transcoders_of(bench.model))
    units = sets_of(circuit.merged, "latent")["writers"]
    if not units:
        raise BadInput(f"No latent is a node at the last position of the graphs of {name}.")
    tried = circuit.tried("writers", units)
    rows = [{"prompt": g.prompt, **g.scores.to_dict()} for g in circuit.graphs]
    tables = [Table(f"Graphs of {name} with transcoders", rows), *circuit.tables([tried])]
    return Found(measured=tried.measured(f"{SHORT[name]}-latents"), tables=tables)


# -- by weights alone --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Activity:
    """By layer: latents of some tokens, and divisors of the norm before the MLP there."""

    latents: dict[int, Float[Tensor, "token latent"]]
    scales: dict[int, Float[Tensor, " token"]]

    def given(self, earlier: Sequence[int], layer: int) -> Float[Tensor, " latent"]:
        """Mean of activation over divisor, for all latents of the earlier layers."""
        return (torch.cat([self.latents[i] for i in earlier], 1) / self.scales[layer][:, None]).mean(0)


def activity(
    model: "TransformerBridge", tokens: Int[Tensor, "row pos"], keep: Bool[Tensor, "row pos"], given: Given
) -> Activity:
    """Of the tokens that are kept."""
    read = {i: parse_site(d.site_in) for i, d in given.items()}
    norms = {i: Site("ln2_scale", i) for i in given}
    parts: dict[int, list[tuple[Tensor, Tensor]]] = {i: [] for i in given}
    for rows, kept in zip(tokens.split(16), keep.split(16), strict=True):
        seen = capture(model, rows, [*read.values(), *norms.values()])
        for i, d in given.items():
            parts[i].append((encoded(d, seen[read[i].name][kept]), seen[norms[i].name][kept][:, 0]))
    latents, scales = ({i: torch.cat([one[k] for one in some]) for i, some in parts.items()} for k in (0, 1))
    return Activity(latents, scales)


def ranking(bench: Bench) -> Found:
    """The rankings of earlier latents for some latents of every layer but the first, on a text."""
    model, given = bench.model, transcoders_of(bench.model)
    if len(given) < 2:
        raise BadInput("Earlier latents are ranked where transcoders of two layers or more are stored; there is one.")
    text = tokenize(model, corpus("sotu", seed=1), context=CONTEXT, max_tokens=N_TEXT)
    bench.step(len(text.tokens) / 16)
    on_text = activity(model, text.tokens, ~text.special, given)
    rows, wholes = [], []
    for layer in list(given)[1:]:
        for target in targets(on_text.latents[layer]):
            alone, whole = both(model, given, layer, target, on_text)
            rows.append(
                {"latent": f"L{layer}F{target}", **{f"first {k}": common(alone, whole, k) for k in (FIRST, 20, 50)}}
            )
            wholes.append(whole)
    values, draws = np.array([row[f"first {FIRST}"] for row in rows]), _by_chance(wholes, bench)
    measured = Measured.of(values, draws, over="latents", seed=bench.scale.seed)
    return Found(measured={"weights-alone": measured}, tables=[Table("What both rankings share", rows)])


def targets(seen: Float[Tensor, "token latent"]) -> list[int]:
    """The strongest latents that fire neither hardly ever nor nearly always."""
    often = (seen > 0).float().mean(0)
    strength = ((often > OFTEN[0]) & (often < OFTEN[1])) * seen.mean(0)
    return strength.topk(min(N_TARGETS, len(strength))).indices.tolist()


def both(
    model: "TransformerBridge", given: Given, layer: int, target: int, on_text: Activity
) -> tuple[Float[Tensor, " latent"], Float[Tensor, " latent"]]:
    """What each earlier latent gives one: by weights alone, and on the text."""
    view, earlier = weight_view(model, list(given.values())), [i for i in given if i < layer]
    reader = view.bank(view.name(f"L{layer}F{target}")).readers(torch.tensor([target]))["enc"][0]
    banks = [view.bank(view.name(f"L{i}F0")) for i in earlier]
    written = [bank.writers(slice(0, bank.n), attention_reads(layer)) for bank in banks]
    alone = torch.cat([one @ reader for one in written if one is not None])
    return alone, alone * on_text.given(earlier, layer)


def common(one: Float[Tensor, " latent"], other: Float[Tensor, " latent"], k: int) -> float:
    """The share that the first k of two rankings have in common."""
    firsts = [set(values.topk(min(k, len(values))).indices.tolist()) for values in (one, other)]
    return len(firsts[0] & firsts[1]) / k


def _by_chance(wholes: Sequence[Float[Tensor, " latent"]], bench: Bench) -> Float[np.ndarray, " set"]:
    """The same share of as many random latents, mean over those asked about; set by set."""
    draw, found = np.random.default_rng(bench.scale.seed), []
    firsts = [(set(whole.topk(FIRST).indices.tolist()), len(whole)) for whole in wholes]
    for _ in range(bench.scale.sets):
        hits = [len(first & set(draw.choice(n, FIRST, replace=False).tolist())) for first, n in firsts]
        found.append(np.mean(hits) / FIRST)
    return np.array(found)
