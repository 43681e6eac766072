"""`openwork serve`, `openwork doctor` and `openwork words`."""

from typing import Annotated

import typer

from app.commands.options import AsJson, print_json


def serve(
    port: Annotated[int, typer.Option("--port", help="Port on this machine.")] = 8050,
    host: Annotated[str, typer.Option("--host", help="Address; any other than loopback needs a token.")] = "127.0.0.1",
    token: Annotated[
        str | None, typer.Option("--token", envvar="OPENWORK_TOKEN", help="What visitors must show.")
    ] = None,
    origins: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-origin", help="Where a proxy shows the pages, like https://name-8050.app.github.dev; repeatable."
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help="Model to open there first: alias, hub id, model folder or .gguf file; repeatable."
        ),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser window.")] = True,
) -> None:
    """The dashboard, on this machine."""
    from app.server.main import serve as run

    run(
        host=host,
        port=port,
        open_browser=browser,
        token=token,
        seen_at=tuple(o.rstrip("/") for o in origins or ()),
        models=tuple(models or ()),
    )


def doctor(
    mend: Annotated[
        bool, typer.Option("--mend", help="Take away what killed writers left, and give back names; nothing else.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Versions, device, memory, disks, caches; what is missing or damaged, and how to mend it."""
    if mend:
        _mend(json)
        return
    from probe.doctor.examine import examine
    from probe.show.terminal import print_rows

    found = examine()
    if json:
        print_json(found.to_dict())
    else:
        print_rows(
            [{"": c.mark, "what": c.name, "found": c.found, "to mend": c.mend} for c in found.checks],
            "Openwork on this machine",
        )
    if found.broken:
        raise typer.Exit(1)


def _mend(json: bool) -> None:
    """Say what was done, a sentence each, and what waits to be resumed."""
    from probe.artifacts.leftovers import mend, unfinished

    done, waiting = mend(), [str(left.path) for left in unfinished() if not left.by]
    if json:
        print_json({"mended": done, "unfinished": waiting})
        return
    for sentence in done:
        typer.echo(sentence)
    for path in waiting:
        typer.echo(f"{path}: unfinished; its command with --resume goes on, so it was left as it is.")
    typer.echo(f"{len(done)} mended." if done else "There was nothing to mend.")


def words(
    word: Annotated[str, typer.Argument(help="One word, like influence; all of them without it.")] = "",
    json: AsJson = False,
) -> None:
    """What the numbers mean, and what is good."""
    from probe.show.glossary import asked_words

    found = asked_words(word)
    if json:
        print_json([one.to_dict() for one in found])
        return
    for one in found:
        typer.echo(f"{one.name}\n    {one.meaning}\n    {one.good}{f' ({one.source})' if one.source else ''}".rstrip())
