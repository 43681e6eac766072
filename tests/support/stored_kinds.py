"""One artifact of every kind and one unfinished one of each that can be, made on the toy: what is damaged in tests of damage."""

from pathlib import Path

from every_kind import every_kind
from harvests import token_set

from app.jobs.job import Job
from app.library.prompts import store as store_prompt
from circuits.blind.making import new_study
from circuits.blind.study import guess
from circuits.graph.store import save_graph
from circuits.patching.store import save_patching
from circuits.patching.sweep import patch_sweep
from probe.activations.cache import Cache, open_cache
from probe.activations.harvest import harvest
from probe.artifacts.folder import home, place
from probe.artifacts.json import write_json
from probe.artifacts.manifest import Manifest, writing
from probe.artifacts.names import partial
from probe.errors import Cancelled
from probe.evaluation.evaluate import evaluate
from probe.evaluation.store import save_report
from probe.evaluation.sweep import sweep
from probe.features import build_features
from probe.features.labels import set_label
from probe.model.load import stamp
from probe.progress import Watched
from probe.text.model_samples import sample_text
from probe.training.recipes import Recipe, make
from probe.training.trainer import TrainConfig, train

SITES = ["mlp_in.2", "mlp_out.2", "mlp_post.2"]
RECIPE, CONFIG = Recipe("skip_transcoder", "topk:4", 24), TrainConfig(epochs=2, batch=32)


def fill(toy) -> dict[str, Path]:
    """Make all of them under the present home; their folders by what they are."""
    cache = harvest(toy, token_set(24), SITES, place("cache", "cache"), dtype="float32", shard_tokens=96, held_out=0.2)
    learned = train(make(cache, RECIPE), cache, CONFIG, place("dictionary", "dictionary")).dictionary
    table = build_features(toy, 2, cache, place("features", "features"))
    set_label(table.folder, 3, "a label", author="somebody")
    save_graph(every_kind(), place("graph", "graph"), model=stamp(toy))
    pair = ("Mary and John went to Rome", "Mary and Mary went to Rome")
    save_patching(patch_sweep(toy, *pair, answers=(" the", " and"), over="heads", control=2), "patching")
    report = evaluate(toy, learned, cache, max_tokens=64)
    save_report("eval", report, toy, ("dictionary", "cache"), judged={"max_tokens": 64})
    _sweep(toy, cache)
    sample_text(toy, place("text", "text"), 4, length=8, batch=2)
    new_study(toy, table, 5, "study", prompts=1, k=3, length=2, branches=2)
    guess("study", "something")
    _unfinished(toy, cache)
    store_prompt("one two", "toy")
    Job("abc", "trace", "a job", link="/jobs", state="done", created=1.7e9).write(home() / "jobs")
    return {
        "cache": cache.folder,
        "dictionary": place("dictionary", "dictionary"),
        "features": table.folder,
        **{kind: place(kind, kind) for kind in ("graph", "text", "study")},
        **{name: place("result", name) for name in ("patching", "eval", "sweep")},
        "sampling": partial(place("text", "sampling")),
        "training": partial(place("dictionary", "training")),
        "harvesting": partial(place("cache", "harvesting")),
    }


def _sweep(toy, cache: Cache) -> None:
    found = sweep(cache, [RECIPE], CONFIG, name="sw")
    facts = {"subject": "sweep", "dictionaries": [entry.name for entry in found.entries]}
    manifest = Manifest("result", "sweep", stamp(toy), cache.sites, parents=("cache",), facts=facts)
    with writing(place("result", "sweep"), manifest) as scratch:
        write_json(scratch / "sweep.json", {**found.to_dict(), "by_seed": []})


def _stopping(after: float) -> Watched:
    """Progress that is cancelled once so much of a stage is done."""
    watched = Watched(lambda s: watched.cancel() if s.done > after else None, 0.0)
    return watched


def resume_sample(toy, progress=None) -> object:
    """Begin or go on with the sample that is left unfinished."""
    return sample_text(
        toy, place("text", "sampling"), 6, length=8, batch=2, resume=True, progress=progress or Watched(lambda s: None)
    )


def resume_training(progress=None) -> object:
    """The same for the training."""
    cache = open_cache(place("cache", "cache"))
    config = TrainConfig(epochs=2, batch=32, checkpoint_every=2)
    return train(
        make(cache, RECIPE),
        cache,
        config,
        place("dictionary", "training"),
        resume=partial(place("dictionary", "training")).is_dir(),
        progress=progress or Watched(lambda s: None),
    )


def resume_harvest(toy, progress=None) -> object:
    """The same for the harvest."""
    folder = place("cache", "harvesting")
    return harvest(
        toy,
        token_set(24),
        SITES,
        folder,
        dtype="float32",
        shard_tokens=96,
        held_out=0.2,
        resume=partial(folder).is_dir(),
        progress=progress or Watched(lambda s: None),
    )


def _unfinished(toy, cache: Cache) -> None:
    for begin, after in (
        (lambda p: resume_sample(toy, p), 20),
        (resume_training, 300),
        (lambda p: resume_harvest(toy, p), 150),
    ):
        try:
            begin(_stopping(after))
        except Cancelled:
            continue
        raise AssertionError("this was to be left unfinished")
