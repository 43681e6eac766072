"""Greater-than and capital-of in one model: what carries them, whether graphs find it, and whether it holds in other prompts.

greater-than    "The war lasted from the year 1732 to the year 17": where digits are written one by one, the next token is the
                tens digit. Right: digits above the start year's, wrong: those below; the equal one is neither.
capital-of      "The capital of France is": the capital against those of all other countries asked about.

Graphs are of a few prompts (`traced`); sets of units found in them are tried on others (`tested`). A pair of prompts has a
contrast: for greater-than the digits between the two start digits minus those above both, for capitals the first's minus the
second's.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float

import circuits
from circuits.comparison.merge import MergedGraph
from circuits.studies import digits, unit_sets, way
from circuits.studies.claim import Claim, Measured, Rule
from circuits.studies.last_token import Pairs, Scores, Task, batch, single
from circuits.studies.study import Bench, Found, Line, Lines, Part, Scale, Study, Table
from probe.errors import BadInput
from probe.identity import model_name
from probe.statistics import Interval
from probe.text.tokens import encode_prompt

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_CAPITALS = (
    "France:Paris, Germany:Berlin, Italy:Rome, Japan:Tokyo, Greece:Athens, Ireland:Dublin, Portugal:Lisbon, "
    "Hungary:Budapest, England:London, Russia:Moscow, China:Beijing, Austria:Vienna, Poland:Warsaw, Iran:Tehran, "
    "Cuba:Havana, Syria:Damascus, Canada:Ottawa, Norway:Oslo, Sweden:Stockholm, Denmark:Copenhagen, "
    "Finland:Helsinki, Afghanistan:Kabul, Peru:Lima, Ukraine:Kiev, Kenya:Nairobi, Belgium:Brussels, "
    "Scotland:Edinburgh, Chile:Santiago, Israel:Jerusalem, Argentina:Buenos, Bulgaria:Sofia, Philippines:Manila, "
    "Australia:Canberra, Switzerland:Bern, Netherlands:Amsterdam, Spain:Madrid, Egypt:Cairo, Iraq:Baghdad"
)
CAPITALS = {country: capital for country, _, capital in (pair.partition(":") for pair in _CAPITALS.split(", "))}
N_TRACED, N_PAIRS, FEWEST = 8, 12, 16
"""Countries that are traced; pairs of others; the fewest that this can be done with."""
TRACED_YEARS = (("war", 32), ("siege", 47), ("war", 62), ("siege", 24))
NOUNS = ("reign", "voyage")
STARTS = (13, 24, 36, 42, 57, 68, 75, 84)

# -- greater-than ------------------------------------------------------------------------------------------------------------


def digit_ids(model: "TransformerBridge") -> list[int]:
    """Token ids of the ten digits. BadInput where years are not written digit by digit."""
    found = [single(model, str(digit)) for digit in range(10)]
    whole = encode_prompt(model, year_prompt("war", 32))
    if None in found or encode_prompt(model, year_prompt("war", 32) + "3") != [*whole, found[3]]:
        raise BadInput(
            f"{model_name(model)} does not write years digit by digit, and greater-than is asked of the tens digit; take a model "
            "whose tokenizer does, like smollm2-135m."
        )
    return [one for one in found if one is not None]


def year_prompt(noun: str, start: int) -> str:
    """`The war lasted from the year 1732 to the year 17`."""
    return f"The {noun} lasted from the year 17{start:02d} to the year 17"


def years(model: "TransformerBridge", asked: Sequence[tuple[str, int]]) -> Task:
    """asked: nouns with start years."""
    ids, tens = digit_ids(model), [year // 10 for _, year in asked]
    later, earlier = [ids[t + 1 :] for t in tens], [ids[:t] for t in tens]
    prompts = [year_prompt(noun, year) for noun, year in asked]
    return Task(
        "greater-than", model, prompts, later, earlier, _differs(model, *map(partial(year_prompt, "war"), (32, 42)))
    )


def year_pairs(model: "TransformerBridge") -> Pairs:
    """Start decades 2 and 6, 3 and 7, and the other way round."""
    ids, clean, corrupted, high, low = digit_ids(model), [], [], [], []
    for noun in NOUNS:
        for a, b in ((2, 6), (3, 7), (6, 2), (7, 3)):
            clean.append(year_prompt(noun, 10 * a + 4))
            corrupted.append(year_prompt(noun, 10 * b + 4))
            small, large = sorted((a, b))
            high.append(ids[small + 1 : large])
            low.append(ids[large + 1 :])
    varied = _differs(model, clean[0], corrupted[0])
    return Pairs("greater-than", batch(model, clean), batch(model, corrupted), high, low, varied)


def _differs(model: "TransformerBridge", one: str, other: str) -> int:
    """Where two prompts differ first."""
    a, b = batch(model, [one, other])
    return int((a != b).nonzero()[0])


# -- capital-of --------------------------------------------------------------------------------------------------------------


def capitals(model: "TransformerBridge") -> dict[str, int]:
    """Token ids of the capitals that are one token, of countries that are one token. BadInput where there are too few."""
    ids = {c: single(model, " " + k) for c, k in CAPITALS.items() if single(model, " " + c) is not None}
    found = {c: one for c, one in ids.items() if one is not None}
    if len(found) < FEWEST:
        raise BadInput(
            f"On {model_name(model)} {len(found)} of {len(CAPITALS)} countries and their capitals are one token each; capital-of "
            f"needs {FEWEST}. Take a model with a larger vocabulary, like smollm2-135m."
        )
    return found


def capital_of(model: "TransformerBridge", some: slice) -> Task:
    """Some of the countries; the other capitals are those of all."""
    ids = capitals(model)
    asked = list(ids)[some]
    prompts = [f"The capital of {country} is" for country in asked]
    wrong = [[i for name, i in ids.items() if name != country] for country in asked]
    varied = _differs(model, prompts[0], prompts[1])
    return Task("capital-of", model, prompts, [[ids[country]] for country in asked], wrong, varied)


def capital_pairs(model: "TransformerBridge") -> Pairs:
    """Each of some countries with the next one."""
    task = capital_of(model, slice(N_TRACED, N_TRACED + N_PAIRS))
    ids = list(task.more)
    return Pairs("capital-of", task.tokens, task.tokens.roll(-1, 0), ids, ids[1:] + ids[:1], task.varied)


TRACED: dict[str, Callable[[Any], Task]] = {
    "greater-than": lambda model: years(model, TRACED_YEARS),
    "capital-of": lambda model: capital_of(model, slice(N_TRACED)),
}
TESTED: dict[str, Callable[[Any], Task]] = {
    "greater-than": lambda model: years(model, [(n, y) for n in NOUNS for y in STARTS]),
    "capital-of": lambda model: capital_of(model, slice(N_TRACED, None)),
}
PAIRS: dict[str, Callable[[Any], Pairs]] = {"greater-than": year_pairs, "capital-of": capital_pairs}
SHORT = {"greater-than": "years", "capital-of": "capitals"}
"""What the names of a task's claims begin with."""

# -- parts -------------------------------------------------------------------------------------------------------------------


def doing(name: str, bench: Bench) -> Found:
    """How well the model does the task, beside the same prompts with each other's answers."""
    told = {kind: made[name](bench.model) for kind, made in (("traced", TRACED), ("tested", TESTED))}
    task = told["tested"].first(bench.scale.prompts)
    told["tested"], logits, draw = task, task.logits(), np.random.default_rng(bench.scale.seed)
    key = "gap" if name == "greater-than" else "right"
    shuffled = [getattr(task.shuffled(draw).scores(logits), key).mean() for _ in range(bench.scale.sets)]
    own = getattr(task.scores(logits), key)
    found = Measured.of(own, np.array(shuffled), over="prompts", seed=bench.scale.seed)
    rows = [_doing_row(f"{len(t.prompts)} {kind}", t.scores(t.logits())) for kind, t in told.items()]
    bench.step(2)
    return Found(measured={f"{SHORT[name]}-done": found}, tables=[Table(f"How well the model does {name}", rows)])


def _doing_row(prompts: str, scores: Scores) -> dict[str, Any]:
    means = scores.means()
    return {
        "prompts": prompts,
        "margin (logits)": means["margin"],
        "probability right": means["probability"],
        "right minus wrong": means["gap"],
        "likeliest right": means["right"],
        "likeliest wrong": means["wrong"],
    }


def patching(name: str, bench: Bench) -> Found:
    """Where the information is, and which heads move it."""
    run = way.Patching(bench.model, PAIRS[name](bench.model).first(bench.scale.prompts))
    rows = way.windows(run, bench.step)
    heads = way.by_head(run, bench.scale.sets, bench.scale.seed, bench.step)
    names = " ".join(f"L{layer}H{index}" for layer, index in heads.chosen)
    found = Measured.of(heads.together, heads.draws, over="pairs", seed=bench.scale.seed)
    random = {"head": f"{len(heads.chosen)} random of these layers", "attention": None, "mean": found.random.mean}
    together = {"head": names, "attention": None, **way.with_error(torch.tensor(heads.together))}
    return Found(
        measured={f"{SHORT[name]}-heads": found},
        tables=[
            Table(f"Heads patched in {name}: share of the way", [*heads.rows, together, {**random, "error": None}])
        ],
        pictures=[_flow(name, rows)],
    )


LINES = (
    ("resid_post", "varied", "stream at the varied token"),
    ("resid_post", "last", "stream at the last token"),
    ("attn_out", "last", "attention at the last token"),
    ("mlp_out", "last", "MLPs at the last token"),
    ("mlp_out", "varied", "MLPs at the varied token"),
)


def _flow(name: str, rows: Sequence[dict[str, Any]]) -> Lines:
    lines = []
    for what, where, words in LINES:
        some = [row for row in rows if (row["what"], row["where"]) == (what, where)]
        x = [row["last"] if what == "resid_post" else (row["first"] + row["last"]) / 2 for row in some]
        lines.append(Line(words, x, [row["mean"] for row in some], [row["error"] for row in some]))
    title = f"What patches move in {name}, by layer"
    return Lines(title, "layer (windows of three: their middle)", "share of the way to the other answer", lines)


def graphs(name: str, bench: Bench) -> Found:
    """Graphs of the traced prompts, and what becomes of the task without the sets of units found in them."""
    model, scale, short = bench.model, bench.scale, SHORT[name]
    traced, own = (made[name](model).first(scale.prompts) for made in (TRACED, TESTED))
    found = unit_sets.graphs_of(traced, bench.step)
    merged = circuits.merge_graphs(found, align="end")
    sets, untouched = unit_sets.sets_of(merged), own.scores(own.logits())
    measured, rows = {}, {"traced": [], "tested": [_tested_row("nothing", untouched, [], _other(name, model, []))]}
    for what, units in sets.items():
        test = unit_sets.checked(model, found, units, bench.step)
        rows["traced"].append(unit_sets.traced_row(name, what, units, test))
        after = unit_sets.ablated(own, units)
        drawn = unit_sets.without_random(own, units, merged, scale.sets, scale.seed, bench.step)
        rows["tested"].append(_tested_row(what, after, drawn, _other(name, model, units)))
        if what != "suppressors":
            kind = "neurons" if what == "writers" else "heads"
            draws = np.array([unit_sets.lost(one, untouched).mean() for one in drawn])
            values = unit_sets.lost(after, untouched)
            measured[f"{short}-{kind}-needed"] = Measured.of(values, draws, over="prompts", seed=scale.seed)
            guesses = unit_sets.random_closeness(found, units, test, scale.sets, scale.seed).mean(1)
            near = unit_sets.closeness(test)
            measured[f"{short}-{kind}-forecast"] = Measured.of(near, guesses, over="prompts", seed=scale.seed)
    tables = [
        Table(f"Sets of {name} ablated in traced prompts: change of the margin", rows["traced"]),
        Table(f"Sets of {name} ablated in other prompts", rows["tested"]),
    ]
    if name == "greater-than":
        more, table = _by_digit(model, sets["writers"], merged, scale)
        measured, tables = {**measured, **more}, [*tables, table]
    return Found(measured=measured, tables=tables)


def _other(name: str, model: "TransformerBridge", units: Sequence[unit_sets.Unit]) -> float | None:
    """The margin of the other task without these units; None where the model cannot be asked it."""
    other = next(one for one in TESTED if one != name)
    try:
        return float(unit_sets.ablated(TESTED[other](model), units).margin.mean())
    except BadInput:
        return None


def _tested_row(what: str, scores: Scores, drawn: Sequence[Scores], other: float | None) -> dict[str, Any]:
    margins = np.array([one.margin.mean() for one in drawn] or [np.nan])
    return {
        "ablated": what,
        "margin": float(scores.margin.mean()),
        "random sets": float(margins.mean()),
        "lowest": float(margins.min()),
        "highest": float(margins.max()),
        "right minus wrong": float(scores.gap.mean()),
        "likeliest right": float(scores.right.mean()),
        "likeliest wrong": float(scores.wrong.mean()),
        "margin of the other task": other,
    }


def _by_digit(
    model: "TransformerBridge", writers: Sequence[unit_sets.Unit], merged: MergedGraph, scale: Scale
) -> tuple[dict[str, Measured], Table]:
    """What the writers do with the start year, beside random sets of other nodes of their layers."""
    units = [(layer, unit) for _, layer, unit in writers]
    at = np.flatnonzero(unit_sets.at_the_end(merged, "neuron"))
    pool = [(int(merged.nodes.layer[i]), int(merged.nodes.unit[i])) for i in at]
    task = years(model, [(noun, 10 * t + 4) for noun in NOUNS for t in range(10)])
    table = digits.digits_of(task, digit_ids(model), sorted({layer for layer, _ in [*units, *pool]}))
    draw, free = np.random.default_rng(scale.seed), [one for one in pool if one not in units]
    sets = [digits.matched(units, free, draw) for _ in range(scale.sets)]
    written = table.written(units)
    together = Measured(
        interval=Interval(digits.agreement(written, table.logits), *digits.resampled(written, table.logits)),
        n=10,
        over="start digits",
        draws=np.array([digits.agreement(table.written(one), table.logits) for one in sets]),
        seed=scale.seed,
    )
    rulers = Measured.of(
        _rulers(table, units), np.array([_rulers(table, one).mean() for one in sets]), over="neurons", seed=scale.seed
    )
    rows = [{k: v for k, v in table.row(*unit).items() if not isinstance(v, list)} for unit in units]
    return {"years-together": together, "years-single": rulers}, Table("The neurons by start year", rows)


def _rulers(table: digits.Digits, units: digits.Neurons) -> Float[np.ndarray, " neuron"]:
    return np.array([table.ruler(*unit) for unit in units])


def _graph_runs(name: str, scale: Scale) -> float:
    n_traced = min(len(TRACED_YEARS) if name == "greater-than" else N_TRACED, scale.prompts or N_TRACED)
    checked = min(n_traced, unit_sets.N_CHECKED) * (2 + unit_sets.N_MEASURED)
    return n_traced * unit_sets.TRACE_RUNS + 3 * (checked + scale.sets)


def _parts() -> list[Part]:
    return [
        part
        for name in TESTED
        for part in (
            Part(f"{name}-done", partial(doing, name), lambda scale: 2),
            Part(f"{name}-patching", partial(patching, name), lambda scale: way.WINDOW_RUNS + way.N_SEEN + scale.sets),
            Part(f"{name}-graphs", partial(graphs, name), partial(_graph_runs, name)),
        )
    ]


# -- claims ------------------------------------------------------------------------------------------------------------------

MOST = Rule(holds=0.5, in_part=0.2)
"""Of shares: most of it, or a fifth at least."""
CLOSE = Rule(holds=0.7, in_part=0.3)
"""Of agreements, and of forecasts, where 1 is exact."""
_HANNA = "Hanna et al. 2023, “How does GPT-2 compute greater-than?”"
_GEVA = "Geva et al. 2023, “Dissecting Recall of Factual Associations in Auto-Regressive Language Models”"
_GRAPH = (
    "Dunefsky et al. 2024, “Transcoders Find Interpretable LLM Feature Circuits”, for GPT-2 small and by transcoders; here by "
    "neurons."
)
_LAYERS = "random other graph nodes of the same layers at the last token."
_LOST = "Share of the margin that is lost in prompts that were not traced, when they are ablated at the last token."
_FORECAST = (
    "1 - |forecast / measured - 1| of the margin's change when they are ablated in traced prompts: 1 is exact, 0 as good as "
    "none."
)
_GUESSES = "forecasts for random sets of the same graph, taken for this one's."

STUDY = Study(
    name="two-circuits",
    title="Two circuits",
    paper="Hanna et al. 2023; Geva et al. 2023; Dunefsky et al. 2024",
    claims=[
        Claim(
            name="years-done",
            sentence="The model gives later years more probability than earlier ones.",
            source=f"{_HANNA}: it predicts “valid two-digit end years (years > 32)”; here the tens digit.",
            measure="Probability of the later digits minus that of the earlier ones.",
            control="the same prompts with each other's answers.",
            part="greater-than-done",
            rule=MOST,
        ),
        Claim(
            name="years-heads",
            sentence="A few attention heads carry the start year to the last token.",
            source=f"{_HANNA}, of heads that attend to the start year, in our words.",
            measure="Share of the way to the other answer when six heads are patched from a prompt of another start decade.",
            control="six random other heads of the same layers.",
            part="greater-than-patching",
            rule=MOST,
        ),
        Claim(
            name="years-heads-needed",
            sentence="The six heads that graphs find are needed for greater-than in other prompts too.",
            source=_GRAPH,
            measure=_LOST,
            control=_LAYERS,
            part="greater-than-graphs",
            rule=MOST,
        ),
        Claim(
            name="years-neurons-needed",
            sentence="Twenty neurons of the MLPs boost later years, in other prompts too.",
            source=f"{_HANNA}: “GPT-2 small's final multi-layer perceptrons boost the probability of end years greater than the "
            "start year”.",
            measure=_LOST,
            control=_LAYERS,
            part="greater-than-graphs",
            rule=MOST,
        ),
        Claim(
            name="years-together",
            sentence="What these neurons write together follows the start year as the model's logits do.",
            source=f"{_HANNA} and Dunefsky et al. 2024, in our words.",
            measure="Correlation with the logits over start digits and next digits, each digit's mean taken away.",
            control="as many random other nodes of the same layers.",
            part="greater-than-graphs",
            rule=CLOSE,
        ),
        Claim(
            name="years-single",
            sentence="Single neurons respond to the start year and promote the later digits.",
            source=f"{_GRAPH} In our words.",
            measure="Share of the twenty whose activation goes with the start digit and whose promotion goes with the digit, "
            f"both beyond {digits.RULER}.",
            control="the same share of random other nodes of their layers.",
            part="greater-than-graphs",
            rule=MOST,
        ),
        Claim(
            name="years-neurons-forecast",
            sentence="A graph forecasts what ablating greater-than's neurons does.",
            source=_GRAPH,
            measure=_FORECAST,
            control=_GUESSES,
            part="greater-than-graphs",
            rule=CLOSE,
        ),
        Claim(
            name="years-heads-forecast",
            sentence="A graph forecasts what ablating greater-than's heads does.",
            source=_GRAPH,
            measure=_FORECAST,
            control=_GUESSES,
            part="greater-than-graphs",
            rule=CLOSE,
        ),
        Claim(
            name="capitals-done",
            sentence="The model names the capital.",
            source="What all that follows rests on.",
            measure="Share of prompts whose likeliest next token is the capital.",
            control="the same prompts with each other's answers.",
            part="capital-of-done",
            rule=MOST,
        ),
        Claim(
            name="capitals-heads",
            sentence="A few attention heads bring the capital from the country's token to the last.",
            source=f"{_GEVA}: “this extraction is typically done via attention heads”.",
            measure="Share of the way to the other answer when six heads are patched from a prompt of another country.",
            control="six random other heads of the same layers.",
            part="capital-of-patching",
            rule=MOST,
        ),
        Claim(
            name="capitals-heads-needed",
            sentence="The six heads that graphs find are needed for the capitals of other countries too.",
            source=_GEVA + ", in our words.",
            measure=_LOST,
            control=_LAYERS,
            part="capital-of-graphs",
            rule=MOST,
        ),
        Claim(
            name="capitals-neurons-needed",
            sentence="The twenty neurons that write some capitals write those of other countries too.",
            source="No paper's; the same as for greater-than, asked of a task of facts.",
            measure=_LOST,
            control=_LAYERS,
            part="capital-of-graphs",
            rule=MOST,
        ),
        Claim(
            name="capitals-neurons-forecast",
            sentence="A graph forecasts what ablating capital-of's neurons does.",
            source=_GRAPH,
            measure=_FORECAST,
            control=_GUESSES,
            part="capital-of-graphs",
            rule=CLOSE,
        ),
        Claim(
            name="capitals-heads-forecast",
            sentence="A graph forecasts what ablating capital-of's heads does.",
            source=_GRAPH,
            measure=_FORECAST,
            control=_GUESSES,
            part="capital-of-graphs",
            rule=CLOSE,
        ),
    ],
    parts=_parts(),
)
