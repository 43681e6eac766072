"""The dashboard inside a notebook: one server in a thread of the kernel, records handed over in memory, a frame around a page.

    record.open()                                       # any record with a view
    notebook.serve(origins=("https://lab.example.org",))       # before, where notebooks come from elsewhere than loopback

The pages find what the notebook has: the record as it is, the model without a second copy of its weights, and everything in
`home()`. Other sites may not frame the pages; notebooks served from loopback may, and those named in `origins`.
"""

import re
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.server.record_pages import path_of
from probe.errors import BadInput
from probe.show.html import text

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


LOOPBACK = ("http://localhost:*", "http://127.0.0.1:*")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:(\d{1,5}|\*))?|vscode-webview:|vscode-file:")
_lock = threading.Lock()
_running: list["Served"] = []


@dataclass(frozen=True)
class Served:
    """The server of this process: its address and who may frame its pages."""

    address: str
    origins: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """A page of the dashboard: in a notebook a frame around it, elsewhere its address."""

    address: str
    height: int = 720

    def __repr__(self) -> str:
        return f"The dashboard shows it at {self.address}"

    def _repr_html_(self) -> str:
        address, height = text(self.address, 2000), int(self.height)
        frame = f"<iframe src='{address}' title='Openwork' style='width:100%;height:{height}px;border:0'></iframe>"
        port = self.address.split("/")[2].rpartition(":")[2]
        remote = (
            f"Nothing here? A kernel on another machine needs its port forwarded: ssh -L {port}:127.0.0.1:{port} MACHINE. "
            "A proxy of Jupyter's will not do, because the pages live at the root of their address."
        )
        link = f"<a href='{address}' target='_blank' rel='noopener'>{address}</a>"
        return f"{frame}<div style='font-size:12px;opacity:0.75'>{link} &nbsp; {remote}</div>"


def serve(*, origins: tuple[str, ...] = (), port: int = 0) -> Served:
    """Start this process's server, once, and return it. port 0 takes a free one.

    origins: further places whose pages may frame the dashboard, such as `https://lab.example.org`; notebooks on loopback may
    anyway. VS Code frames its outputs under `vscode-webview:` and `vscode-file:`. Raises BadInput for what is no origin, and
    for new origins when the server is running already.
    """
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise BadInput(
                f"'{origin[:80]}' is no origin; write it like https://lab.example.org or http://lab.example.org:8888."
            )
    with _lock:
        if not _running:
            _running.append(_start((*LOOPBACK, *origins), port))
        elif missing := [o for o in origins if o not in _running[0].origins]:
            raise BadInput(
                f"The dashboard of this notebook is running already and does not know {', '.join(missing)}. Restart the kernel "
                "and call serve(origins=...) before opening anything."
            )
        return _running[0]


def _start(origins: tuple[str, ...], port: int) -> Served:
    from app.server.main import make_server, stay_offline

    stay_offline()
    server = make_server("127.0.0.1", port, frames=origins)
    threading.Thread(target=server.serve_forever, daemon=True, name="openwork-dashboard").start()
    return Served(f"http://127.0.0.1:{server.server_port}", origins)


def open_record(record: object, model: "str | TransformerBridge | None" = None, *, height: int = 720) -> View:
    """The page that shows a record; see `probe.show.opening`."""
    view = show(path_of(record, model), height=height)
    if not in_notebook():
        sys.stderr.write(f"{view!r}\n")
    return view


def show(path: str = "/", *, height: int = 720) -> View:
    """Any page of the dashboard, by its path."""
    if not path.startswith("/"):
        raise BadInput(f"'{path}' is no path of the dashboard; paths begin with '/'.")
    return View(serve().address + path, height)


def in_notebook() -> bool:
    """Is there a front end that draws HTML? A terminal's IPython draws none."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None
