"""For griffe: what a docstring shows to be typed becomes a block of code.

mkdocstrings loads this file by its path, in an environment that has nothing of ours.
"""

import sys
from pathlib import Path

import griffe  # type: ignore[import-not-found]  # stands in the environment of the docs alone

sys.path.insert(0, str(Path(__file__).parent))

from docstrings_text import fenced  # type: ignore[import-not-found]


class Docstrings(griffe.Extension):
    """Puts blocks of code where a docstring shows what to type."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        if obj.docstring is not None and ">>>" in obj.docstring.value:
            obj.docstring.value = fenced(obj.docstring.value)
