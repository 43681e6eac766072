"""Dictionaries exchanged with other libraries, both ways: what is imported encodes and decodes as it did there."""

from probe.exchange.foreign import Foreign, Format
from probe.exchange.registry import (
    FORMATS,
    Imported,
    artifact_name,
    contents,
    export_dictionary,
    import_dictionaries,
    import_dictionary,
    known_format,
    sniff,
    store,
)

__all__ = [
    "FORMATS",
    "Foreign",
    "Format",
    "Imported",
    "artifact_name",
    "contents",
    "export_dictionary",
    "import_dictionaries",
    "import_dictionary",
    "known_format",
    "sniff",
    "store",
]
