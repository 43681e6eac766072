"""What the browser of units does: reads the query of its address, serves rows to the grid, ties the histogram to its range."""

from typing import TYPE_CHECKING, Any

from dash import ClientsideFunction, Dash, Input, Output, State, html, no_update
from dash.development.base_component import Component

from app.components.grid import AgGrid
from app.components.parts import error
from app.figures.dress import dress
from app.library import tables
from app.pages.unit_browser.query import MOST_ROWS, PAGE_ROWS, asked_of
from probe.artifacts.json import Json
from probe.errors import OpenworkError
from probe.features.search import SHOWN, WORDS

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


def grid(table: str, asked: Json) -> Component:
    """The grid itself. Its script is fetched by the page that needs it, see `assets/units.js`."""
    opened = tables.open_table(table)
    plain = {"sortable": False, "flex": 1, "minWidth": 90}
    tokens = {**plain, "cellRenderer": "OwTokens", "flex": 2, "minWidth": 150}
    number = {"type": "rightAligned", "valueFormatter": {"function": "owNumber(params)"}, "width": 104}
    name = {"valueFormatter": {"function": "owUnitName(params)"}, "width": 112, "cellClass": "mono", "pinned": "left"}
    columns = {
        "unit": {**name, "headerName": opened.kind},
        "label": {**plain, "flex": 2 if opened.labels else 1},
        "matched": {**plain, "headerName": "found in"},
        "density": {**number, "valueFormatter": {"function": "owDensity(params)"}, "width": 112},
        "mean_active": {**number, "headerName": "mean active", "width": 122},
        "max": number,
        **{column: {**tokens, "headerName": WORDS[column]} for column in SHOWN},
    }
    columns[asked.get("sort", "unit")]["sort"] = "desc" if asked.get("descending") else "asc"
    return AgGrid(
        id="ub-grid",
        rowModelType="infinite",
        columnDefs=[{"field": field, "headerName": field, **how} for field, how in columns.items()],
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
        eventListeners={
            "cellKeyDown": ["owUnitKey(params)"],
            "rowClicked": ["owUnitClick(params)"],
            "sortChanged": ["owUnitSorted(params)"],
        },
        getRowId="params.data.unit + ''",
        style={"height": 560, "width": "100%"},
        className="ow-ag",
    )


def register(app: Dash) -> None:
    asked = [Input(f"ub-{name}", "value") for name in ("text", "where", "label", "dead", "range")]
    args = State("ub-args", "data")
    _in_browser(app, "loadGrid", Output("ub-place", "data-asked"), Input("ub-args", "data"), first=True)
    _in_browser(app, "unitQuery", Output("ub-query", "data"), *asked, args)
    _in_browser(app, "unitRefresh", Output("ub-place", "data-refreshed"), Input("ub-query", "data"), first=True)
    every = [Output(one.component_id, "value") for one in asked]
    _in_browser(app, "unitClear", *every, Input("ub-clear", "n_clicks"), args)
    dragged = Output("ub-range", "value", allow_duplicate=True)
    _in_browser(app, "unitBrush", dragged, Input("ub-density", "selectedData"), args)
    shown = [Input("ub-range", "value"), Input("ub-density", "figure")]
    _in_browser(app, "unitRange", Output("ub-range-words", "children"), *shown, args, first=True)

    @app.callback(Output("ub-place", "children"), Input("ub-ready", "data"), args, prevent_initial_call=True)
    def show(ready: object, args: Json):
        return grid(args["table"], args["asked"]) if ready else no_update

    @app.callback(
        Output("ub-grid", "getRowsResponse"),
        Output("ub-count", "children"),
        Output("ub-problem", "children"),
        Input("ub-grid", "getRowsRequest"),
        State("ub-query", "data"),
        args,
        prevent_initial_call=True,
    )
    def rows(request: Json | None, query: Json | None, args: Json):
        return answer(request, query, args["table"]) if request else (no_update,) * 3

    @app.callback(Output("ub-density", "figure"), Input("ub-args", "data"), State("scheme", "data"))
    def densities(args: Json, scheme: str):
        return density_figure(args["table"], scheme)


def _in_browser(app: Dash, function: str, *parts: Input | Output | State, first: bool = False) -> None:
    """A callback of `assets/units.js`. first: it answers when the page opens, too."""
    app.clientside_callback(ClientsideFunction("openwork", function), *parts, prevent_initial_call=not first)


def answer(request: Json, query: Json | None, table: str) -> tuple[Any, Any, Any]:
    """A page of rows, the count beside the title, and why there is none if there is none."""
    order = (request.get("sortModel") or [{}])[0]
    asked = asked_of({**(query or {}), "s": f"{order.get('colId', 'unit')}-{order.get('sort', 'asc')}"})
    first, end = max(0, int(request["startRow"])), int(request["endRow"])
    try:
        opened = tables.open_table(table)
        found = opened.search(**asked, offset=first, limit=min(max(0, end - first), MOST_ROWS))
        rows = found.records()
    except OpenworkError as problem:
        return {"rowData": [], "rowCount": 0}, "", error(str(problem))
    none = None if found.total else html.P("No unit matches. Clear a filter, or look anywhere.", className="ow-sub")
    return {"rowData": rows, "rowCount": found.total}, f"{found.total:,} of {opened.n_units:,}", none
