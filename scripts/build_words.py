"""Make `data/words.txt`: common English words by first letter, from the bundled corpus's own vocabulary.

    python scripts/build_words.py

Words of 4 to 10 letters that stand in lower case at least 8 times and more often than with a capital (which leaves out names);
of each letter the 120 most frequent. One word a line, in alphabetical order. The same corpus gives the same bytes.
"""

import hashlib
import re
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

DATA = Path(__file__).resolve().parent.parent / "data"
LENGTHS, LEAST, PER_LETTER = range(4, 11), 8, 120


def counts(texts: list[str]) -> tuple[Counter[str], Counter[str]]:
    """How often each word stands in lower case, and how often otherwise."""
    lower, other = Counter(), Counter()
    for text in texts:
        for word in re.findall(r"[A-Za-z]+", text):
            (lower if word.islower() else other)[word.lower()] += 1
    return lower, other


def chosen(lower: Counter[str], other: Counter[str]) -> list[str]:
    """The most frequent words of each letter."""
    fit = [w for w, n in lower.items() if n >= max(LEAST, other[w] + 1) and len(w) in LENGTHS]
    ranked = sorted(fit, key=lambda w: (-lower[w], w))
    letters = sorted({w[0] for w in fit})
    return sorted(w for letter in letters for w in [w for w in ranked if w[0] == letter][:PER_LETTER])


def main() -> None:
    texts = pq.read_table(DATA / "sotu.parquet", columns=["text"]).column("text").to_pylist()
    words = chosen(*counts(texts))
    raw = ("\n".join(words) + "\n").encode()
    (DATA / "words.txt").write_bytes(raw)
    print(len(words), "words,", len(raw), "bytes, SHA-256", hashlib.sha256(raw).hexdigest())


if __name__ == "__main__":
    main()
