"""A docstring goes on with the next argument of the function (Heimersheim & Janiak 2023).

def run(self, river, stone, bread):
    '''...
    :param river: the table
    :param stone: the horse
    :param          ->  bread, not an argument of the corrupted function
"""

from random import Random

from probe.tasks.example import Example, spans
from probe.tasks.words import Words


def docstring(draw: Random, words: Words, *, arguments: int = 3) -> Example:
    """One pair: the corrupted function has other arguments in its head and in what is documented already."""
    chosen = draw.sample(words.of("nouns", 3 * arguments + 1), 3 * arguments + 1)
    name, own, others, about = (
        chosen[0],
        chosen[1 : arguments + 1],
        chosen[arguments + 1 : 2 * arguments + 1],
        chosen[2 * arguments + 1 :],
    )
    clean, corrupted = (_function(name, head, own, about) for head in (own, [*own[:-1], others[-1]]))
    return Example(
        clean=clean,
        corrupted=corrupted,
        right=[f" {own[-1]}"],
        wrong=[f" {others[-1]}"],
        segments=spans(clean, argument=own[-1]),
    )


def _function(name: str, head: list[str], documented: list[str], about: list[str]) -> str:
    lines = [f"def {name}(self, {', '.join(head)}):", f'    """Make a new {name}.', ""]
    lines += [f"    :param {word}: the {what}" for word, what in zip(documented[:-1], about, strict=False)]
    return "\n".join([*lines, "    :param"])
