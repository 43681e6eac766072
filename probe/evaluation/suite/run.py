"""Run the suite: minutes, offline, every number beside its baselines."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from threadpoolctl import threadpool_limits

from probe.dictionaries.store import AnyDictionary
from probe.doc import Doc
from probe.evaluation.evaluate import opened
from probe.evaluation.reconstruction import fit_affine, reconstruction
from probe.evaluation.report import EvalReport
from probe.evaluation.suite.absorption import absorption, decoder, without_latents
from probe.evaluation.suite.baselines import activations, budget_rows, random_weights, train_briefly, untrained_like
from probe.evaluation.suite.probing import KS, probe_task
from probe.evaluation.suite.readings import Readings, read
from probe.evaluation.suite.report import SuiteReport, summarise
from probe.evaluation.suite.spelling import Spelling, letter_probe, spelling
from probe.methods import CacheName, DictionaryName, method
from probe.plain_values import Settings, look_at_config, takes_fields
from probe.progress import SILENT, Progress
from probe.show.record import Record
from probe.text.labelled import LabelledText, labelled_text
from probe.training.pairs import Pairs, pairs_for
from probe.words import size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache

REBUILDS = ("sae", "crosscoder")


BUDGET = 30_000
"""Tokens that baselines are trained on."""


@dataclass(frozen=True)
class SuiteConfig(Settings):
    """How thorough the suite is. Equal configs give equal numbers."""

    context: Annotated[int, Doc(least=1)] = 48
    "Tokens of a labelled passage."
    per_address: Annotated[int, Doc(least=3)] = 4
    "Passages of each address of the bundled corpus."
    per_class: Annotated[int, Doc(least=1)] = 200
    "Examples of each class in the tasks on single tokens."
    words: Annotated[int, Doc(least=1)] = 80
    "Words of each letter, at most."
    seeds: Annotated[int, Doc(least=1)] = 3
    "Splits of each probing task."
    budget: Annotated[int, Doc(least=0)] = BUDGET
    "Tokens the baselines `same budget` and `random weights` are trained on; 0 leaves them out."
    epochs: Annotated[int, Doc(least=1)] = 3
    "Passes over them."
    batch: Annotated[int, Doc(least=1)] = 16
    "Rows a forward pass."
    seed: Annotated[int, Doc(least=0)] = 0
    "Choice of passages and words, start of the baselines, shuffling of the weights."

    def __post_init__(self) -> None:
        look_at_config(self)


@dataclass(frozen=True)
class SuitePlan(Record):
    """About what the suite will take. tokens_read: through the model. memory_bytes: beside the model."""

    tokens_read: int
    tokens_trained: int
    memory_bytes: int

    def summary(self) -> str:
        return (
            f"The suite: {self.tokens_read:,} tokens read up to the dictionary's last site, {self.tokens_trained:,} trained on, "
            f"{size(self.memory_bytes)} of memory."
        )


def plan_run_suite(
    model: "TransformerBridge", dictionary: DictionaryName, cache: CacheName, **settings: Any
) -> SuitePlan:
    """What `run_suite` would take."""
    return plan_suite(model, opened(dictionary, cache, model)[0], SuiteConfig(**settings))


@method("suite", group="dictionaries", plan="plan_run_suite")
@takes_fields("config", SuiteConfig)
def run_suite(
    model: "TransformerBridge",
    dictionary: Annotated[DictionaryName, Doc("The dictionary to judge; it reads raw activations.")],
    cache: Annotated[CacheName, Doc("The cache whose held-out documents judge it.")],
    config: SuiteConfig | None = None,
    *,
    known: Annotated[
        EvalReport | None, Doc("Its evaluation on the same cache, if it was made already.", in_python=True)
    ] = None,
    progress: Progress = SILENT,
) -> SuiteReport:
    """How a dictionary compares with what needs none: probing, first-letter absorption and splitting, FVU and L0 of both.

    The baselines: an untrained dictionary, the activations themselves, one of the same kind trained on a few tokens, and the same
    on a model with shuffled weights. Minutes, offline. Raises BadInput where sites or widths do not fit, or no document was held
    out.

    >>> quick = SuiteConfig(context=16, per_address=3, per_class=8, words=4, seeds=1, budget=0)
    >>> suite = ow.run_suite(model, transcoder, cache, quick)
    >>> suite.rows()[0]["measure"]  # good: below what stands beside it, untrained and the same budget
    'fvu'
    """
    start, config = time.perf_counter(), config or SuiteConfig()
    dictionary, cache = opened(dictionary, cache, model)
    suite = _Suite(model, dictionary, cache, config, progress)
    suite.on_this_model(known)
    if config.budget:
        suite.on_a_random_model()
    return SuiteReport(
        name=dictionary.name,
        kind=dictionary.kind,
        site_in=" + ".join(dictionary.sites_in),
        site_out=" + ".join(dictionary.sites_out),
        measures=summarise(suite.reconstruction, suite.probing, suite.letters),
        probing=suite.probing,
        letters=suite.letters,
        tasks={t.name: t.meaning for t in suite.text.tasks},
        settings={**asdict(config), "ks": list(KS), "letters": suite.words.letters, "n_words": len(suite.words.words)},
        seconds=time.perf_counter() - start,
    )


class _Suite:
    """What is measured so far, by subject."""

    def __init__(
        self,
        model: "TransformerBridge",
        dictionary: AnyDictionary,
        cache: "Cache",
        config: SuiteConfig,
        progress: Progress,
    ):
        self.model, self.dictionary, self.config, self.progress = model, dictionary, config, progress
        self.pairs: Pairs = pairs_for(cache, dictionary)
        self.cached = cache.tokens()
        self.held_out = cache.manifest.facts["held_out_documents"]
        sizes = {"context": config.context, "per_class": config.per_class, "per_address": config.per_address}
        self.text: LabelledText = labelled_text(model, seed=config.seed, **sizes)
        self.words: Spelling = spelling(model, per_letter=config.words, seed=config.seed)
        self.reconstruction: dict[str, dict[str, float]] = {}
        self.probing: list[dict[str, Any]] = []
        self.letters: list[dict[str, Any]] = []

    def on_this_model(self, known: EvalReport | None) -> None:
        """The dictionary, an untrained one, the activations themselves, and one trained on the small budget."""
        own = self._own() if known is None else vars(known)
        self.reconstruction["dictionary"] = {k: own[k] for k in ("fvu", "l0")}
        if np.isfinite(own["fvu_affine"]):
            self.reconstruction["affine map"] = {"fvu": own["fvu_affine"]}
        untrained = untrained_like(self.dictionary, own["l0"], self.pairs, self.config.seed)
        self._reconstructed("untrained", untrained, self.pairs)
        subjects = {"dictionary": self.dictionary, "untrained": untrained}
        if self.config.budget:
            subjects["same budget"] = self._briefly("same budget")
        self._measure(subjects, with_activations=True)

    def _own(self) -> dict[str, Any]:
        affine = None if self.dictionary.kind in REBUILDS else fit_affine(self.pairs, self.progress)
        return reconstruction([self.dictionary], affine, self.pairs, self.progress)[0]

    def on_a_random_model(self) -> None:
        """The same kind of dictionary, trained as `same budget` was, on the model with shuffled weights."""
        with random_weights(self.model, self.config.seed):
            self._measure({"random weights": self._briefly("random weights")}, with_activations=False)

    def _briefly(self, subject: str) -> AnyDictionary:
        rows, n_train = budget_rows(self.cached, self.held_out, self.config.budget, self.config.seed)
        options = {"batch": self.config.batch, "progress": self.progress}
        pairs = activations(self.model, self.cached, rows, n_train, self.dictionary, **options)
        learned = train_briefly(self.dictionary, pairs, self.config.epochs, self.config.seed, self.progress)
        self._reconstructed(subject, learned, pairs)
        return learned

    def _reconstructed(self, subject: str, dictionary: AnyDictionary, pairs: Pairs) -> None:
        found = reconstruction([dictionary], None, pairs, self.progress)[0]
        self.reconstruction[subject] = {k: found[k] for k in ("fvu", "l0")}

    def _measure(self, subjects: Mapping[str, AnyDictionary], with_activations: bool) -> None:
        text, words, some = self.text, self.words, list(subjects.values())
        options = {"batch": self.config.batch, "progress": self.progress}
        found = read(self.model, text.tokens, (text.row, text.first, text.last), some, **options)
        features = dict(zip(subjects, found.latents, strict=True))
        if with_activations:
            features["activations"] = found.inputs
        spelled = read(self.model, words.tokens, words.spans, some, **options)
        with threadpool_limits(1):  # threads cost more than the small products of probes
            self._probe(features)
            self._spell(subjects, spelled)

    def _probe(self, features: Mapping[str, Any]) -> None:
        seeds = range(self.config.seed, self.config.seed + self.config.seeds)
        with self.progress.stage("probing", len(features) * len(self.text.tasks), "task") as step:
            for subject, matrix in features.items():
                for task in self.text.tasks:
                    ks = (*KS, 0) if subject == "activations" else KS
                    groups = self.text.address[task.spans]
                    scores = probe_task(matrix[task.spans], task.labels, groups, ks, list(seeds))
                    self.probing += [
                        {"task": task.name, "subject": subject, "k": k, "accuracy": mean, "error": error}
                        for k, (mean, error) in scores.items()
                    ]
                    step(1)

    def _spell(self, subjects: Mapping[str, AnyDictionary], found: Readings) -> None:
        words = self.words
        known = letter_probe(found.inputs, words.letter, words.test)
        written = known if self.dictionary.kind in REBUILDS else letter_probe(found.targets, words.letter, words.test)
        with self.progress.stage("first letters", len(subjects) * len(words.letters), "letter") as step:
            for (subject, d), latents in zip(subjects.items(), found.latents, strict=True):
                residual = found.targets - without_latents(d, found.inputs)
                rows = decoder(d).detach().double().cpu().numpy()
                for one in absorption(latents, rows, residual, written, words.letter, words.letters, words.test):
                    extra = {"n_latents": len(one.latents), "probe_f1": known.f1, "probe_f1_out": written.f1}
                    self.letters.append({"subject": subject, **asdict(one), **extra})
                    step(1)


def plan_suite(model: "TransformerBridge", dictionary: AnyDictionary, config: SuiteConfig | None = None) -> SuitePlan:
    """About what the suite will take: tokens through the model, tokens trained on, bytes for the model's own weights."""
    config = config or SuiteConfig()
    text = 228 * config.per_address * config.context + 26 * config.words * 8
    passes = 2 if config.budget else 1
    weights = sum(w.numel() * w.element_size() for w in model.parameters())
    return SuitePlan(
        tokens_read=passes * (text + config.budget * 4 // 3),
        tokens_trained=2 * config.budget * config.epochs,
        memory_bytes=weights * (config.budget > 0) + config.budget * (dictionary.d_in + dictionary.d_out) * 8,
    )
