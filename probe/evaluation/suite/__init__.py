"""The suite: is a dictionary better than what needs no dictionary? Each number beside its baselines, in minutes, offline.

k-sparse probing and first-letter absorption and splitting, for the dictionary, an untrained one, the activations themselves, and
a model with shuffled weights. SCR and TPP are left out: an audit (arXiv 2605.18229) found that they do not measure what they say.

    report = run_suite(model, dictionary, cache)
    print(report.table())
"""

from probe.evaluation.suite.report import SuiteReport
from probe.evaluation.suite.run import SuiteConfig, plan_suite, run_suite

__all__ = ["SuiteConfig", "SuiteReport", "plan_suite", "run_suite"]
