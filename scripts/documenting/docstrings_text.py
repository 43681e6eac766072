"""What a docstring shows to be typed, as blocks of code, since our docstrings are Markdown otherwise."""

import re


def fenced(text: str) -> str:
    """The text with each run of `>>>` lines, and what stands below it up to an empty line, as a block of Python."""
    return re.sub(r"^([ \t]*)>>> .*(?:\n(?!\s*$).*)*", _block, text, flags=re.M)


def _block(match: re.Match[str]) -> str:
    return f"{match[1]}```python\n{match[0]}\n{match[1]}```"
