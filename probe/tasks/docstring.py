"""A docstring goes on with the next argument of the function (Heimersheim & Janiak 2023).

def run(self, river, stone, bread):
    '''...
    :param river: the table
    :param stone: the horse
    :param          ->  bread, not the argument that the corrupted function has in its place
"""

from random import Random

from probe.tasks.example import Example, spans
from probe.tasks.words import Words


def docstring(draw: Random, words: Words, *, arguments: int = 3) -> Example:
    """One pair: the corrupted function has another last argument in its head."""
    needed = 2 * arguments + 1
    name, other, *rest = draw.sample(words.of("nouns", needed), needed)
    own, about = rest[:arguments], rest[arguments:]
    clean, corrupted = (_function(name, head, own, about) for head in (own, [*own[:-1], other]))
    return Example(
        clean=clean,
        corrupted=corrupted,
        right=[f" {own[-1]}"],
        wrong=[f" {other}"],
        segments=spans(clean, argument=own[-1]),
    )


def _function(name: str, head: list[str], documented: list[str], about: list[str]) -> str:
    lines = [f"def {name}(self, {', '.join(head)}):", f'    """Make a new {name}.', ""]
    lines += [f"    :param {word}: the {what}" for word, what in zip(documented[:-1], about, strict=True)]
    return "\n".join([*lines, "    :param"])
