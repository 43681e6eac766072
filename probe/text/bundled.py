"""Find the small data files Openwork ships: in `data/` of a checkout, in `probe/_data/` of an installed wheel."""

from pathlib import Path

from probe.errors import BadInput, Unavailable

_PROBE = Path(__file__).resolve().parent.parent
FOLDERS = (_PROBE / "_data", _PROBE.parent / "data")


def bundled(name: str) -> Path:
    """Path of a shipped data file, e.g. `bundled("sotu.parquet")`.

    Raises BadInput for a name that points outside the data folder, Unavailable if the installation lacks the file.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise BadInput(f"'{name}' is no bundled file; give a plain name such as 'sotu.parquet'.")
    for folder in FOLDERS:
        if (folder / name).is_file():
            return folder / name
    looked = " and ".join(str(folder) for folder in FOLDERS)
    raise Unavailable(f"The data file {name} is missing from {looked}. Reinstall openwork, or restore the checkout.")
