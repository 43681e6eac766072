"""Dictionaries exchanged with other libraries, both ways: what is imported encodes and decodes as it did there."""

from probe.exchange.foreign import Foreign, Format
from probe.exchange.registry import (
    FORMATS,
    Imported,
    contents,
    export_dictionary,
    import_dictionaries,
    import_dictionary,
    known_format,
    sniff,
)

__all__ = [
    "FORMATS",
    "Foreign",
    "Format",
    "Imported",
    "contents",
    "export_dictionary",
    "import_dictionaries",
    "import_dictionary",
    "known_format",
    "sniff",
]
