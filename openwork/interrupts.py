"""Ctrl-C, from the first moment on: one sentence and exit code 130, whatever was being imported or written down.

While Openwork starts there is nothing to lose, so it leaves at once; an exception would pass through libraries that are half
imported, and come out as something else. Later Ctrl-C raises KeyboardInterrupt, as always; pressed again, it leaves at once.
"""

# not `signal`: the names it adds take time, in which nothing is taken yet
import _signal as signal  # pyright: ignore[reportMissingImports]
import _thread
import os
import sys
import time

CODE = 130
_pressed: list[int] = []
_started: list[bool] = []


def install() -> None:
    """Take Ctrl-C, where this process is the command and nobody else has plans for it: not where Openwork is imported."""
    command = os.path.splitext(os.path.basename(sys.argv[0]))[0] == "openwork" or sys.argv[0] == "-m"
    if command and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
        sys.unraisablehook = _again


def started() -> None:
    """From now on there may be something to put in order before leaving."""
    _started.append(True)


def pressed() -> bool:
    """Whether Ctrl-C was pressed: then whatever fails has failed because of it."""
    return bool(_pressed)


def leave(words: str = "\nStopped.\n") -> None:
    """End the process without another line of Python."""
    os.write(2, words.encode())
    os._exit(CODE)


def _again(lost: "sys.UnraisableHookArgs") -> None:
    """Press again, a moment later, where Python dropped the press: what is raised while an object is taken away goes nowhere."""
    if lost.exc_type is not KeyboardInterrupt:
        return sys.__unraisablehook__(lost)
    _pressed.clear()
    _thread.start_new_thread(_press, ())
    return None


def _press() -> None:
    time.sleep(0.02)  # by then the hook is left, in which it would be dropped too
    os.kill(os.getpid(), signal.SIGINT)


def _importing() -> bool:
    """Whether a library is being imported that ends the process where an exception passes through it; no work began yet."""
    specs = (getattr(sys.modules.get(name), "__spec__", None) for name in ("torch", "transformers", "transformer_lens"))
    return any(getattr(spec, "_initializing", False) for spec in specs)


def _interrupt(number: int, frame: object) -> None:
    if _pressed or not _started or _importing():
        leave()
    _pressed.append(number)
    raise KeyboardInterrupt


_interrupt.raises_interrupt = True  # pyright: ignore[reportFunctionMemberAccess]  (see `probe.training.checkpoint.held_interrupts`)
