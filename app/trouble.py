"""A failure that nobody foresaw: the page gets a sentence and a reference, the terminal the traceback under the same reference.

A trace in a page would tell a stranger about the machine and a user nothing; the reference joins the two.
"""

import logging
import secrets
from dataclasses import dataclass

from probe.artifacts.manifest import versions
from probe.system_errors import foreseen

log = logging.getLogger("openwork.app")


@dataclass(frozen=True)
class Trouble:
    """where: what was being done. kind: the name of the exception, without its words. came: what was asked, in short."""

    reference: str
    where: str
    kind: str
    came: str = ""

    @property
    def sentence(self) -> str:
        """What the page says."""
        if self.came:
            return (
                f"There is no answer to {self.came}. Choose what the page offers; if it offered this, that is a fault of "
                f"Openwork, and the terminal it runs in shows the details under {self.reference}."
            )
        return (
            f"Something went wrong inside Openwork. The terminal it runs in shows the details under {self.reference}."
        )

    @property
    def details(self) -> str:
        """A line to copy into a report."""
        return f"reference {self.reference} · {self.where} · {self.kind} · openwork {versions().get('openwork', 'unknown')}"


def foreseen_in(problem: BaseException, where: str) -> str | None:
    """A sentence for what was refused, by us or by the machine (a full disk, no memory); None for a bug, which is to be met."""
    said = foreseen(problem)
    if said is None:
        return None
    if said is not problem:  # the page says all there is to do; the terminal tells which call it was
        log.warning("%s: %s", where, said)
        log.debug("%s", where, exc_info=problem)
    return str(said)


def meet(problem: BaseException, where: str, came: str = "") -> Trouble:
    """Give the failure a reference and write it down."""
    found = Trouble(secrets.token_hex(3), where, type(problem).__name__, came)
    log.error("%s: %s failed", found.reference, where, exc_info=problem)
    return found
