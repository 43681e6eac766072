"""What the browser of units does: reads the query of its address, serves rows to the grid, ties the histogram to its range."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dash import ClientsideFunction, Dash, Input, Output, State, html, no_update
from dash.development.base_component import Component

from app import links
from app.components.grid import AgGrid
from app.components.parts import error
from app.components.slot import waiting
from app.figures.dress import dress
from app.jobs.table import job_table
from app.library import tables
from app.pages.unit_browser.query import PAGE_ROWS, Query, from_store, page_of
from probe.artifacts.json import Json
from probe.errors import OpenworkError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def density_figure(table: str, scheme: str) -> "Figure":
    """The histogram, dressed, over which a range is drawn."""
    figure = tables.open_table(table).figure()
    figure.update_xaxes(title=None, fixedrange=True, ticklabelstandoff=7)  # clear of the other axis's 0
    figure.update_yaxes(title=None, fixedrange=True)
    return dress(
        figure, scheme, margin={"l": 46, "r": 14, "t": 8, "b": 31}, dragmode="select", selectdirection="h", bargap=0
    )


def grid(table: str, asked: Query) -> Component:
    """The grid itself. Its script is fetched by the page that needs it, see `assets/units.js`."""
    opened = tables.open_table(table)
    kind, labelled = opened.kind, bool(opened.labels)
    plain = {"sortable": False, "flex": 1, "minWidth": 90}
    tokens = {**plain, "cellRenderer": "OwTokens", "flex": 2, "minWidth": 150}
    number = {"type": "rightAligned", "valueFormatter": {"function": "owNumber(params)"}, "width": 104}
    share = {**number, "valueFormatter": {"function": "owDensity(params)"}, "width": 112}
    name = {"valueFormatter": {"function": "owUnitName(params)"}, "width": 112, "cellClass": "mono", "pinned": "left"}
    columns = [
        ("unit", kind, name),
        ("label", "label", {**plain, "flex": 2 if labelled else 1}),
        ("matched", "found in", plain),
        ("density", "density", share),
        ("mean_active", "mean active", {**number, "width": 122}),
        ("max", "max", number),
        ("promoted", "promotes", tokens),
        ("measured", "fires at", tokens),
        ("peaks", "peak tokens", tokens),
    ]
    way = {"sort": "desc" if asked.descending else "asc"}
    return AgGrid(
        id="ub-grid",
        rowModelType="infinite",
        columnDefs=[
            {"field": field, "headerName": words, **how, **(way if field == asked.sort else {})}
            for field, words, how in columns
        ],
        defaultColDef={"resizable": True, "sortable": True, "suppressMovable": True, "sortingOrder": ["desc", "asc"]},
        dashGridOptions={
            "theme": {"function": "owGridTheme(themeQuartz)"},
            "cacheBlockSize": PAGE_ROWS,
            "maxBlocksInCache": 30,
            "maxConcurrentDatasourceRequests": 1,  # the component keeps one request; a second would take its answer
            "blockLoadDebounceMillis": 60,
            "rowHeight": 32,
            "headerHeight": 34,
            "suppressCellFocus": False,
        },
        eventListeners={"cellKeyDown": ["owUnitKey(params)"], "rowClicked": ["owUnitClick(params)"]},
        getRowId="params.data.unit + ''",
        style={"height": 560, "width": "100%"},
        className="ow-ag",
    )


def register(app: Dash) -> None:
    _register_grid(app)
    _register_range(app)

    @app.callback(
        Output("ub-waiting", "children"),
        Output("url", "href", allow_duplicate=True),
        Input("ub-waiting-poll", "n_intervals"),
        State("ub-waiting-for", "data"),
        prevent_initial_call=True,
    )
    def follow(_: object, name: str | None):
        job = job_table().latest(f"features:{name}")
        if job is not None and job.state == "done":
            return no_update, links.table_page(str(name), ready=1)
        return waiting(job), no_update


def _register_grid(app: Dash) -> None:
    app.clientside_callback(
        ClientsideFunction("openwork", "loadGrid"), Output("ub-place", "data-asked"), Input("ub-args", "data")
    )
    app.clientside_callback(
        ClientsideFunction("openwork", "unitQuery"),
        Output("ub-query", "data"),
        *(Input(f"ub-{name}", "value") for name in ("text", "where", "label", "dead", "range")),
        State("ub-args", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("openwork", "unitRefresh"), Output("ub-place", "data-refreshed"), Input("ub-query", "data")
    )
    app.clientside_callback(
        ClientsideFunction("openwork", "unitClear"),
        *(Output(f"ub-{name}", "value") for name in ("text", "where", "label", "dead", "range")),
        Input("ub-clear", "n_clicks"),
        State("ub-args", "data"),
        prevent_initial_call=True,
    )

    sorted_by = ClientsideFunction("openwork", "unitSorted")
    app.clientside_callback(
        sorted_by, Output("ub-sort", "data"), Input("ub-grid", "getRowsRequest"), prevent_initial_call=True
    )

    @app.callback(
        Output("ub-place", "children"),
        Input("ub-ready", "data"),
        State("ub-args", "data"),
        State("ub-sort", "data"),
        prevent_initial_call=True,
    )
    def show(ready: object, args: Json, sort: Sequence[Json]):
        return grid(args["table"], Query(sort=sort[0], descending=sort[1])) if ready else no_update

    @app.callback(
        Output("ub-grid", "getRowsResponse"),
        Output("ub-count", "children"),
        Output("ub-problem", "children"),
        Input("ub-grid", "getRowsRequest"),
        State("ub-query", "data"),
        State("ub-args", "data"),
        prevent_initial_call=True,
    )
    def rows(request: Json | None, query: Json | None, args: Json):
        if not request:
            return no_update, no_update, no_update
        return answer(request, query, args)


def answer(request: Json, query: Json | None, args: Json) -> tuple[Any, Any, Any]:
    """A page of rows, the count beside the title, and why there is none if there is none."""
    try:
        asked = from_store(query, request.get("sortModel") or [])
        rows, total = page_of(args["table"], asked, int(request["startRow"]), int(request["endRow"]))
        n = tables.open_table(args["table"]).n_units
    except OpenworkError as problem:
        return {"rowData": [], "rowCount": 0}, "", error(str(problem))
    none = html.P("No unit matches. Clear a filter, or look anywhere.", className="ow-sub") if not total else None
    return {"rowData": rows, "rowCount": total}, f"{total:,} of {n:,}", none


def _register_range(app: Dash) -> None:
    app.clientside_callback(
        ClientsideFunction("openwork", "unitBrush"),
        Output("ub-range", "value", allow_duplicate=True),
        Input("ub-density", "selectedData"),
        State("ub-args", "data"),
        prevent_initial_call=True,
    )

    @app.callback(Output("ub-density", "figure"), Input("ub-args", "data"), State("scheme", "data"))
    def densities(args: Json, scheme: str):
        return density_figure(args["table"], scheme)

    app.clientside_callback(
        ClientsideFunction("openwork", "unitRange"),
        Output("ub-range-words", "children"),
        Input("ub-range", "value"),
        Input("ub-density", "figure"),
        State("ub-args", "data"),
    )
