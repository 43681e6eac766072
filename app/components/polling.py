"""A poll: a part that asks the server again and again, each time only after the last answer has come.

An asking that overtakes another one makes the browser drop the earlier answer. With a server slower than the poll, over a long
line or on a busy machine, every answer would be dropped and the page would wait for good; so a poll rests while one is on its
way.

    poll("training-poll", 2000)                                      # in the layout
    @app.callback(..., Input("training-poll", "n_intervals"), ..., running=in_turn("training-poll", 2000))    # its only one
"""

from typing import Any

from dash import Output, dcc

LOST = 60_000  # milliseconds after which an answer counts as lost, with the server that owed it


def poll(name: Any, every: int, disabled: bool = False) -> dcc.Interval:
    """every: milliseconds from an answer to the next asking."""
    return dcc.Interval(id=name, interval=every, disabled=disabled)


def in_turn(name: Any, every: int) -> list[tuple[Output, int, int]]:
    """What a callback takes as `running` when it is what a poll asks for; one poll asks for one thing."""
    return [(Output(name, "interval"), LOST, every)]
