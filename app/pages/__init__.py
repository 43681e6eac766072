"""The pages, in the order in which their addresses are tried."""

from app.pages import circuits, graph, home, jobs, prompt, prompts

PAGES = [home.PAGE, prompts.PAGE, prompt.PAGE, circuits.PAGE, graph.PAGE, jobs.PAGE]
