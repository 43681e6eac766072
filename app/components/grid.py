"""AG Grid, without its script on pages that have no grid.

Dash writes the script of every imported suite of components into every page, here 1.3 MB. Marked as one to be fetched when it is
needed, it is served and nothing more; `assets/units.js` fetches it before the server is asked for the grid.
"""

import dash_ag_grid as dag

for _file in dag._js_dist:
    if _file["relative_package_path"] == "dash_ag_grid.min.js":
        _file["async"] = True

AgGrid = dag.AgGrid
