"""Greater-than: a span of years must end later than it began (Hanna et al. 2023).

    The war lasted from the year 1732 to the year 17     ->  33 to 99, not 00 to 32

Where a tokenizer writes digits one by one, the next token is the first of the two: 4 to 9 against 0 to 2, and the first year's
own is left out, since what follows decides. The corrupted prompt begins in a year that every later one is greater than: 01.
"""

from random import Random

from probe.tasks.example import Example, spans
from probe.tasks.words import Words, listed

TEMPLATES = {
    "lasted": "The {event} lasted from the year {century}{year} to the year {century}",
    "began": "The {event} that began in {century}{year} ended in {century}",
}


def greater_than(draw: Random, words: Words, *, templates: tuple[str, ...] = tuple(TEMPLATES)) -> Example:
    """One pair."""
    name, century = draw.choice(templates), draw.randrange(11, 18)
    filled = {"event": draw.choice(listed("events")), "century": century}
    if all(words.one_token(f"{n:02}") for n in range(100)):
        year = draw.randrange(2, 99)
        right, wrong = [f"{n:02}" for n in range(year + 1, 100)], [f"{n:02}" for n in range(year + 1)]
        low = "01"
    else:
        tens = draw.randrange(2, 9)
        year = 10 * tens + draw.randrange(1, 10)
        right, wrong = [str(n) for n in range(tens + 1, 10)], [str(n) for n in range(tens)]
        low = f"0{year % 10}"
    clean = TEMPLATES[name].format(year=f"{year:02}", **filled)
    return Example(
        clean=clean,
        corrupted=TEMPLATES[name].format(year=low, **filled),
        right=right,
        wrong=wrong,
        segments=spans(clean, event=filled["event"], year=f"{century}{year:02}"),
        template=name,
    )
