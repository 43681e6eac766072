"""What the public functions return: the classes of records among it."""

import inspect
import typing
from types import UnionType

import circuits
import probe

PLACES = {
    "Site",
    "Place",
    "ModelStamp",
    "TransformerBridge",
    "Document",
    "Imported",
    "Recipe",
    "Hook",
    "Function",
    "Zero",
    "Mean",
}
"Names, places and values that are written as one line of text, and what is handed on one by one."


def public_functions():
    for package in (probe, circuits):
        for name in package.__all__:
            found = getattr(package, name)
            if inspect.isfunction(found):
                yield f"{package.__name__}.{name}", inspect.unwrap(found)


def classes_in(annotation, module) -> set[type]:
    """Our own classes in a return annotation, those inside of lists, unions and iterators too."""
    if isinstance(annotation, str):
        annotation = getattr(module, annotation, None)
    if typing.get_origin(annotation) is not None or isinstance(annotation, UnionType):
        return {c for part in typing.get_args(annotation) for c in classes_in(part, module)}
    ours = inspect.isclass(annotation) and annotation.__module__.split(".")[0] in ("probe", "circuits")
    return {annotation} if ours else set()
