"""Colours that scripts draw with stand in stylesheets, under the name of what they colour."""

import re

from paths import ROOT

ASSETS = ROOT / "app" / "assets"
SCRIPTS = [path for path in sorted(ASSETS.glob("*.js")) if not path.name.startswith("plotly")]


def test_no_script_has_a_colour_of_its_own():
    literal = re.compile(r"""["'`](?:#[0-9a-fA-F]{3,8}["'`]|(?:rgba?|hsla?)\(\s*\d)|\[\d{1,3}, \d{1,3}, \d{1,3}\]""")
    found = {path.name: literal.findall(path.read_text(encoding="utf8")) for path in SCRIPTS}
    assert not {name: colours for name, colours in found.items() if colours}


def test_every_colour_that_a_script_reads_is_named_in_a_stylesheet():
    named = {n for path in ASSETS.glob("*.css") for n in re.findall(r"(--[\w-]+):", path.read_text(encoding="utf8"))}
    asked = re.compile(r"""(?:getPropertyValue\(|read\(|var\()["']?(--[\w-]+)""")
    read = {n for path in SCRIPTS for n in asked.findall(path.read_text(encoding="utf8"))}
    assert {"--heads-high-score-outline", "--patching-effect-none"} <= read
    assert read <= named
