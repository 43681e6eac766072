"""How good EAP and EAP-IG are on a real model: `python -m scripts.edge_methods [--part exact curves unseen rules] [--json FILE]`.

Both score every edge on some pairs of a task (of IOI those of four templates). Then

curves    faithfulness of circuits of every size on held-out pairs, by both scores and at random: CMD, CPR, from which size on .8
          is kept, and whether the circuit is above the best random one at every size below half
exact     Spearman correlation of both with exact patching on the first of the scored pairs, over edges drawn evenly from all
          (`even`), and over as many from ten bands by the larger of the two scores' sizes (`bands`, half of them from the
          highest). Most edges do little, and what a little does is the clean run's gradient: ranks favour EAP, which is that
          gradient. Pearson's correlation, which weighs large effects, stands beside, and Spearman's over edges above a tenth, a
          hundredth and a thousandth of the largest effect. EAP asks what an edge does to the clean run, EAP-IG what it does on
          the way from the corrupted run to the clean one; so the same edges are also restored one by one in the corrupted run,
          and both methods stand beside that (`restored`) and beside the mean of both effects (`both ends`).
unseen    the same curves on the template that none of the scored pairs has (IOI alone has templates)
rules     what is kept by 1, 2 and 5% of the edges, on the held-out pairs and on the unseen template, by every rule of choice,
          with and without signs, by EAP-IG with two and four times the points, and by scores of the very pairs that are tested
          (not the integer program, which takes minutes for each circuit of a model of this size)
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import spearmanr

from circuits.edge_attribution.attribute import eap, eap_ig
from circuits.edge_attribution.components import components
from circuits.edge_attribution.exact import measured
from circuits.edge_attribution.runs import Comparison
from circuits.edge_attribution.scores import EdgeScores
from circuits.faithfulness.curve import CurveConfig, FaithfulnessCurve, curve_of_scores
from circuits.search.circuit import connected
from circuits.search.select import Kept, Rule, all_chosen
from probe.model.load import DEFAULT, load_model
from probe.progress import Bar
from probe.tasks.pairs import Pairs, task_pairs

PARTS = ("exact", "curves", "unseen", "rules")
BANDS = 10
QUICK: tuple[Rule, ...] = ("top", "greedy", "stable")
SMALL = (0.01, 0.02, 0.05)
UNSEEN = "work"
SEEN = ("store", "then", "friends", "after")


def scores_of_both(model: Any, pairs: Pairs, points: int) -> dict[str, EdgeScores]:
    """The two methods on the same pairs."""
    return {"EAP": eap(model, pairs, progress=Bar()), "EAP-IG": eap_ig(model, pairs, steps=points, progress=Bar())}


def even(total: int, sample: int, draw: np.random.Generator) -> np.ndarray:
    """Edges drawn evenly from all."""
    return np.sort(draw.choice(total, min(sample, total), replace=False))


def banded(scores: dict[str, EdgeScores], sample: int, draw: np.random.Generator) -> np.ndarray:
    """Half of the edges from the tenth of the largest scores, the others from the nine tenths below alike."""
    size = np.max([np.abs(one.score) for one in scores.values()], axis=0)
    bands = np.array_split(np.argsort(size), BANDS)
    asked = [sample // 2 // (BANDS - 1)] * (BANDS - 1) + [sample // 2]
    return np.sort(
        np.concatenate([draw.choice(b, min(k, len(b)), replace=False) for b, k in zip(bands, asked, strict=True)])
    )


def correlations(scores: dict[str, EdgeScores], exact: EdgeScores, some: np.ndarray) -> dict[str, Any]:
    """Of each method on these edges."""
    truth = exact.score[some]
    found: dict[str, Any] = {"edges": len(some), "largest effect": float(np.abs(truth).max())}
    for name, one in scores.items():
        guess = one.score[some]
        found[name] = {
            "spearman": float(spearmanr(guess, truth).statistic),
            "spearman of sizes": float(spearmanr(np.abs(guess), np.abs(truth)).statistic),
            "pearson": float(np.corrcoef(guess, truth)[0, 1]),
        }
        for share in (0.1, 0.01, 0.001):
            large = np.abs(truth) > share * np.abs(truth).max()
            found[name][f"spearman above {share} ({int(large.sum())} edges)"] = float(
                spearmanr(guess[large], truth[large]).statistic
            )
        off = np.argsort(-np.abs(guess - truth))[:5]
        found[name]["furthest off"] = [
            [one.layout.name(*map(int, one.edges[some[i]])), round(float(guess[i]), 4), round(float(truth[i]), 4)]
            for i in off
        ]
    return found


def first_pairs(scores: EdgeScores, n: int) -> EdgeScores:
    """The scores of the first pairs alone."""
    cut = {name: getattr(scores, name)[:n] for name in ("by_pair", "clean", "corrupted", "examples")}
    return replace(scores, **cut)


def exact_part(model: Any, train: Pairs, scores: dict[str, EdgeScores], given: argparse.Namespace) -> dict[str, Any]:
    """Both methods beside exact patching, on the first of the pairs that were scored."""
    some, draw, made = range(given.exact_pairs), np.random.default_rng(given.seed), components(model)
    first = {name: first_pairs(one, len(some)) for name, one in scores.items()}
    drawn = {"even": even(len(first["EAP"].edges), given.edges, draw), "bands": banded(first, given.banded, draw)}
    every = np.unique(np.concatenate(list(drawn.values())))
    where = np.argwhere(made.layout.edges)[every]
    clean = measured(model, made, train.some(some), where, every, Bar())
    back = measured(model, made, exchanged(train.some(some)), where, every, Bar())
    restored = replace(back, by_pair=-back.by_pair)  # what the metric loses, as in the clean run
    truths = {
        "clean": clean,
        "restored": restored,
        "both ends": replace(clean, by_pair=(clean.by_pair + restored.by_pair) / 2),
    }
    return {
        "pairs": len(some),
        **{
            f"{n}, {end}": correlations(first, truth, edges)
            for n, edges in drawn.items()
            for end, truth in truths.items()
        },
    }


def exchanged(pairs: Pairs) -> Pairs:
    """The corrupted prompts as the clean ones; what is measured stays."""
    return replace(pairs, clean=pairs.corrupted, corrupted=pairs.clean)


def told(curve: FaithfulnessCurve, random: Float[np.ndarray, "draw size"]) -> dict[str, Any]:
    """What a curve comes to, beside the faithfulness of random circuits."""
    below = curve.shares < 0.5
    best = random.max(0) if len(random) else np.full(len(curve.shares), np.nan)
    return {
        "CMD": curve.cmd,
        "CPR": curve.cpr,
        "keeps .8 from": curve.reaches(0.8),
        "above every random one below half": bool((curve.f > best)[below].all()),
        "f": dict(zip(curve.shares.tolist(), curve.f.round(3).tolist(), strict=True)),
        "random at most": dict(zip(curve.shares.tolist(), best.round(3).tolist(), strict=True)),
        "kept": curve.kept.tolist(),
        "whole, nothing": [float(curve.whole.mean()), float(curve.nothing.mean())],
    }


def curves_on(model: Any, test: Pairs, scores: dict[str, EdgeScores], given: argparse.Namespace) -> dict[str, Any]:
    """Of both methods on these pairs, beside the same random circuits."""
    curves: dict[str, FaithfulnessCurve] = {}
    for name, one in scores.items():
        config = CurveConfig(random=0 if curves else given.random, rule=given.rule, samples=0)
        curves[name] = curve_of_scores(model, one, test, config=config, progress=Bar())
    first = next(iter(curves.values()))
    return {"random CMD": first.random_cmd, **{name: told(curve, first.random_f) for name, curve in curves.items()}}


def rules_part(
    model: Any, train: Pairs, tested: dict[str, Pairs], scores: dict[str, EdgeScores], given: argparse.Namespace
) -> dict[str, Any]:
    """Faithfulness of small circuits by everything that could be chosen otherwise."""
    more = {
        f"EAP-IG, {n} points": eap_ig(model, train, steps=n, progress=Bar())
        for n in (2 * given.points, 4 * given.points)
    }
    chosen = {who: _circuits(one) for who, one in {**scores, **more}.items()}
    found: dict[str, Any] = {}
    for name, pairs in tested.items():
        own = {"EAP-IG of the tested pairs": _circuits(eap_ig(model, pairs, steps=given.points, progress=Bar()))}
        compared = Comparison(model, components(model), pairs, "metric")
        found[name] = _kept(
            {who: _small(compared, circuits) for who, circuits in {**chosen, **own}.items()}, given, name
        )
    return found


def _circuits(scores: EdgeScores) -> dict[str, Kept]:
    """By every rule, one circuit a size."""
    sizes = [int(share * scores.layout.edges.sum()) for share in SMALL]
    return {
        f"{rule}{', signed' if signed else ''}": np.stack(
            [connected(scores.layout, one) for one in all_chosen(scores, sizes, rule, signed=signed)]
        )
        for rule in QUICK
        for signed in (False, True)
    }


def _small(compared: Comparison, circuits: dict[str, Kept]) -> dict[str, dict[str, float]]:
    """Faithfulness by rule, and by how many of the edges."""
    edges = compared.made.layout.edges
    nothing, whole = compared.values(np.stack([np.zeros_like(edges), edges])).mean(1)
    every = {rule: (compared.values(kept).mean(1) - nothing) / (whole - nothing) for rule, kept in circuits.items()}
    return {rule: dict(zip(map(str, SMALL), f.round(3).tolist(), strict=True)) for rule, f in every.items()}


def pairs_asked(model: Any, given: argparse.Namespace) -> tuple[Pairs, Pairs, Pairs | None]:
    """Scored, held out, and of IOI those of a template that neither of these has."""
    seen: dict[str, Any] = {"templates": SEEN} if given.task == "ioi" else {}
    pairs = task_pairs(model, given.task, given.pairs + given.held_out, seed=given.seed, **seen)
    train, test = pairs.some(range(given.pairs)), pairs.some(range(given.pairs, len(pairs)))
    return (
        train,
        test,
        task_pairs(model, "ioi", given.held_out, seed=given.seed + 1, templates=(UNSEEN,)) if seen else None,
    )


def numbers(model: Any, given: argparse.Namespace) -> dict[str, Any]:
    """Every part that is asked for."""
    train, test, unseen = pairs_asked(model, given)
    scores = scores_of_both(model, train, given.points)
    found: dict[str, Any] = {"task": given.task, "pairs scored": len(train)}
    if "curves" in given.part:
        found["curves"] = _kept(curves_on(model, test, scores, given), given, "curves")
    if "exact" in given.part:
        found["exact"] = _kept(exact_part(model, train, scores, given), given, "exact")
    if "unseen" in given.part and unseen is not None:
        found["unseen"] = _kept(curves_on(model, unseen, scores, given), given, "unseen")
    if "rules" in given.part:
        tested = {"held out": test, **({"unseen": unseen} if unseen is not None else {})}
        found["rules"] = rules_part(model, train, tested, scores, given)
    return found


def _kept(part: dict[str, Any], given: argparse.Namespace, name: str) -> dict[str, Any]:
    """Said at once, since the next part takes minutes."""
    print(name, json.dumps(part, indent=1), flush=True)
    return part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--task", default="ioi")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--pairs", type=int, default=32, help="that edges are scored on for curves")
    parser.add_argument("--held-out", type=int, default=16)
    parser.add_argument("--exact-pairs", type=int, default=8, help="that edges are patched on one by one")
    parser.add_argument("--edges", type=int, default=500, help="of the even sample that is patched")
    parser.add_argument("--banded", type=int, default=500, help="of the sample by bands")
    parser.add_argument("--points", type=int, default=5)
    parser.add_argument("--random", type=int, default=2, help="random circuits of every size")
    parser.add_argument("--rule", choices=["top", "greedy", "stable", "optimal"], default="top")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where the numbers are written too")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    found = numbers(load_model(given.model), given)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
