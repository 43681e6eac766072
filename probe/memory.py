"""Is there enough memory? Asked before work starts, so that it is refused in a sentence and not killed half way."""

import os

import torch

from probe.errors import BadInput

SMALL = 1 << 30
"Bytes below which nobody is asked."


def available(device: torch.device | str = "cpu") -> int:
    """Bytes a program can still take on a device: free CUDA memory; else what Linux calls available, or physical memory."""
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found = next(line for line in lines if line.startswith("MemAvailable"))
        return 1024 * int(found.split()[1])
    except (OSError, StopIteration, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 1 << 62


def require(needed: int, what: str, device: torch.device | str = "cpu") -> None:
    """Raise BadInput if `what` needs more bytes than there are."""
    if needed > SMALL and needed > (free := available(device)):
        raise BadInput(
            f"{what} needs {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free. Make it smaller."
        )
