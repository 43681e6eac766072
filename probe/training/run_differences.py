"""Training runs side by side: the settings in which they differ, and short names that still tell them apart."""

from typing import Any

from probe.training.run_log import TrainingRun


def short_names(names: list[str]) -> list[str]:
    """Names without the parts, between hyphens, that all of them begin with, but for the last such part: `…topk-64-s1` and
    `…topk-32-s0`. Where that would save little, or there is one name alone, they stay whole."""
    parts = [name.split("-") for name in names]
    shared = 0
    while len(set(names)) > 1 and all(len(p) > shared + 1 for p in parts) and len({p[shared] for p in parts}) == 1:
        shared += 1
    cut = "-".join(parts[0][: max(0, shared - 1)]) if parts else ""
    return [f"…{name[len(cut) + 1 :]}" for name in names] if len(cut) > 7 else names


def differing(chosen: list[TrainingRun]) -> list[dict[str, Any]]:
    """The settings in which runs differ, a row each; what all share is left out, and so is what only one is known to have. Names,
    times and file contents are no settings."""
    flat = [settings_of(run) for run in chosen]
    keys = list(dict.fromkeys(k for one in flat for k in one))
    rows = [{"setting": k, **{run.name: one.get(k, "") for run, one in zip(chosen, flat, strict=True)}} for k in keys]
    return [row for row in rows if len({v for k, v in row.items() if k != "setting" and v != ""}) > 1]


def compared(chosen: list[TrainingRun]) -> list[dict[str, Any]]:
    """The same under short names: a column a run, or a row a run where that makes the narrower table."""
    found, names = differing(chosen), short_names([run.name for run in chosen])
    spoken = {str(row["setting"]).replace("_", " "): row for row in found}
    if 2 < len(chosen) > len(found) > 0:
        pairs = zip(chosen, names, strict=True)
        return [{"run": name, **{said: row[run.name] for said, row in spoken.items()}} for run, name in pairs]
    pairs = [*zip(chosen, names, strict=True)]
    return [{"setting": said, **{name: row[run.name] for run, name in pairs}} for said, row in spoken.items()]


_NO_SETTINGS = ("seconds", "steps", "tokens", "sparsifier", "site_in", "site_out", "d_in", "d_out", "skip")


def settings_of(run: TrainingRun) -> dict[str, str]:
    """Everything that decides what it becomes, by name, as text."""
    own = {"model": run.model, "cache": run.cache, "sparsifier": run.rule}
    shape = {k: v for k, v in run.facts.items() if k not in _NO_SETTINGS and not k.startswith("sparsifier")}
    return {k: _plain(v) for k, v in {**own, **shape, **run.config}.items() if v not in ("", None)}


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
