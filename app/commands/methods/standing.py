"""The options that commands of methods and tools have beside those of their parameters, and what was asked for with them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.methods.stored import asks_of_graph
from app.commands.options import AsJson, ConfigFile, Device, DryRun, Model, Precision, Resume
from probe.errors import BadInput, brief
from probe.methods.read_declarations import Method
from probe.model.aliases import DEFAULT
from probe.show.panels import MOST

Standing = dict[str, tuple[Any, Any]]
"""Options that follow from no parameter, by name: each with its default."""
Save = Annotated[str | None, typer.Option("--save", help="Store what was found under this name.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write the rows of its table to this file.")]
Dashboard = Annotated[
    bool,
    typer.Option(
        "--dashboard", help="Ask the dashboard that runs (`openwork serve`) instead of loading the model again."
    ),
]
Rows = Annotated[int, typer.Option("--rows", min=1, help="Rows of each table that are printed.")]
Document = Annotated[
    Path | None, typer.Option("--document", help="Write it as a document to this file: .html, of some records .md.")
]
At = Annotated[
    list[str] | None,
    typer.Option("--at", help="What tables follow that follow a choice: token=3, layer=-1, column=2. Repeatable."),
]
ModelMeant = Annotated[
    str | None, typer.Option("--model", help="By default the one that what it is asked of was made from.")
]


def standing(about: Method) -> Standing:
    """The options that a method or tool has beside those of its parameters."""
    model = (ModelMeant, None) if about.model_by or asks_of_graph(about) else (Model, DEFAULT)
    of_model: Standing = {"model": model, "device": (Device, None), "precision": (Precision, "float32")}
    of_page: Standing = {"dashboard": (Dashboard, False)} if about.of_model else {}
    return {
        **(of_model if about.of_model else {}),
        **({**of_page, "csv": (Csv, None), "document": (Document, None), "at": (At, None)} if about.page else {}),
        **({"save": (_save(about), None)} if about.page or about.leaves or about.artifact != "result" else {}),
        **({"resume": (Resume, False)} if "resume" in about.handed else {}),
        **({"dry_run": (DryRun, False)} if about.page or about.plan else {}),
        "rows": (Rows, MOST),
        "config": (ConfigFile, None),
        "json": (AsJson, False),
    }


def _save(about: Method) -> Any:
    """The option that names what is stored: of a call that makes an artifact, `--name` too."""
    if not about.leaves:
        return Save
    words = f"Name to store the {about.leaves} under{'; by default made of what it is asked.' if about.named else '.'}"
    names = ["--save"] if about.parameter("name") else ["--name", "--save"]
    return Annotated[str | None, typer.Option(*names, help=words)]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a command was asked for beside the call itself."""

    device: str | None = None
    precision: str = "float32"
    save: str | None = None
    csv: Path | None = None
    document: Path | None = None
    resume: bool = False
    dry_run: bool = False
    json: bool = False
    dashboard: bool = False
    rows: int = MOST
    at: list[str] | None = None

    def __post_init__(self) -> None:
        _ = self.chosen  # what is no choice is refused before the work and not after it

    @property
    def chosen(self) -> dict[str, int]:
        """What tables follow, by name. BadInput for what is no choice."""
        parts = [one.partition("=") for one in self.at or ()]
        for name, sign, place in parts:
            if not (name and sign and place.removeprefix("-").isdecimal() and len(place) < 10):
                raise BadInput(f"--at is {brief(name + sign + place)}; what is chosen was wanted, like token=3.")
        return {name: int(place) for name, _, place in parts}
