"""RelP: attribution patching with gradients by rules of layer-wise relevance propagation (Jafari et al. 2025).

    score(u -> v) = sum_pos (write_u(corrupted) - write_u(clean)) . dm / d(input of v)

where the clean run's norm divisors are held, its attention patterns too, a neuron's activation is its held ratio times what it
reads, act(z) = [act(z) / z] z, and a gated product is shared half and half, act(g) u = 1/2 [act(g)] u + 1/2 [act(g) u / g] g.
These are the ratios of `circuits.replacement`: what is differentiated is its frozen model, linear in what components write, so
the scores over a cut of it are exact (what stands behind the unembedding, soft-cap and metric, is differentiated as it is).

Under held patterns queries and keys carry nothing, and their edges score 0, as published. With `attention="through"` gradients go
through the patterns, divisors of norms on queries and keys included (our choice). That divisors and patterns really are held is
looked at once per model: the gradients at all receivers must sum to that of the input.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal
from weakref import WeakKeyDictionary

from jaxtyping import Float
from torch import Tensor

from circuits.edge_attribution.attribute import attributed
from circuits.edge_attribution.components import Components, same, some_metric, sums_to_start
from circuits.edge_attribution.estimate import GradientEstimate, TwoRuns
from circuits.edge_attribution.gradients import backward
from circuits.edge_attribution.plan import EdgeConfig, plan_of
from circuits.edge_attribution.readers import Reader
from circuits.edge_attribution.scores import SIGN, EdgeScores
from circuits.replacement.units import held_weights
from probe.errors import BadInput
from probe.interventions.running import intervene
from probe.interventions.values import Function
from probe.methods import Doc, method
from probe.model.anatomy import probe_tokens, spot
from probe.model.sites import Site, hook_name
from probe.model.writes import activation
from probe.plain_values import takes_fields
from probe.progress import SILENT, Progress
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import Drawn, pairs_of

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Attention = Literal["held", "through"]
_NORMS = ("ln1_scale", "ln1_post_scale", "ln2_scale", "ln2_post_scale")


@dataclass(frozen=True)
class Relevance(GradientEstimate):
    """The gradient of the clean run's frozen model."""

    attention: Attention = "held"
    "Attention patterns: `held`, as published, so that nothing reaches queries and keys; or gradients go `through` them."

    def says(self) -> tuple[str, dict[str, Any]]:
        pattern = "patterns held" if self.attention == "held" else "gradients through patterns"
        told = f"norm divisors held, {pattern}, activations by their held ratio, gated products half and half"
        return "RelP", {"sign": SIGN, "gradient": "of the clean run, by rules", "rules": told}

    def check(self, model: "TransformerBridge", made: Components) -> None:
        require_rules(model, made, self.attention)

    def add(self, runs: TwoRuns, found: Float[Tensor, "batch sender receiver"]) -> None:
        require_rules(runs.model, runs.made, self.attention)
        with rules(runs.model, self.attention):
            runs.add(found, runs.gradient(runs.clean, readers_by(runs.made, self.attention), fixed=True))


plan_relp = plan_of(Relevance)


@method(
    "relp",
    group="circuits",
    plan="plan_relp",
    paper="RelP: Faithful and Efficient Circuit Discovery via Relevance Patching (Jafari et al. 2025)",
)
@takes_fields("rule", Relevance)
@takes_fields("drawn", Drawn)
@takes_fields("config", EdgeConfig)
def relp(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    *,
    n: Annotated[int, Doc("Pairs of the task.", least=1, most=10_000)] = 32,
    rule: Relevance = Relevance(),
    drawn: Drawn = Drawn(),
    config: EdgeConfig = EdgeConfig(),
    progress: Progress = SILENT,
) -> EdgeScores:
    """How much every edge between components matters to a task: EAP, with relevance in the place of gradients.

    The model is held linear at its clean run, so nonlinearities that are flat there still pass on what they carry. One backward
    pass a pair.

    >>> scores = ow.relp(model, "greater-than", n=2)
    >>> scores.of("input->a0.h0<q>"), scores.of("input->a0.kv0<v>") != 0
    (0.0, True)
    """
    return attributed(model, pairs_of(model, task, n, drawn), rule, config, progress)


def readers_by(made: Components, attention: Attention) -> list[Reader]:
    """Who is reached by gradients."""
    return [r for r in made.readers if attention == "through" or r.side not in ("q", "k")]


@contextmanager
def rules(model: "TransformerBridge", attention: Attention) -> Iterator[None]:
    """While it lasts, gradients through the model are by the rules; values stay. BadInput for neurons that are not known.

    A pattern is held where its queries and keys are: not every model's attention lets it be changed before it is used.
    """
    entries: list[Function] = []
    for layer in range(int(model.cfg.n_layers)):
        held = [Site(kind, layer) for kind in (*_NORMS, *(("q", "k") if attention == "held" else ()))]
        entries += [Function(site, Tensor.detach) for site in held if hook_name(site, model) is not None]
        entries += _Neurons(model, layer).entries
    if hook_name(Site("final_scale"), model) is not None:
        entries.append(Function(Site("final_scale"), Tensor.detach))
    with warnings.catch_warnings(), intervene(model, entries):
        warnings.filterwarnings("ignore", message="A forward hook edited hook_scale")  # with its own value
        yield


@dataclass(eq=False)
class _Neurons:
    """A layer's neurons, linear in what they read."""

    model: "TransformerBridge"
    layer: int
    read: dict[str, Tensor] = field(default_factory=dict)

    @property
    def entries(self) -> list[Function]:
        """What is hooked: what they read, then what they hold."""
        sites = [Site(kind, self.layer) for kind in ("mlp_pre", "mlp_pre_linear")]
        for site in (Site("mlp_post", self.layer), sites[0]):
            spot(site, self.model)  # says why there are no neurons
        reading = [Function(s, self._reads(s.kind)) for s in sites if hook_name(s, self.model) is not None]
        return [*reading, Function(Site("mlp_post", self.layer), self._linear)]

    def _reads(self, kind: str) -> Callable[[Tensor], Tensor]:
        def read(value: Tensor) -> Tensor:
            self.read[kind] = value
            return value

        return read

    def _linear(self, value: Tensor) -> Tensor:
        pre, linear = self.read["mlp_pre"], self.read.get("mlp_pre_linear")
        of_in, of_gate = held_weights(
            activation(self.model, self.layer), pre.detach(), None if linear is None else linear.detach()
        )
        made = of_in * pre if linear is None or of_gate is None else of_in * linear + of_gate * pre
        if not same(made.detach(), value.detach(), value.detach()):
            raise BadInput(
                f"Neurons of layer {self.layer} are not what their nonlinearity makes of what they read, so no rule can be "
                "applied to them. Use eap or eap-ig."
            )
        return value.detach() + (made - made.detach())


_held: "WeakKeyDictionary[TransformerBridge, set[str]]" = WeakKeyDictionary()


def require_rules(model: "TransformerBridge", made: Components, attention: Attention) -> None:
    """BadInput where the model's hooks do not let divisors and patterns be held; looked at once per model."""
    if attention in (known := _held.setdefault(model, set())):
        return
    try:
        with rules(model, attention):
            run = backward(model, probe_tokens(model)[:1], readers_by(made, attention), some_metric, fixed=True)
        sums = sums_to_start(run, model.W_E.dtype)
    except AttributeError:  # a norm without weights does not let its divisor be changed
        sums = False
    if not sums:
        raise BadInput(
            "This model's norms or attention patterns cannot be held: gradients by RelP's rules do not sum to that of its input. "
            "Use eap or eap-ig."
        )
    known.add(attention)
