"""Every writer there is, on the toy model and in its smallest size, for `faults`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from every_kind import every_kind
from faults import Writer, as_command
from harvests import token_set

from probe.artifacts.folder import home, place
from probe.errors import Unavailable

SITES = ["mlp_in.1", "mlp_out.1", "mlp_post.1"]
STUDY: dict[str, Any] = {"prompts": 1, "k": 3, "length": 2, "branches": 2}
SMALL: dict[str, Any] = {"shard_tokens": 48, "batch": 3, "dtype": "float32"}


def template(model: Any, folder: Path) -> None:
    """A home with a cache, a dictionary, a table, a graph and a study, which the writers start from, and an exported dictionary
    beside it. OPENWORK_HOME must be it."""
    from circuits.blind.making import new_study
    from circuits.graph.store import save_graph
    from probe.activations.harvest import harvest
    from probe.dictionaries import load_dictionary
    from probe.exchange import export_dictionary
    from probe.features import build_features
    from probe.model.load import stamp

    assert place("cache", "c").is_relative_to(folder)
    cache = harvest(model, token_set(8), SITES, place("cache", "c"), **SMALL)
    _train(cache, "d", False)
    learned = load_dictionary(place("dictionary", "d"), model)
    build_features(model, learned, cache, place("features", "t"))
    save_graph(every_kind(), place("graph", "g"), model=stamp(model))
    new_study(model, build_features(model, 1, cache, place("features", "n")), 5, "st", **STUDY)
    export_dictionary(learned, folder.parent / "exported", "saelens", model_name="toy")


def _train(cache: Any, name: str, resume: bool) -> None:
    from probe.training.recipes import Recipe, make
    from probe.training.trainer import TrainConfig, train

    config = TrainConfig(batch=32, epochs=1, checkpoint_every=1, log_every=1)
    dictionary = make(cache, Recipe("sae", "topk:4", 8, ("mlp_in.1",), ("mlp_in.1",)))
    train(dictionary, cache, config, place("dictionary", name), resume=resume)


def writers(model: Any) -> dict[str, Writer]:
    """By name. The model is loaded: children are forked with it."""
    import probe.model.load
    from app.cli import run
    from probe.activations.cache import open_cache

    probe.model.load.load_model = lambda *_, **__: model

    def both(name: str, made: str, work: Callable[[bool], object]) -> Writer:
        return Writer(name, lambda: as_command(lambda: work(False)), lambda: as_command(lambda: work(True)), (made,))

    def command(
        name: str, made: str | tuple[str, ...], *words: str, resume: bool = False, edits: bool = False
    ) -> Writer:
        again = [*words, "--resume"] if resume else [*words]
        places = (made,) if isinstance(made, str) else made
        return Writer(name, lambda: run([*words]), lambda: run(again), places, edits)

    def harvested(resume: bool) -> None:
        from probe.activations.harvest import harvest

        harvest(model, token_set(8), SITES[:2], place("cache", "new"), resume=resume, **SMALL)

    def trained(resume: bool) -> None:
        _train(open_cache(place("cache", "c")), "new", resume)

    def swept(resume: bool) -> None:
        from probe.evaluation.sweep import grid, sweep
        from probe.training.trainer import TrainConfig

        config = TrainConfig(batch=48, epochs=1, checkpoint_every=1, log_every=1)
        recipes = grid(["sae"], ["topk:2", "topk:4"], [8], [0], ("mlp_in.1",), ("mlp_in.1",))
        sweep(open_cache(place("cache", "c")), recipes, config, name="s", resume=resume)

    def counted(resume: bool) -> None:
        from probe.features import FeatureConfig, build_features

        config = FeatureConfig(checkpoint_shards=1)
        build_features(model, 1, open_cache(place("cache", "c")), place("features", "new"), config, resume=resume)

    def sampled(resume: bool) -> None:
        from probe.text.model_samples import sample_text

        sample_text(model, place("text", "new"), 4, length=3, batch=2, resume=resume)

    def guessed(resume: bool) -> None:
        from probe.features import set_label

        set_label(place("features", "t"), 3, "fires at years", author="me")

    def studied(resume: bool) -> None:
        from circuits.blind.making import new_study

        new_study(model, "n", 5, "new", **STUDY)

    def hypothesised(resume: bool) -> None:
        from circuits.blind.study import guess

        guess("st", "fires at years")

    def marked(resume: bool) -> None:
        from circuits.graph.marking.stored_marks import mark

        if (found := mark("g", {"op": "pin", "nodes": [2, 3]})).wrong:
            raise Unavailable(found.said)

    def prompted(resume: bool) -> None:
        from app.library.prompts import store

        store("one two", "toy")

    def worked(resume: bool) -> None:
        from app.jobs.job import Job

        Job("abc", "trace", "a job", link="/jobs", state="done", created=1.7e9).write(home() / "jobs")

    def imported() -> list[str]:
        return ["import", str(home().parent / "exported"), "--name", "new", "--model", "toy"]

    def exported() -> list[str]:  # the home is known in the child
        to = str(home() / "out")
        return ["export", "--dictionary", "d", "--format", "saelens", "--to", to]

    def handed_on() -> list[str]:
        to = str(home() / "out" / "g.json")
        return ["graph", "export", "g", "--to", to, "--features", "t", "--units", str(home() / "out" / "units")]

    eval_ = ("eval", "--dictionary", "d", "--cache", "c", "--max-tokens", "24", "--name", "new")
    trace = ("trace", "--prompt", "one two", "--model", "toy", "--max-nodes", "8", "--save", "new")
    patch = ("patch", "--clean", "one two", "--corrupted", "one three", "--over", "resid_pre", "--model", "toy")
    found = [
        both("harvest", "caches/new", harvested),
        both("train", "dictionaries/new", trained),
        both("sweep", "dictionaries", swept),
        both("features", "features/new", counted),
        both("sample", "texts/new", sampled),
        both("label", "features/t", guessed),
        command("eval", "results/new", *eval_, resume=True),
        command("trace", "graphs/new", *trace),
        command("patch", "results/new", *patch, "--save", "new"),
        command("pin", "graphs/g", "graph", "pin", "g", "14", edits=True),
        command("prune", "graphs/new", "graph", "prune", "g", "--save", "new"),
        Writer("graph export", lambda: run(handed_on()), lambda: run(handed_on()), ("out",)),
        both("study", "studies/new", studied),
        both("guess", "studies/st", hypothesised),
        both("edit", "graphs/g", marked),  # what a page could undo may be lost
        both("prompt", "prompts", prompted),
        both("job", "jobs", worked),
        Writer("import", lambda: run(imported()), lambda: run([*imported(), "--resume"]), ("dictionaries/new",)),
        Writer("export", lambda: run(exported()), lambda: run([*exported(), "--resume"]), ("out",)),
    ]
    return {writer.name: writer for writer in found}
