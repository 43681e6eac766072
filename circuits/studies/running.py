"""A study run on a loaded model: part after part, each kept when it is done, and then the verdicts.

    found = study(model, "two-circuits")
    found.panels()      found.markdown()      found.save("two-circuits")

A part that the model cannot be asked (a task whose words are no single tokens of it) leaves its claims untold, with the reason;
where no part can be asked the study is refused.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from circuits.studies.catalogue import study_named
from circuits.studies.claim import Claim, least_p, verdict_of
from circuits.studies.kept import Kept
from circuits.studies.record import Outcome, StudyResult
from circuits.studies.study import FULL, QUICK, Bench, Found, Part, Scale, Study
from probe.artifacts.names import as_path, partial, usable_name
from probe.artifacts.renames import discard
from probe.errors import BadInput
from probe.identity import model_name
from probe.methods import Doc, StudyName, method
from probe.progress import SILENT, Progress
from probe.show.panels import Panel, Rows, Sentence
from probe.show.record import Record

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def parts_name(name: str, model: str, quick: bool = False) -> str:
    """Beside which name the parts of a study are kept that nobody gave a name. BadInput for a study there is not."""
    return usable_name(f"{study_named(name).name}-{model}{'-quick' if quick else ''}")


@method("study", group="studies", plan="plan_study", named="parts_name")
def study(
    model: "TransformerBridge",
    name: Annotated[StudyName, Doc("Which study; `openwork study --list` names them.")],
    folder: Path | str | None = None,
    *,
    quick: Annotated[bool, Doc("Few prompts and 19 control sets, so that no p falls below 0.05.")] = False,
    seed: Annotated[int, Doc("Of the control sets.", least=0, most=2_147_483_647)] = 0,
    resume: bool = False,
    progress: Progress = SILENT,
) -> StudyResult:
    """A paper's claims, re-examined on a model: number, interval, control, and a verdict by a rule written down first.

    folder: where the result will be stored; parts are kept beside it, to go on with by resume.

    Raises BadInput for a study there is not and for a model that can be asked none of its claims.

    >>> ow.study(model, "two-circuits")
    Traceback (most recent call last):
    ...
    probe.errors.BadInput: toy cannot be asked two-circuits: ...
    """
    kept = None if folder is None else as_path(folder)
    asked, scale = study_named(name).study(), scale_of(quick, seed)
    return run_study(model, asked, scale=scale, folder=kept, resume=resume, progress=progress)


def scale_of(quick: bool, seed: int = 0) -> Scale:
    """How much of everything."""
    one = QUICK if quick else FULL
    return Scale(one.sets, one.prompts, seed)


@dataclass(frozen=True)
class StudyPlan(Record):
    """What a study would take. runs: of the model, about, some longer than others. p_least: what no p falls below. asked: whether
    it was looked at if the model does what is studied."""

    study: str
    claims: int
    parts: dict[str, int]
    runs: int
    sets: int
    p_least: float
    asked: bool = False

    def summary(self) -> str:
        """One sentence."""
        does = (
            "A few prompts say that this model can be asked it."
            if self.asked
            else "Whether the model does what is studied is seen first when it runs; one that does not is refused."
        )
        return (
            f"{self.study}: {self.claims} claims in {len(self.parts)} parts, about {self.runs:,} runs; "
            f"{self.sets} control sets, so no p falls below {self.p_least:.2g}. {does}"
        )

    def panels(self) -> list[Panel]:
        """The sentence, and the runs of each part."""
        return [Sentence(self.summary()), Rows("Parts", [{"part": p, "runs": n} for p, n in self.parts.items()])]


def plan_study(model: "TransformerBridge", name: str, *, quick: bool = False, seed: int = 0) -> StudyPlan:
    """What a study would take. BadInput for a model that does not do what is studied, as far as a few prompts tell."""
    asked, scale = study_named(name).study(), scale_of(quick, seed)
    if asked.asks is not None:
        try:
            asked.asks(Bench(model, scale, lambda amount: None))
        except BadInput as why:
            raise _refused(model, asked, str(why)) from why
    return replace(plan_of(asked, scale), asked=asked.asks is not None)


def _refused(model: "TransformerBridge", asked: Study, why: str) -> BadInput:
    return BadInput(f"{model_name(model)} cannot be asked {asked.name}: {why}")


def plan_of(asked: Study, scale: Scale) -> StudyPlan:
    """What a study would take, of any model."""
    parts = {part.name: round(part.runs(scale)) for part in asked.parts}
    return StudyPlan(asked.name, len(asked.claims), parts, sum(parts.values()), scale.sets, least_p(scale.sets))


def run_study(
    model: "TransformerBridge",
    asked: Study,
    *,
    scale: Scale = FULL,
    folder: Path | None = None,
    resume: bool = False,
    progress: Progress = SILENT,
) -> StudyResult:
    """Every part and the verdicts. folder: where the result will be stored; parts are kept beside it until then, and with resume
    those that are there already are not measured again. BadInput where the model can be asked none of it."""
    kept = Kept.begin(folder, _asked(model, asked, scale), resume)
    found = _measure(model, asked, scale, kept, progress)
    if all(one.lacking for one in found.values()):
        kept.end()
        raise _refused(model, asked, next(iter(found.values())).lacking)
    return StudyResult(
        study=asked.name,
        title=asked.title,
        paper=asked.paper,
        model=model_name(model),
        quick=scale.sets < FULL.sets,
        seed=scale.seed,
        outcomes=[_outcome(claim, found[claim.part]) for claim in asked.claims],
        tables=[table for one in found.values() for table in one.tables],
        pictures=[picture for one in found.values() for picture in one.pictures],
    )


def end(folder: Path) -> None:
    """Forget the parts of a result that was stored there, or printed."""
    discard(partial(folder))


def _measure(
    model: "TransformerBridge", asked: Study, scale: Scale, kept: Kept, progress: Progress
) -> dict[str, Found]:
    """What each part found, in the order of the study; what is kept already takes no time."""
    there = {part.name: kept.get(part.name) for part in asked.parts}
    left, found = sum(part.runs(scale) for part in asked.parts if there[part.name] is None), {}
    with progress.stage(asked.name, total=left or None, unit="run") as step:
        bench = Bench(model, scale, step)
        for part in asked.parts:
            one = there[part.name]
            if one is None:
                one = _part(part, bench)
                kept.put(part.name, one)
            found[part.name] = one
    return found


def _part(part: Part, bench: Bench) -> Found:
    try:
        return part.measure(bench)
    except BadInput as error:
        return Found(lacking=str(error))


def _outcome(claim: Claim, found: Found) -> Outcome:
    measured = found.measured.get(claim.name)
    return Outcome(claim, measured, verdict_of(claim.rule, measured, found.lacking))


def _asked(model: "TransformerBridge", asked: Study, scale: Scale) -> dict:
    from probe.model.fingerprint import stamp

    rules: Sequence[dict] = [asdict(claim) for claim in asked.claims]
    return {"study": asked.name, "model": asdict(stamp(model)), "amounts": asdict(scale), "rules": rules}
