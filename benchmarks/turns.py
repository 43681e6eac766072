"""Processes that take turns, and what a piece of work costs: seconds, and by how much the process grew (Linux).

Nothing but the standard library, so that it runs in any environment. A worker reads one JSON line per turn and answers
with one; whatever libraries print goes to stderr. Two workers that take turns share the machine's bad moments, and
neither sees the other's memory.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Request, Answer = dict[str, Any], dict[str, Any]


def resident(what: str = "VmRSS") -> int:
    """A line of /proc/self/status in bytes: VmRSS (now) or VmHWM (the peak since it was last forgotten)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(what))


class Peak:
    """`with Peak() as p`: seconds, resident memory before, and its peak within; MB are millions of bytes.

    cpu_seconds, of all threads, tell how much work it was where a busy machine makes seconds mean little.

    The kernel's own high-water mark is reset and read where it allows that; sampling every 5 ms stands in where it does not.
    """

    def __enter__(self) -> "Peak":
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self._kernel = resident("VmHWM") <= 1.02 * resident()
        except OSError:
            self._kernel = False
        self._before, self._sampled, self._over = resident(), 0, threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        self._start, self._cpu = time.perf_counter(), time.process_time()
        return self

    def _sample(self) -> None:
        while not self._over.wait(0.005):
            self._sampled = max(self._sampled, resident())

    def __exit__(self, *_: object) -> None:
        self.seconds, self.cpu_seconds = time.perf_counter() - self._start, time.process_time() - self._cpu
        self._over.set()
        self._thread.join()
        self._peak = max(resident("VmHWM") if self._kernel else self._sampled, resident())

    def to_dict(self) -> Answer:
        """Ready for JSON."""
        grown = self._peak - self._before
        times = {"seconds": self.seconds, "cpu_seconds": self.cpu_seconds}
        return {**times, "peak_mb": self._peak / 1e6, "grown_mb": grown / 1e6}


def serve(answer: Callable[[Request], Answer]) -> None:
    """Answer requests from stdin until it ends."""
    replies, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        replies.write(json.dumps(answer(json.loads(line))) + "\n")
        replies.flush()


class Worker:
    """A process that serves; started when made, ended by `close` or by leaving its `with`."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], log: Path):
        self.log = log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
            )

    def ask(self, **request: Any) -> Answer:
        """One turn. Raises RuntimeError with the end of the worker's log if it died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"A worker ended before it answered:\n{self.log.read_text()[-2000:]}")
        return json.loads(line)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
