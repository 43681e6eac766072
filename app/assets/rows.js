// Tables whose cells come from data: {columns: [{key, label, kind}], rows: [...], note, sorts}. One listener, no markup from data.
// Kinds: text, unit, name (of what has a page), num, count (a whole number), share, token, tokens, meter (0 to 1), signed (bar of a signed number, scaled to the table's largest).
// swatch (the line of a curve). A row's `title` is its tooltip; a column that is `wide` is left out on narrow screens.
// With `page`, so many rows are shown at first and a button shows more; what is saved or sorted is always all of them.
// A row with `pick` changes the selection, one with `href` opens a page, one with `quiet` stays below when the table is sorted.
(function () {
  "use strict";
  const ow = window.openwork;

  function chip(cell, text) {
    const span = ow.el("span", "chip");
    span.dir = "auto";
    ow.writeToken(span, text);
    span.title = JSON.stringify(text);
    cell.appendChild(span);
  }

  function meter(cell, share, negative, signed) {
    const outer = ow.el("span", signed ? "meter signed" : "meter"), fill = ow.el("i", negative ? "neg" : "");
    fill.style.width = (100 * Math.max(0, Math.min(1, share))).toFixed(1) + "%";
    outer.appendChild(fill);
    cell.appendChild(outer);
  }

  // A short line as it is drawn in a figure: [colour, dash of plotly].
  const DASHES = { dash: "5 3", dot: "2 2.5", dashdot: "6 2 2 2" };
  function swatch([colour, dash]) {
    const make = (tag, values) => { const part = document.createElementNS("http://www.w3.org/2000/svg", tag); for (const key in values) part.setAttribute(key, values[key]); return part; };
    const svg = make("svg", { width: 22, height: 8, class: "swatch", role: "img", "aria-label": "shown" });
    svg.appendChild(make("line", { x1: 1, x2: 21, y1: 4, y2: 4, stroke: colour, "stroke-width": 3, "stroke-dasharray": DASHES[dash] || "none" }));
    return svg;
  }

  const fill = {
    text: (cell, value) => { cell.textContent = value === null || value === undefined ? "" : value; },
    name: (cell, value) => { cell.className = "name"; cell.textContent = value; },
    unit: (cell, value) => { cell.className = "unit"; cell.textContent = value; },
    num: (cell, value) => { cell.className = "r"; cell.textContent = value === null ? "" : ow.number(value); },
    count: (cell, value) => { cell.className = "r"; cell.textContent = value === null || value === undefined ? "–" : Number(value).toLocaleString("en"); },
    share: (cell, value) => { cell.className = "r"; cell.textContent = value === null || value === undefined ? "" : ow.share(value); },
    token: (cell, value) => { if (value !== null && value !== undefined) chip(cell, value); },
    tokens: (cell, value) => { for (const text of value || []) chip(cell, text); },
    meter: (cell, value) => meter(cell, value, false, false),
    swatch: (cell, value) => { if (value) cell.appendChild(swatch(value)); },
    signed: (cell, value, top) => { if (value !== null && value !== undefined) meter(cell, Math.abs(value) / (top || 1), value < 0, true); },
  };
  const right = new Set(["num", "count", "share"]);

  function head(columns, sorts, sorted) {
    const row = ow.el("tr");
    for (const column of columns) {
      const th = ow.el("th", [right.has(column.kind) ? "r" : "", column.wide ? "wide" : ""].join(" ").trim(), column.label + (sorted && sorted.key === column.key ? (sorted.down ? " ▾" : " ▴") : ""));
      if (column.label.length > 9) th.style.minWidth = `${Math.min(16, Math.ceil(column.label.length / 2) + 2)}ch`;   // two lines where it is narrow, no more
      th.scope = "col";
      if (column.title) th.title = column.title;
      if (sorts && column.label && column.kind !== "tokens") { th.classList.add("sorts"); th.dataset.key = column.key; th.setAttribute("aria-sort", sorted && sorted.key === column.key ? (sorted.down ? "descending" : "ascending") : "none"); }
      row.appendChild(th);
    }
    const thead = ow.el("thead"); thead.appendChild(row);
    return thead;
  }

  // Rows in the order asked for; quiet ones (sums, remainders) keep their place at the end.
  function ordered(rows, sorted) {
    if (!sorted) return rows;
    const value = (row) => { const v = row[sorted.key]; return v === null || v === undefined ? (sorted.down ? -Infinity : Infinity) : v; };
    const loud = rows.filter((r) => !r.quiet).sort((a, b) => { const x = value(a), y = value(b); return (typeof x === "string" || typeof y === "string" ? String(x).localeCompare(String(y), undefined, { numeric: true }) : x - y) * (sorted.down ? -1 : 1); });
    return [...loud, ...rows.filter((r) => r.quiet)];
  }

  function draw(node, data, sorted) {
    const table = ow.el("table", "ow-rows"), body = ow.el("tbody");
    const tops = {};
    for (const c of data.columns) if (c.kind === "signed") tops[c.key] = Math.max(...data.rows.filter((r) => !r.quiet).map((r) => Math.abs(r[c.key] || 0)), 0);
    const rows = ordered(data.rows, sorted), most = data.page ? Math.max(data.page, node.openworkMost || 0) : rows.length;
    rows.slice(0, most).forEach((row, index) => {
      const tr = ow.el("tr", [row.pick || row.href ? "click" : "", row.quiet ? "quiet" : "", row.selected ? "selected" : ""].join(" ").trim());
      tr.dataset.i = index;
      if (row.title) tr.title = row.title;
      for (const column of data.columns) { const cell = ow.el("td"); fill[column.kind](cell, row[column.key], tops[column.key]); if (column.wide) cell.classList.add("wide"); tr.appendChild(cell); }
      body.appendChild(tr);
    });
    table.append(head(data.columns, data.sorts, sorted), body);
    if (data.label) table.setAttribute("aria-label", data.label);
    node.replaceChildren(table);
    if (data.note) node.appendChild(ow.el("div", "ow-rows-note", data.note));
    if (rows.length > most) {
      const more = ow.el("button", "ow-button ow-rows-more", `Show ${Math.min(100, rows.length - most)} more of ${rows.length}`);
      more.type = "button";
      more.addEventListener("click", () => { node.openworkMost = most + 100; draw(node, data, sorted); });
      node.appendChild(more);
    }
    node.openworkRows = rows;
    node.openworkState = { data, sorted };
    node.openworkExport = () => rows.map((row) => Object.fromEntries(data.columns.filter((c) => c.kind !== "meter" && c.kind !== "swatch" && (c.kind !== "signed" || (c.label && !data.columns.some((o) => o.kind === "num" && o.key === "amount")))).map((c) => [c.label || c.key, row[c.key]])));
    listen(node);
    ow.rove(node, "tr.click", { ArrowDown: 1, ArrowUp: -1 });   // 280 rows are one stop
    ow.rove(node, "th.sorts", { ArrowRight: 1, ArrowLeft: -1 });
  }

  function listen(node) {
    if (node.dataset.listening) return;
    node.dataset.listening = "1";
    const picked = (event) => {
      const th = event.target.closest && event.target.closest("th.sorts");
      if (th) {
        const { data, sorted } = node.openworkState, same = sorted && sorted.key === th.dataset.key;
        draw(node, data, { key: th.dataset.key, down: same ? !sorted.down : data.columns.find((c) => c.key === th.dataset.key).kind !== "text" });
        return;
      }
      const tr = event.target.closest && event.target.closest("tr.click");
      if (!tr) return;
      const row = node.openworkRows[Number(tr.dataset.i)];
      if (row.href) ow.go(row.href); else ow.select(row.pick);
    };
    node.addEventListener("click", picked);
    node.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { picked(event); if (event.key === " ") event.preventDefault(); } });
  }

  // The selection moved: the row that chooses what is chosen now is marked, without asking the server.
  ow.markRows = function () {
    for (const node of document.querySelectorAll(".ow-rows-box")) for (const tr of node.querySelectorAll("tr.click")) {
      const row = node.openworkRows && node.openworkRows[Number(tr.dataset.i)];
      if (row && row.pick && "selected" in row) tr.classList.toggle("selected", Object.entries(row.pick).every(([name, value]) => ow.selection[name] === value));
    }
  };

  window.dash_clientside.openwork.rows = function (data) {
    const node = ow.target();
    if (!node || !data) return window.dash_clientside.no_update;
    node.openworkMost = 0;
    draw(node, data);
    return String(data.rows.length);
  };
})();
