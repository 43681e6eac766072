"""What a search of a circuit takes, at most, measured in a run of the longest pair before it starts."""

from dataclasses import dataclass

from probe.show.record import Record
from probe.words import counted, estimate, size


@dataclass(frozen=True, kw_only=True)
class SearchPlan(Record):
    """edges: that are tried or scored. pairs: on so many each. passes: so many of `what`, at most. seconds: about, from a
    run that was timed. bytes: beside the model."""

    method: str
    edges: int
    pairs: int
    passes: int
    seconds: float
    bytes: int
    what: str = "prompts run forward"

    def summary(self) -> str:
        """One sentence."""
        if not self.passes:
            return f"{self.method} chooses from what is stored: seconds, and no run of the model."
        return (
            f"{counted(self.edges, 'edge')} on {counted(self.pairs, 'pair')}: at most {self.passes:,} {self.what}, about "
            f"{estimate(self.seconds)}, {size(self.bytes)} of memory beside the model."
        )
