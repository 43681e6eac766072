"""`openwork demo`: the whole way through, once, with a report."""

from typing import Annotated

import typer

from app.commands.options import AsJson, Model, print_json, progress, quiet
from probe.model.aliases import DEFAULT
from probe.show.terminal import show_panels


def demo(
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Open the dashboard on the results when done.")
    ] = True,
    model: Model = DEFAULT,
    prompt: Annotated[str | None, typer.Option("--prompt", help="Another prompt to explain.")] = None,
    tokens: Annotated[int | None, typer.Option("--tokens", help="Harvest fewer or more token positions.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="Other text to harvest: a file, or datasets:ID.")] = None,
    port: Annotated[int, typer.Option("--port", help="Port of the dashboard.")] = 8050,
    json: AsJson = False,
) -> None:
    """Prompt, lens, heads, graph, harvest, training, evaluation, graph again: every step once, continued if interrupted."""
    quiet()
    from circuits.demo.report import panels
    from circuits.demo.run import DemoConfig, run_demo

    changed = {"prompt": prompt, "tokens": tokens, "text": text}
    config = DemoConfig(model=model, **{k: v for k, v in changed.items() if v is not None})
    report = run_demo(config, progress()).to_dict()
    print_json(report) if json else show_panels(panels(report))
    if serve:
        from app.library import prompts
        from app.links import prompt_page
        from app.server.main import serve as open_dashboard

        open_dashboard(port=port, path=prompt_page(prompts.store(config.prompt, model).id, model))
