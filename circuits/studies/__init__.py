"""Papers re-examined on a loaded model: their claims, each with a measure, a control and a verdict by a rule written down first.

A study is one file here that says `STUDY = Study(...)`; `catalogue` finds it by reading, `running` runs it.
"""
