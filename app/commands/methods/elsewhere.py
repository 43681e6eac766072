"""A call answered by the dashboard that runs already, which holds the model: within a second, and without torch here."""

import http.client
import json
import time
from pathlib import Path
from typing import Any

from app.server.other_hosts import in_address
from app.server.whereabouts import CALLS, HEADER, Whereabouts, running
from probe.errors import BadInput, Cancelled, OpenworkError, Unavailable
from probe.methods.call import Call
from probe.model.aliases import ALIASES
from probe.progress import Progress, retold

_QUICK, _SLOW = 0.05, 0.3  # seconds between two questions, in the first second and then


def dashboard() -> Whereabouts:
    """The dashboard of this home; Unavailable where none runs."""
    if (found := running()) is None:
        raise Unavailable(
            "No dashboard that answers commands runs over these results. Start `openwork serve` on this machine, without a "
            "token, or leave --dashboard out."
        )
    return found


def at_dashboard(call: Call) -> Call:
    """The call with its model by the name that the dashboard, which was started elsewhere, knows it by."""
    there = call.model not in ALIASES and call.model and Path(call.model).expanduser().exists()
    model = str(Path(call.model).expanduser().resolve()) if there else call.model
    return Call(call.method, model, call.arguments, call.declared)


class Asked:
    """One call at a dashboard: asked, waited for with progress, and perhaps stored under a name."""

    def __init__(self, there: Whereabouts, call: Call) -> None:
        self.there = there
        told = self._ask("POST", CALLS, at_dashboard(call).to_dict())
        self.key, self.page = str(told["key"]), f"http://{in_address(there.host)}:{there.port}{told['page']}"

    def found(self, progress: Progress, table: bool = False) -> dict[str, Any]:
        """What it found: `record`, `panels`, and `table` where that is wanted. Interrupted, it calls the job off."""
        try:
            return self._wait(progress, "?table=1" if table else "")
        except KeyboardInterrupt:
            self._ask("POST", f"{CALLS}/{self.key}/cancel", {})
            raise

    def save(self, name: str) -> None:
        """Store it under a name; BadInput where that is taken."""
        self._ask("POST", f"{CALLS}/{self.key}/save", {"name": name})

    def _wait(self, progress: Progress, query: str) -> dict[str, Any]:
        begun = time.monotonic()
        with retold(progress) as show:
            while (told := self._ask("GET", f"{CALLS}/{self.key}{query}"))["state"] in ("queued", "running"):
                stage = str(told["stage"] or ("waits for other work" if told.get("ahead") else ""))
                show(stage, told["done"], told["total"], told["unit"] or "it")
                time.sleep(_QUICK if time.monotonic() - begun < 1 else _SLOW)
            if told["state"] == "done":
                show("", 0.0, None, "")
                return told
        kinds: dict[str, type[OpenworkError]] = {"cancelled": Cancelled, "failed": BadInput}
        kind = kinds[told["state"]] if told["state"] == "cancelled" or told.get("asked_wrongly") else Unavailable
        raise kind(str(told["message"]))

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One request, straight to this machine: no proxy may see the secret."""
        link = http.client.HTTPConnection(self.there.host, self.there.port, timeout=30)
        headers = {HEADER: self.there.secret, "Content-Type": "application/json"}
        try:
            link.request(method, path, None if body is None else json.dumps(body), headers)
            answer = link.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"The dashboard does not answer ({error}); leave --dashboard out, or start it anew."
            ) from error
        finally:
            link.close()
        return _told(answer.status, data)


def _told(status: int, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if status == 200 and isinstance(found, dict):
        return found
    if isinstance(found, dict) and isinstance(found.get("error"), str):
        raise (BadInput if status == 400 else Unavailable)(found["error"])
    raise Unavailable(f"The dashboard answered with {status}: {data[:200].decode(errors='replace')}")
