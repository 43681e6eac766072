"""How `record.open()` finds the dashboard: the function that is announced to the library, from Openwork's own `app`."""

from openwork.own import own

own("app")

from app.server.notebook import open_record  # noqa: E402

__all__ = ["open_record"]
