"""Ctrl-C at any moment of a command, once or twice: 130 and a sentence, never a traceback."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

COMMANDS = (["lens", "--prompt", "one two", "--model", "toy"], ["doctor"])


def interrupted(arguments: list[str], after: float, twice: bool, home) -> tuple[int, str]:
    """Exit code and stderr of a command that Ctrl-C reaches so many seconds after it started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "openwork", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENWORK_HOME": str(home)},
    )
    time.sleep(after)
    for _ in range(1 + twice):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    return process.wait(120), process.stderr.read() if process.stderr else ""


@pytest.mark.slow
@pytest.mark.parametrize(("after", "twice"), [(0.6, False), (1.2, True), (2.5, False), (3.5, True)])
def test_interrupted_commands_say_so(after, twice, tmp_path):
    for arguments in COMMANDS:
        code, said = interrupted(arguments, after, twice, tmp_path)
        assert "Traceback" not in said and "KeyboardInterrupt" not in said, said
        # -2: Ctrl-C a second time, when Python was already leaving; a shell calls that 130 too
        assert (code in (130, -2) and "Stopped" in said) or code == 0, (code, said)


def test_importing_leaves_interrupts_alone():
    told = "import signal, openwork; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True).stdout == "True\n"


def test_a_press_that_python_drops_is_pressed_again():
    """Raised while an object is taken away, KeyboardInterrupt goes nowhere: the work would go on as if nobody had pressed."""
    lines = """
        import signal, sys, time
        sys.argv[0] = "openwork"
        from openwork import interrupts
        interrupts.install()
        interrupts.started()
        class Gone:
            def __del__(self):
                signal.raise_signal(signal.SIGINT)
        try:
            gone = Gone()
            del gone
            time.sleep(20)
        except KeyboardInterrupt:
            print("stopped", interrupts.pressed())
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(lines)], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "stopped True\n" and ran.stderr == ""
