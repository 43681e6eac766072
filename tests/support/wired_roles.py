"""Models wired by hand that do IOI and greater-than by parts whose roles are known, in the words of the tasks themselves.

`ioi_model()`       a0.h0 looks from a name said again to its first mention and notes it; a1.h0 looks from "to" at that note and
                    takes it there; a2.h0 looks from "to" at any name but the noted one and says it; a2.h1 looks alike and takes a
                    quarter back. a0.h1 looks one token back for nobody. There is no induction, and the note is a name, no place.
`without_movers()`  a1.h0 says straight that the noted name is not the answer, so the task is done and nobody says the other.
`years_model()`     a0.h0 looks from the last digit at the start year's tens digit; ten neurons of layer 1, one a digit, raise
                    every later digit and lower every earlier one.
"""

from functools import cache

import pytest
from transformer_lens.model_bridge import TransformerBridge

from circuits.ground_truth import wiring
from circuits.ground_truth.wiring import ONE, Head, Layer, Neuron, wire
from circuits.studies.ioi.prompts import TEMPLATES as USED
from probe.tasks.greater_than import TEMPLATES as YEARS
from probe.tasks.ioi import TEMPLATES
from probe.tasks.words import listed

LENGTH, SCORE, GAIN = 24, 10.0, 4.0
BOS = "<|endoftext|>"
"""Stands before every prompt: the bridge gives each tokenizer one."""
NAMES = listed("names")
SINK = (ONE, "at 0", SCORE / 2)


def _words() -> list[str]:
    """All that the templates of IOI can say, word by word."""
    filled = [
        TEMPLATES[name].format(a="", b="", s="", place=place, thing=thing)
        for name in USED
        for place in listed("places")
        for thing in listed("objects")
    ]
    return sorted({word for text in filled for word in text.split()} - set(NAMES))


def _vocabulary() -> dict[str, dict[str, float]]:
    names = {x: {f"is {x}": 1.0, "name": 1.0} for x in NAMES}
    return {"<unk>": {}, BOS: {}, **{word: {"end": 1.0} if word == "to" else {} for word in _words()}, **names}


def _duplicate() -> Head:
    itself = [(f"at {i}", f"at {i}", -2 * SCORE) for i in range(LENGTH)]
    return Head(
        attends=[*((f"is {x}", f"is {x}", SCORE) for x in NAMES), *itself, SINK],
        moves=[(f"is {x}", f"again {x}", 1.0) for x in NAMES],
    )


def _at_note(to: str, times: float) -> Head:
    return Head(
        attends=[*(("end", f"again {x}", SCORE) for x in NAMES), SINK],
        moves=[(f"again {x}", f"{to} {x}", times) for x in NAMES],
    )


def _names_but(times: float) -> Head:
    avoids = [(f"not {x}", f"is {x}", -2 * SCORE) for x in NAMES]
    return Head(attends=[("end", "name", SCORE), *avoids, SINK], moves=[(f"is {x}", f"says {x}", times) for x in NAMES])


def _back(n: int) -> Head:
    return Head(attends=[(f"at {i}", f"at {i - n}", SCORE) for i in range(n, LENGTH)], moves=[("name", "unread", 1.0)])


def _wired(words, layers, logits) -> TransformerBridge:  # type: ignore[no-untyped-def]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "LENGTH", LENGTH)
        return wire(words, layers, logits)


@cache
def ioi_model(gain: float = GAIN) -> TransformerBridge:
    """See above. gain: of what is said; 0 for a model at chance."""
    layers = [
        Layer([_duplicate(), _back(1), _back(3)]),
        Layer([_at_note("not", 1.0), _back(2), _back(4)]),
        Layer([_names_but(1.0), _names_but(-0.25), _back(5)]),
    ]
    return _wired(_vocabulary(), layers, {x: {f"says {x}": gain} for x in NAMES})


@cache
def without_movers() -> TransformerBridge:
    """See above."""
    layers = [Layer([_duplicate(), _back(1), _back(3)]), Layer([_at_note("says", -1.0), _back(2), _back(4)])]
    return _wired(_vocabulary(), layers, {x: {f"says {x}": GAIN} for x in NAMES})


@cache
def years_model() -> TransformerBridge:
    """See above."""
    from tokenizers import pre_tokenizers

    said = {w for t in YEARS.values() for w in t.replace("{century}", "").replace("{year}", "").split()} | set(
        listed("events")
    )
    words = {
        "<unk>": {},
        BOS: {},
        **{word: {} for word in sorted(said)},
        **{str(d): {f"is {d}": 1.0} for d in range(10)},
    }
    looks = Head(
        attends=[("at 15", "at 9", SCORE), ("at 13", "at 8", SCORE)],
        moves=[(f"is {d}", f"began {d}", 1.0) for d in range(10)],
    )
    orders = [
        Neuron(reads={f"began {s}": 1.0}, writes={f"says {y}": float((y > s) - (y < s)) for y in range(10)})
        for s in range(10)
    ]
    layers = [
        Layer([looks, _back(1), _back(2)]),
        Layer([_back(3), _back(4), _back(5)], orders),
        Layer([_back(1), _back(2), _back(3)]),
    ]
    model = _wired(words, layers, {str(y): {f"says {y}": GAIN} for y in range(10)})
    digits = pre_tokenizers.Digits(individual_digits=True)
    model.tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), digits]
    )
    return model
