"""The page around the application, and the colours and type that Mantine's components take; everything else is in `assets/`."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

ASSETS = Path(__file__).parent.parent / "assets"
# In the page: as a file of its own it would hold up the first paint.
EARLY = (ASSETS / "early-scheme.js").read_text(encoding="utf-8")
EARLY_HASH = f"sha256-{b64encode(sha256(EARLY.encode()).digest()).decode()}"

INDEX = f"""<!DOCTYPE html>
<html lang="en">
<head>
{{%metas%}}
<title>{{%title%}}</title>
<link rel="icon" type="image/svg+xml" href="/assets/favicon.svg">
<script>{EARLY}</script>
{{%css%}}
</head>
<body>
{{%app_entry%}}
<footer>{{%config%}}{{%scripts%}}{{%renderer%}}</footer>
</body>
</html>"""


def awaited() -> str:
    """What stands in the page until its scripts are there: over a slow line that takes seconds, and words come first."""
    from app.frame.search import PAGES

    links = "".join(f'<a href="{href}">{name}</a>' for name, href, _, _ in PAGES)
    sentence = "This page is on its way. Its scripts, about 1 MB, are fetched once; the browser keeps them."
    return f"""<div id="react-entry-point"><div class="ow-early">
<header><a class="ow-brand" href="/"><img src="/assets/favicon.svg" alt=""><span>Openwork</span></a></header>
<main aria-busy="true"><p>{sentence}</p><noscript><p>They are needed: allow JavaScript for this address.</p></noscript>
<nav aria-label="Pages">{links}</nav></main></div></div>"""


THEME = {
    "primaryColor": "steel",
    "primaryShade": {"light": 7, "dark": 6},
    "fontFamily": "var(--ow-sans)",
    "fontFamilyMonospace": "var(--ow-mono)",
    "defaultRadius": "md",
    "colors": {
        "steel": [
            "#eef4fa",
            "#dce7f2",
            "#b5cde4",
            "#8ab1d6",
            "#669aca",
            "#4f8bc3",
            "#3a76b0",
            "#2f5d8c",
            "#28517b",
            "#1d456c",
        ],
        "dark": [
            "#c9ced6",
            "#a3abb8",
            "#757e8c",
            "#4b5462",
            "#3d4552",
            "#2a303a",
            "#191d24",
            "#14181e",
            "#12151a",
            "#0d1014",
        ],
    },
}
