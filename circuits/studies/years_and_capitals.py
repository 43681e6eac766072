"""The prompts of greater-than and capital-of, with their right and wrong answers, for a model's own tokenizer.

greater-than    "The war lasted from the year 1732 to the year 17": where digits are written one by one, the next token is the
                tens digit. Right: digits above the start year's, wrong: those below; the equal one is neither (Hanna et al. 2023
                ask for both digits as one token of GPT-2).
capital-of      "The capital of France is": the capital against those of all other countries asked about.

Some prompts are traced, others tested, so that what graphs find is tried where it was not found. A pair of prompts has a
contrast: for greater-than the digits between the two start digits minus those above both, for capitals the first's minus the
second's.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from circuits.studies.last_token import Pairs, Task, batch, single
from probe.errors import BadInput
from probe.identity import model_name
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


def every_start_digit(model: "TransformerBridge") -> Task:
    """Start years of every decade, each with every noun."""
    return years(model, [(noun, 10 * tens + 4) for noun in NOUNS for tens in range(10)])


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


def n_traced(name: str) -> int:
    """How many prompts of a task there are to trace."""
    return len(TRACED_YEARS) if name == "greater-than" else N_TRACED
