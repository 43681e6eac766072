"""How busy the machine is, beside the time that a plan names: plans are for a quiet one.

A plan counts operations at the speed that two quiet cores have. Where other programs keep the cores busy it takes longer, about
by as much as there is more to run than there are cores; the system's load average of the last minute says how much that is.
"""

import os

BUSY = 1.5  # times as much to run as there are cores, from which on that is said


def load_per_core() -> float | None:
    """What ran or waited to run in the last minute, per core; None where the system does not say."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except (OSError, AttributeError):
        return None


def on_this_machine() -> str:
    """`on a quiet machine`, and about how much longer it may take on one that is busy now."""
    load = load_per_core()
    if load is None or load < BUSY:
        return "on a quiet machine"
    return f"on a quiet machine; this one is busy now, so perhaps {load:.0f} times as long"
