"""Pairs of prompts to start from. Both prompts of a pair have the same number of tokens in the default model (a test looks)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """A task, its two prompts, and the answers (one token each) that the clean and the corrupted prompt call for."""

    name: str
    clean: str
    corrupted: str
    right: str
    wrong: str


EXAMPLES = (
    Example(
        "Indirect object",
        "When Mary and John went to the store, John gave a drink to",
        "When Mary and John went to the store, Mary gave a drink to",
        " Mary",
        " John",
    ),
    Example("Capital of a country", "The capital of France is", "The capital of Italy is", " Paris", " Rome"),
    Example(
        "Where a landmark is",
        "The Eiffel Tower is in the city of",
        "The Colosseum is in the city of",
        " Paris",
        " Rome",
    ),
    Example(
        "Country of a city",
        "Paris is in France. Rome is in",
        "Paris is in France. Tokyo is in",
        " Italy",
        " Japan",
    ),
    Example(
        "Greater than",
        "The war lasted from the year 1732 to the year 17",
        "The war lasted from the year 1702 to the year 17",
        "3",
        "0",
    ),
    Example("Next day", "If today is Monday, tomorrow is", "If today is Friday, tomorrow is", " Tuesday", " Saturday"),
    Example(
        "Name of an argument",
        "def area(width, height):\n    return width *",
        "def area(width, length):\n    return width *",
        " height",
        " length",
    ),
)
