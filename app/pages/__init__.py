"""The pages, in the order in which their addresses are tried."""

from app.pages import (
    beside,
    circuits,
    graph,
    graphs_beside,
    heads,
    home,
    jobs,
    lens,
    patching,
    prompt,
    prompts,
    report,
    run,
    training,
    unit,
    unit_browser,
    units,
)

_MODULES = (
    *(home, prompts, prompt, beside, heads, lens, units, unit_browser, unit),
    *(circuits, graph, graphs_beside, patching, training, run, report, jobs),
)
PAGES = [module.PAGE for module in _MODULES]
