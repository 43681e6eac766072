"""Make a blind study: gather the evidence on one unit, and store it without the text (`circuits.blind.study`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from circuits.blind.evidence import circuits_evidence, hidden_prompts, statistics_evidence, weights_evidence
from circuits.blind.study import EVIDENCE, SEALED, Study, open_study
from circuits.weights.tokens import Embeddings
from circuits.weights.units import weight_view
from probe.artifacts.digest import sha256
from probe.artifacts.folder import place
from probe.artifacts.json import write_json
from probe.artifacts.locks.claims import claim
from probe.artifacts.manifest import MANIFEST, Manifest, writing
from probe.errors import BadInput
from probe.features import FeatureTable, open_features
from probe.interventions.places import Place
from probe.model.unit_names import UnitName
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, eq=False)
class StudyConfig(Settings):
    """How much evidence is gathered."""

    prompts: int = 3
    "Strongest examples whose circuits are traced."
    k: int = 10
    "Tokens and connections shown."
    length: int = 4
    "Steps of the paths."
    branches: int = 8
    "Paths kept of each length."
    vocabulary: Embeddings | None = None
    "The extended embedding, to save its time."


@takes_fields("config", StudyConfig)
def new_study(
    model: "TransformerBridge",
    table: FeatureTable | str | Path,
    unit: int | str | UnitName | Place,
    name: str,
    *,
    dictionaries: Sequence[Any] = (),
    config: StudyConfig = StudyConfig(),
    progress: Progress = SILENT,
) -> Study:
    """Gather the evidence on one unit (by number or name) of a feature table and store it as the study `name`, the text hidden.

    dictionaries: the one whose latent it is. config: its fields are keywords too.
    Raises BadInput if the study exists, or the table is another model's.

    >>> study = ow.new_study(model, "small", "L1N5", "mine", prompts=1, length=1)
    >>> study.folder.name
    'mine'
    """
    folder = place("study", name)
    with claim(folder):
        if folder.exists():
            raise BadInput(f"The study '{name}' exists already, and studies are not overwritten. Choose another name.")
        return _made(model, table, unit, folder, dictionaries, config, progress)


def _made(
    model: "TransformerBridge",
    table: FeatureTable | str | Path,
    asked_unit: int | str | UnitName | Place,
    folder: Path,
    dictionaries: Sequence[Any],
    asked: StudyConfig,
    progress: Progress,
) -> Study:
    table = open_features(table if isinstance(table, str | Path) else table.folder, model)
    unit = table.number(asked_unit)
    layer, number = table.layer(unit)
    chosen = weight_view(model, dictionaries).name(UnitName(layer, table.kind, number))
    statistics = statistics_evidence(table, unit)
    hidden = hidden_prompts(table, unit, asked.prompts)
    evidence = {
        "weights": weights_evidence(model, chosen, dictionaries, asked.k, asked.vocabulary, progress),
        "statistics": statistics,
        "circuits": circuits_evidence(
            model, chosen, dictionaries, hidden, length=asked.length, branches=asked.branches, progress=progress
        ),
    }
    hiding = {"table": str(table.folder.resolve()), "manifest": sha256(table.folder / MANIFEST), "unit": int(unit)}
    names = [str(getattr(d, "name", "")) for d in dictionaries]
    parents = tuple(n for n in (table.folder.name, *names) if n)
    sizes = {name: getattr(asked, name) for name in ("prompts", "k", "length", "branches")}
    config = {"unit": str(chosen), **sizes}
    manifest = Manifest("study", folder.name, table.manifest.model, config=config, parents=parents)
    with writing(folder, manifest) as scratch:
        write_json(scratch / EVIDENCE, evidence)
        write_json(scratch / SEALED, hiding)
    return open_study(folder)
