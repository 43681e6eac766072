"""`openwork serve` and `openwork doctor`."""

from typing import Annotated

import typer

from app.commands.common import AsJson, print_json, print_rows


def serve(
    port: Annotated[int, typer.Option("--port", help="Port on this machine.")] = 8050,
    host: Annotated[str, typer.Option("--host", help="Address; any other than loopback needs a token.")] = "127.0.0.1",
    token: Annotated[
        str | None, typer.Option("--token", envvar="OPENWORK_TOKEN", help="What visitors must show.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser window.")] = True,
) -> None:
    """The dashboard, on this machine."""
    from app.main import serve as run

    run(host=host, port=port, open_browser=browser, token=token)


def doctor(json: AsJson = False) -> None:
    """Versions, device, memory, disks, caches; what is missing or damaged, and how to mend it."""
    from app.doctor import examine

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


COMMANDS = (serve, doctor)
