// The browser of units: fetches AG Grid's script when its page is opened, keeps what is chosen in the address, opens units.
(function () {
  "use strict";
  const ow = window.openwork, no = () => window.dash_clientside.no_update;
  const SUITE = "/_dash-component-suites/dash_ag_grid/dash_ag_grid.min.js";
  let script = null;

  function whenGrid(then) {
    if (window.dash_ag_grid) { then(); return; }
    if (!script) { script = ow.el("script"); script.src = SUITE; document.head.appendChild(script); }
    script.addEventListener("load", then);
    script.addEventListener("error", () => { script.remove(); script = null; });
  }

  const api = () => { try { return window.dash_ag_grid.getApi("ub-grid"); } catch (e) { return null; } };

  // Part of the query into the address, beside the selection; nothing is added to the history.
  function remember(part) {
    const url = new URL(window.location.href);
    for (const [key, value] of Object.entries(part)) {
      if (value === null || value === undefined || value === "") url.searchParams.delete(key); else url.searchParams.set(key, value);
    }
    if (url.href !== window.location.href) window.history.replaceState(window.history.state, "", url);
  }

  function open(data) {
    if (!data) return;
    const args = document.getElementById("ub-place").openworkBase, query = new URLSearchParams();
    for (const [key, short] of [["prompt", "p"], ["token", "t"]]) if (ow.selection[key] !== undefined && ow.selection[key] !== null) query.set(short, ow.selection[key]);
    ow.go(args + "/" + data.unit + (query.size ? "?" + query : ""));
  }

  const percent = (v) => { const p = 100 * v; return (p !== 0 && p < .01 ? p.toExponential(1).replace("-", "−") : String(Number(p.toPrecision(3)))) + " %"; };
  const power = (v) => percent(Math.pow(10, v));

  window.dashAgGridFunctions = Object.assign({}, window.dashAgGridFunctions, {
    owNumber: (params) => (params.value === undefined ? "" : params.data && params.data.dead ? "" : ow.number(params.value)),
    owDensity: (params) => (params.value === undefined ? "" : params.value === 0 ? "dead" : percent(params.value)),
    owUnitName: (params) => (params.data ? params.data.name : ""),
    owUnitClick: (params) => open(params.data),
    // The order of the grid is part of the address.
    owUnitSorted: (params) => { const by = params.api.getColumnState().find((column) => column.sort); remember({ s: by ? `${by.colId}-${by.sort}` : "" }); },
    owUnitKey: (params) => { if (params.event && params.event.key === "Enter") open(params.data); },
    owGridTheme: (theme) => theme.withParams({
      backgroundColor: "var(--ow-panel)", foregroundColor: "var(--ow-ink)", headerBackgroundColor: "var(--ow-sunken)", headerTextColor: "var(--ow-soft)",
      borderColor: "var(--ow-line)", rowHoverColor: "var(--ow-accent-soft)", selectedRowBackgroundColor: "var(--ow-accent-soft)", accentColor: "var(--ow-accent)",
      browserColorScheme: "inherit", fontFamily: "var(--ow-sans)", fontSize: 13, headerFontSize: 12, headerFontWeight: 550, cellHorizontalPadding: 10,
      wrapperBorderRadius: 8, oddRowBackgroundColor: "var(--ow-panel)", chromeBackgroundColor: "var(--ow-sunken)",
    }),
  });

  window.dashAgGridComponentFunctions = Object.assign({}, window.dashAgGridComponentFunctions, {
    OwTokens: function (props) {
      const shown = (text) => { const box = ow.el("span"); ow.writeToken(box, text); return box.textContent; };
      const chips = (props.value || []).map((text, i) => window.React.createElement("span", { key: i, className: "chip", dir: "auto" }, shown(text)));
      return window.React.createElement("span", { className: "ow-chips" }, chips);
    },
  });

  Object.assign(window.dash_clientside.openwork, {
    loadGrid: function (args) {
      if (!args) return no();
      const place = document.getElementById("ub-place");
      place.openworkBase = args.base;
      place.openworkExport = () => { const rows = []; const grid = api(); if (grid) grid.forEachNode((node) => { if (node.data) rows.push(node.data); }); return rows; };
      whenGrid(() => { if (document.getElementById("ub-place") === place) window.dash_clientside.set_props("ub-ready", { data: args.table }); });
      return no();
    },

    unitQuery: function (text, where, label, dead, range, args) {
      const low = range && range[0] > args.low + .011 ? Number(range[0].toFixed(2)) : null, high = range && range[1] < -.011 ? Number(range[1].toFixed(2)) : null;
      const query = { q: text || "", w: where === "any" ? "" : where, lab: label || "", d: dead || "", lo: low, hi: high };
      remember(query);
      return query;
    },

    unitRefresh: function (query) {
      const node = document.getElementById("ub-place"), said = JSON.stringify(query);
      if (node.openworkSaid !== undefined && node.openworkSaid !== said) {
        const grid = api();
        if (grid) { grid.ensureIndexVisible && grid.getDisplayedRowCount() && grid.ensureIndexVisible(0); grid.purgeInfiniteCache(); }
      }
      node.openworkSaid = said;
      return no();
    },

    unitClear: function (clicks, args) { return clicks ? ["", "any", "", "", [args.low, 0]] : [no(), no(), no(), no(), no()]; },

    // A box drawn over the bars sets the range.
    unitBrush: function (chosen, args) {
      const x = chosen && chosen.range && chosen.range.x;
      if (!x) return no();
      const clip = (v) => Number(Math.min(0, Math.max(args.low, v)).toFixed(2));
      const [a, b] = [clip(Math.min(...x)), clip(Math.max(...x))];
      return b - a >= .02 ? [a, b] : no();
    },

    // Bars outside of the range are grey; the range is said in words.
    unitRange: function (range, figure, args) {
      const box = document.getElementById("ub-density");
      const paint = (tries) => {
        const plot = box && box.querySelector(".js-plotly-plot");
        if (!plot || !plot.data || !plot.data.length) { if (tries) window.setTimeout(paint, 100, tries - 1); return; }
        const on = getComputedStyle(document.documentElement).getPropertyValue("--units-bar-chosen").trim(), off = getComputedStyle(document.documentElement).getPropertyValue("--units-bar-other").trim();
        const x = Array.from(plot.data[0].x._inputArray || plot.data[0].x);
        window.Plotly.restyle(plot, { "marker.color": [x.map((v) => (v >= range[0] && v <= range[1] ? on : off))], selectedpoints: [null] }, [0]);
      };
      paint(40);
      const whole = range[0] <= args.low + .011 && range[1] >= -.011;
      return whole ? "All densities, dead units too." : `Units active at ${range[0] <= args.low + .011 ? "up" : power(range[0])} to ${power(range[1])} of the tokens.`;
    },
  });

})();
