"""Sums, differences and products in digits: 3 + 5 = 8, after some worked examples.

    2 + 4 = 6\\n1 + 7 = 8\\n3 + 5 =     ->  8, not what the corrupted second number would make

Answers are of one token, so by default of one digit, which every tokenizer writes as one. `FORMS` says in what words else.
"""

import operator
from random import Random

from probe.errors import BadInput, brief
from probe.tasks.example import Example, spans
from probe.tasks.words import Words

OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
FORMS = {
    "signs": ("{a} {sign} {b} =", "\n", {"+": "+", "-": "-", "*": "*"}),
    "words": ("{a} {sign} {b} is", ".\n", {"+": "plus", "-": "minus", "*": "times"}),
    "question": ("Question: What is {a} {sign} {b}? Answer:", "\n", {"+": "+", "-": "-", "*": "*"}),
    "story": ("Tom had {a} apples and {sign} {b}. Now he has", " apples.\n", {"+": "found", "-": "ate"}),
}
"""How a question is written, what follows its answer where it is shown, and the words of each operator."""


def arithmetic(
    draw: Random,
    words: Words,
    *,
    operators: tuple[str, ...] = ("+",),
    form: str = "signs",
    shots: int = 3,
    most: int = 9,
) -> Example:
    """One pair. operators: of `OPERATORS`. form: of `FORMS`. shots: worked examples before the question. most: the largest number
    and answer."""
    if form not in FORMS:
        raise BadInput(f"There is no form {brief(form)} of arithmetic; there are {', '.join(FORMS)}.")
    sign = draw.choice(operators)
    asked, after, signs = FORMS[form]
    worked = [_sum(draw, sign, most) for _ in range(shots)]
    first, second, answer = _sum(draw, sign, most)
    others = [
        b for b in range(most + 1) if b != second and len(str(b)) == len(str(second)) and _fits(first, b, sign, most)
    ]
    other = draw.choice(others or [second])
    shown = "".join(f"{asked.format(a=a, b=b, sign=signs[sign])} {c}{after}" for a, b, c in worked)
    clean, corrupted = (shown + asked.format(a=first, b=b, sign=signs[sign]) for b in (second, other))
    space = " " if words.one_token(f" {answer}") else ""
    tail = "" if space else " "
    wrong = OPERATORS[sign](first, other)
    return Example(
        clean=clean + tail,
        corrupted=corrupted + tail,
        right=[f"{space}{answer}"],
        wrong=[f"{space}{wrong}"],
        segments={"question": (len(shown), len(clean)), **spans(clean, operator=signs[sign])},
        template=sign if form == "signs" else f"{form} {sign}",
    )


def _sum(draw: Random, sign: str, most: int) -> tuple[int, int, int]:
    while True:
        a, b = draw.randrange(most + 1), draw.randrange(most + 1)
        if _fits(a, b, sign, most):
            return a, b, OPERATORS[sign](a, b)


def _fits(a: int, b: int, sign: str, most: int) -> bool:
    return 0 <= OPERATORS[sign](a, b) <= most
