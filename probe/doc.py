"""What stands beside a parameter or a setting: its sentence, and the bounds of its number.

    ratio: Annotated[float, Doc("How many times the median an activation must be.", least=1)] = 1000.0

A field of a dataclass of settings has its sentence below it, and needs a `Doc` for its bounds alone.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Doc:
    """A parameter's sentence, for a form and a command's help. least, most: bounds of a number, both let in; above, below:
    bounds that are not. in_python: a parameter that only Python can give, since no file could hold its values."""

    text: str = ""
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    in_python: bool = False

    @property
    def bounded(self) -> bool:
        """Whether it says anything of a number."""
        return any(bound is not None for bound in (self.least, self.most, self.above, self.below))

    def lets_in(self, value: float) -> bool:
        """Whether a number is within the bounds."""
        return (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    def number_words(self, whole: bool) -> str:
        """`a whole number from 1 to 9`."""
        noun = "a whole number" if whole else "a number"
        if self.least is not None and self.most is not None:
            return f"{noun} from {self.least} to {self.most}"
        said = {"of at least": self.least, "above": self.above, "of at most": self.most, "below": self.below}
        parts = [f"{word} {bound}" for word, bound in said.items() if bound is not None]
        return f"{noun} {' and '.join(parts)}".rstrip()
