"""Papers re-examined on a loaded model: their claims, each with a measure, a control and a verdict by a rule written down first.

A study is a file that says `STUDY = Study(...)`, here or in a folder of its own (`ioi/claims.py`); `catalogue` finds it by
reading, `running` runs it. `component_circuits/` is what studies of heads, MLPs and edges share.
"""
