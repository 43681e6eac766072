"""A study as a contributor would write one, of the hand-wired model in which neuron i alone carries token i to the next."""

from functools import partial

import numpy as np
import torch

from circuits.studies.claim import Claim, Measured, Rule
from circuits.studies.study import Bench, Found, Part, Study, Table
from probe.errors import BadInput
from probe.interventions.places import head, neuron
from probe.interventions.running import intervene
from probe.interventions.values import Zero

N_TOKENS = 8
MOST = Rule(holds=0.5, in_part=0.2)


def lost(bench: Bench, token: int, zero: Zero) -> float:
    """Share of the next token's logit that a prompt of one token loses."""
    tokens, to = torch.tensor([[token]]), (token + 1) % N_TOKENS
    with torch.no_grad():
        before = bench.model(tokens)[0, -1, to]
        with intervene(bench.model, [zero]):
            after = bench.model(tokens)[0, -1, to]
    bench.step(1)
    return float((before - after) / before)


def _neurons(bench: Bench) -> np.ndarray:
    """What each token loses without each neuron."""
    pairs = [[lost(bench, t, Zero(neuron(0, n))) for n in range(N_TOKENS)] for t in range(N_TOKENS)]
    return np.array(pairs)


def _random(table: np.ndarray, bench: Bench) -> np.ndarray:
    """Of each set, the mean over tokens with a random other neuron for each."""
    tokens = np.arange(N_TOKENS)
    drawn = np.random.default_rng(bench.scale.seed).integers(1, N_TOKENS, (bench.scale.sets, N_TOKENS))
    return table[tokens, (tokens + drawn) % N_TOKENS].mean(1)


def units(off: int, name: str, bench: Bench) -> Found:
    """The neuron `off` further than the token's own. 0 is the one that carries it."""
    table, tokens = _neurons(bench), np.arange(N_TOKENS)
    values = table[tokens, (tokens + off) % N_TOKENS]
    found = Measured.of(values, _random(table, bench), over="prompts", seed=bench.scale.seed)
    rows = [{"token": t, "lost": v} for t, v in enumerate(values.tolist())]
    return Found(measured={name: found}, tables=[Table(name, rows)])


def attention(bench: Bench) -> Found:
    """The only head, which writes nothing."""
    values = np.array([lost(bench, t, Zero(head(0, 0))) for t in range(N_TOKENS)])
    return Found(measured={"head": Measured.of(values, _random(_neurons(bench), bench), over="prompts")})


def other_words(bench: Bench) -> Found:
    """A task that this model cannot be asked."""
    raise BadInput("Its words are no single tokens here.")


def _runs(scale):
    return N_TOKENS * N_TOKENS


_SAME = {"source": "Nobody 2026.", "measure": "Share of the logit lost.", "control": "random neurons.", "rule": MOST}
STUDY = Study(
    name="wired",
    title="A wired model",
    paper="Nobody 2026",
    claims=[
        Claim(name="own", sentence="A token's own neuron carries it.", part="own", **_SAME),
        Claim(name="next", sentence="The next token's neuron carries it.", part="next", **_SAME),
        Claim(name="head", sentence="The head carries it.", part="attention", **_SAME),
        Claim(name="words", sentence="It knows words.", part="words", **_SAME),
    ],
    parts=[
        Part("own", partial(units, 0, "own"), _runs),
        Part("next", partial(units, 1, "next"), _runs),
        Part("attention", attention, _runs),
        Part("words", other_words, lambda scale: 0),
    ],
)
