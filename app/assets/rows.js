// Tables whose cells come from data: {columns: [{key, label, kind}], rows: [...], note, pick}. One listener, no markup from data.
// Kinds: text, unit, num, token, tokens, meter (0 to 1), signed (bar of a signed number, scaled to the table's largest).
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

  const fill = {
    text: (cell, value) => { cell.textContent = value === null || value === undefined ? "" : value; },
    unit: (cell, value) => { cell.className = "unit"; cell.textContent = value; },
    num: (cell, value) => { cell.className = "r"; cell.textContent = value === null ? "" : ow.number(value); },
    share: (cell, value) => { cell.className = "r"; cell.textContent = value === null || value === undefined ? "" : (100 * value).toFixed(1) + " %"; },
    token: (cell, value) => { if (value !== null && value !== undefined) chip(cell, value); },
    tokens: (cell, value) => { for (const text of value || []) chip(cell, text); },
    meter: (cell, value) => meter(cell, value, false, false),
    signed: (cell, value, top) => { if (value !== null && value !== undefined) meter(cell, Math.abs(value) / (top || 1), value < 0, true); },
  };
  const right = new Set(["num", "share"]);

  function head(columns) {
    const row = ow.el("tr");
    for (const column of columns) { const th = ow.el("th", right.has(column.kind) ? "r" : "", column.label); th.scope = "col"; if (column.title) th.title = column.title; row.appendChild(th); }
    const thead = ow.el("thead"); thead.appendChild(row);
    return thead;
  }

  function draw(node, data) {
    const table = ow.el("table", "ow-rows"), body = ow.el("tbody");
    const tops = {};
    for (const c of data.columns) if (c.kind === "signed") tops[c.key] = Math.max(...data.rows.filter((r) => !r.quiet).map((r) => Math.abs(r[c.key] || 0)), 0);
    data.rows.forEach((row, index) => {
      const tr = ow.el("tr", [row.pick ? "click" : "", row.quiet ? "quiet" : "", row.selected ? "selected" : ""].join(" ").trim());
      tr.dataset.i = index;
      if (row.pick) tr.tabIndex = 0;
      for (const column of data.columns) { const cell = ow.el("td"); fill[column.kind](cell, row[column.key], tops[column.key]); tr.appendChild(cell); }
      body.appendChild(tr);
    });
    table.append(head(data.columns), body);
    if (data.label) table.setAttribute("aria-label", data.label);
    node.replaceChildren(table);
    if (data.note) node.appendChild(ow.el("div", "ow-rows-note", data.note));
    node.openworkRows = data.rows;
    listen(node);
  }

  function listen(node) {
    if (node.dataset.listening) return;
    node.dataset.listening = "1";
    const picked = (event) => {
      const tr = event.target.closest && event.target.closest("tr.click");
      if (tr) ow.select(node.openworkRows[Number(tr.dataset.i)].pick);
    };
    node.addEventListener("click", picked);
    node.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { picked(event); if (event.key === " ") event.preventDefault(); } });
  }

  window.dash_clientside.openwork.rows = function (data) {
    const node = ow.target();
    if (!node || !data) return window.dash_clientside.no_update;
    draw(node, data);
    return String(data.rows.length);
  };
})();
