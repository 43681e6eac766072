"""Processes of this machine: is one still there, and is it the same?"""

import os
from pathlib import Path


def lives(pid: int, since: str) -> bool:
    """Is the process still there? Process ids are used again, so the moment of birth counts too, where the system tells it."""
    if not 0 < pid < 2**31:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not since or born(pid) in ("", since)


def born(pid: int) -> str:
    """When a process began, in the system's own count; empty where it does not say."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
