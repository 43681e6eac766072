"""What a method declares of itself, from which come its three doors: a function, a command, a page.

    @method("sinks", group="flow", paper="See What You Are Told (Kang et al. 2025)")
    def sinks(model: "TransformerBridge", prompt: Prompt, *,
              ratio: Annotated[float, Doc("How many times the median an activation must be.", least=1)] = 1000.0) -> Sinks:
        \"""Tokens that draw attention without meaning, and the dimensions that mark them.\"""

A tool (`@tool`) is declared the same way and has two doors, a function and a command: it reads or writes files, or marks what is
stored, so no page may run it.

A declaration is read from the source text (`read_declarations`), so the catalogue, the command line and the forms know every
method without importing any, which would bring torch.
"""

from probe.doc import Doc
from probe.methods.call import Call, call_of
from probe.methods.declare import method, tool
from probe.methods.kinds import (
    CacheName,
    Change,
    CorpusName,
    DictionaryName,
    Layers,
    StudyName,
    TableName,
    Token,
    TokenOrUnit,
    Unit,
    chosen_layers,
)
from probe.methods.place_kinds import FileToRead, FileToWrite, FolderToRead, FolderToWrite

__all__ = [
    "CacheName",
    "Call",
    "Change",
    "CorpusName",
    "DictionaryName",
    "Doc",
    "FileToRead",
    "FileToWrite",
    "FolderToRead",
    "FolderToWrite",
    "Layers",
    "StudyName",
    "TableName",
    "Token",
    "TokenOrUnit",
    "Unit",
    "call_of",
    "chosen_layers",
    "method",
    "tool",
]
