"""Calls of methods that come from the command line: queued as a page's are, told of while they run, and answered as plain values.

Who asks shows the secret of `app.server.whereabouts`; without it there is nothing here, neither to start nor to read. What is
asked is looked at like what comes from a page: a method that is declared, a model that is offered.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request

from app.server.plain_answers import absent
from app.server.whereabouts import CALLS, HEADER, knows
from probe.errors import BadInput, OpenworkError

Json = dict[str, Any]


def register(server: Flask) -> None:
    """Add the addresses that commands use."""

    @server.post(CALLS)
    def ask():
        return _answer(lambda: _submit(request.get_json(silent=True)))

    @server.get(f"{CALLS}/<key>")
    def follow(key: str):
        return _answer(lambda: _state(_known(key), with_table="table" in request.args))

    @server.post(f"{CALLS}/<key>/cancel")
    def cancel(key: str):
        return _answer(lambda: _cancel(_known(key)))

    @server.post(f"{CALLS}/<key>/save")
    def save(key: str):
        return _answer(lambda: _save(_known(key), request.get_json(silent=True)))


def _answer(what: Callable[[], Json]) -> Response:
    """What was asked as JSON; a refusal as its sentence, with 400 for what was asked wrongly and 503 for the rest."""
    if not knows(request.headers.get(HEADER, "")):
        return absent()
    try:
        said, status = what(), 200
    except OpenworkError as error:
        said, status = {"error": str(error)}, 400 if isinstance(error, BadInput) else 503
    return Response(json.dumps(said, default=_number), status, mimetype="application/json")


def _number(value: Any) -> Any:
    """A number or an array of numpy's as JSON; what is no value in a few words."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _known(key: str) -> str:
    if not re.fullmatch(r"method:[0-9a-f]{16}", key):
        raise BadInput("There is no such call here.")
    return key


def _submit(asked: Any) -> Json:
    from app.jobs.work import submit
    from app.library.models import require_offered
    from app.methods.method_jobs import work_of
    from probe.methods.call import Call

    if not isinstance(asked, dict):
        raise BadInput("A call was wanted: method, model and arguments.")
    call = Call.checked(asked.get("method"), asked.get("model", ""), asked.get("arguments"))
    if call.about.of_model:
        require_offered(call.model)
    work = work_of(call)
    return {"key": submit(work), "page": work.link}


def _state(key: str, with_table: bool = False) -> Json:
    """How far it is; with what it found, once that is there."""
    from app.jobs.table import job_table
    from app.jobs.work import result
    from probe.show.panels import told

    job = job_table().latest(key)
    if job is not None and job.active:
        stages = {name: getattr(job, name) for name in ("state", "stage", "done", "total", "unit")}
        return {**stages, "ahead": len(job_table().ahead(job))}
    if (record := result(key)) is not None:
        found = {"state": "done", "record": record.to_dict(), "panels": told(record.panels())}
        return {**found, "table": record.every_row()} if with_table else found
    if job is None or job.state == "done":
        raise BadInput("This result is not kept any more; run it again.")
    return {
        "state": job.state,
        "message": job.message,
        "asked_wrongly": job.details.startswith(("BadInput", "BadCall")),
    }


def _cancel(key: str) -> Json:
    from app.jobs.table import job_table

    if (job := job_table().latest(key)) is not None:
        job_table().cancel(job.id)
    return {}


def _save(key: str, asked: Any) -> Json:
    """Store the result under a name as well."""
    from app.jobs.work import required
    from probe.artifacts.folder import place
    from probe.methods.parameters import artifact_of

    name = asked.get("name") if isinstance(asked, dict) else None
    if not isinstance(name, str):
        raise BadInput("A name was wanted to store the result under.")
    record = required(key)
    return {"folder": str(record.save(place(artifact_of(type(record).__name__), name)))}
