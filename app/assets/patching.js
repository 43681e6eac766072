// The patching page: two prompts aligned by position, small pictures of sweeps, the outline of the selected cell.
(function () {
  "use strict";
  const ow = window.openwork, MOST = 1024;
  let tokens = null;   // what the strip shows

  // One column a position, the clean token over the corrupted one; columns wrap together, so they stay aligned.
  function draw(node, data, selected) {
    const n = Math.max(data.clean.length, data.corrupted.length), differs = new Set(data.differs);
    const list = ow.el("div", "patching-columns");
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Positions of both prompts; arrow keys move the selection");
    list.tabIndex = 0;
    for (let i = 0; i < Math.min(n, MOST); i++) {
      const column = ow.el("div", "patching-column" + (differs.has(i) ? " differs" : "") + (i === selected ? " selected" : ""));
      column.dataset.i = i;
      column.setAttribute("role", "option");
      column.setAttribute("aria-selected", i === selected ? "true" : "false");
      column.appendChild(ow.el("span", "at", i));
      for (const side of ["clean", "corrupted"]) {
        const token = ow.el("span", "ow-tok" + (i < data[side].length ? "" : " missing"));
        token.dir = "auto";
        if (i < data[side].length) ow.writeToken(token, data[side][i]); else token.textContent = "–";
        column.appendChild(token);
      }
      list.appendChild(column);
    }
    const count = (side) => `${side}: ${ow.counted(data[side].length, "token")}`;
    const where = data.differs.length ? (data.differs.length === 1 ? `differ at position ${data.differs[0]}` : `differ at ${data.differs.length} positions`) : "";
    const told = ow.el("div", "patching-counts" + (data.same ? "" : " bad"), [count("clean"), count("corrupted"), where, n > MOST ? `the first ${MOST} shown` : ""].filter(Boolean).join(" · "));
    const focused = node.contains(document.activeElement);
    node.replaceChildren(told, list);
    if (focused) list.focus({ preventScroll: true });
    node.openworkExport = () => Array.from({ length: n }, (_, i) => ({ position: i, clean: data.clean[i], corrupted: data.corrupted[i], differs: differs.has(i) }));
    tokens = data;
    listen(node);
  }

  function listen(node) {
    if (node.dataset.listening) return;
    node.dataset.listening = "1";
    const at = (event) => { const column = event.target.closest && event.target.closest(".patching-column"); return column ? Number(column.dataset.i) : null; };
    node.addEventListener("click", (event) => { const i = at(event); if (i !== null) ow.select({ token: i }); });
    node.addEventListener("mousemove", (event) => {
      const i = at(event);
      if (i === null) { ow.hideTip(); return; }
      ow.showTip(event, [`position ${i}`, `clean ${JSON.stringify(tokens.clean[i]) || "–"}`, `corrupted ${JSON.stringify(tokens.corrupted[i]) || "–"}`].join("\n"));
    });
    node.addEventListener("mouseleave", ow.hideTip);
    node.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -1e9, End: 1e9 }[event.key];
      if (!step) return;
      event.preventDefault();
      const last = Math.max(tokens.clean.length, tokens.corrupted.length) - 1;
      ow.select({ token: Math.max(0, Math.min(last, (ow.selection.token || 0) + step)) });
    });
  }

  // Blue above 0, red below, paper at 0: the heat map's colours.
  function colour(value, dark) {
    const strong = value > 0 ? [5, 48, 97] : [103, 0, 31], middle = value > 0 ? [67, 147, 195] : [214, 96, 77], paper = dark ? [247, 247, 247] : [247, 247, 247];
    const size = Math.min(1, Math.abs(value)), mix = (a, b, t) => a.map((x, i) => Math.round(x + (b[i] - x) * t));
    return `rgb(${(size < .5 ? mix(paper, middle, 2 * size) : mix(middle, strong, 2 * size - 1)).join(",")})`;
  }

  function small(one) {
    const card = ow.el("button", "patching-small" + (one.shown ? " shown" : "")), canvas = ow.el("canvas");
    card.type = "button";
    card.setAttribute("aria-label", `${one.name}: ${one.note}`);
    if (one.shown) card.setAttribute("aria-current", "true");
    const columns = one.values.length / one.rows;
    canvas.setAttribute("aria-hidden", "true");   // the card says it
    canvas.width = columns; canvas.height = one.rows;
    const pen = canvas.getContext("2d");
    one.values.forEach((value, i) => { pen.fillStyle = colour(value); pen.fillRect(i % columns, one.rows - 1 - Math.floor(i / columns), 1, 1); });
    card.append(canvas, ow.el("strong", "", one.name), ow.el("span", "", one.note));
    card.addEventListener("click", () => { if (!one.shown) ow.go(one.href); });
    return card;
  }

  // Which row and column of the heat map the selection is in.
  function place(selection, shape) {
    const layer = shape.heads ? Number(String(selection.head || "").split(".")[0]) : selection.layer;
    const head = shape.heads ? Number(String(selection.head || "").split(".")[1]) : null;
    const row = shape.heads && shape.byPos ? layer * shape.heads + head : layer;
    return [row, shape.byPos ? selection.token : head];
  }

  function mark(selection, shape) {
    const plot = document.querySelector("#patching-figure .js-plotly-plot");
    if (!plot || !plot.layout || !plot.data || !plot.data.length || !shape) return;
    const [row, column] = place(selection, shape), there = Number.isFinite(row) && Number.isFinite(column);
    const ink = ow.present() === "dark" ? "#e0b04a" : "#b07a1e";
    const shapes = there ? [{ type: "rect", x0: column - .5, x1: column + .5, y0: row - .5, y1: row + .5, line: { color: ink, width: 2.5 }, layer: "above" }] : [];
    window.Plotly.relayout(plot, { shapes: shapes });
  }

  Object.assign(window.dash_clientside.openwork, {
    patchingTokens: function (data, selection) {
      const node = ow.target();
      if (node && data) draw(node, data, selection ? selection.token : undefined);
      return window.dash_clientside.no_update;
    },

    patchingBeside: function (data) {
      const node = ow.target();
      if (!node || !data || data.sweeps.length < 2) { if (node) node.replaceChildren(); return window.dash_clientside.no_update; }
      node.replaceChildren(...data.sweeps.map(small));
      node.className = "patching-smalls";
      return window.dash_clientside.no_update;
    },

    patchingMark: function (selection, _figure, shape) {
      for (const wait of [0, 120, 600]) window.setTimeout(() => mark(selection || {}, shape), wait);
      return window.dash_clientside.no_update;
    },

    patchingReveal: function (shape) { return !shape; },

    patchingSwap: function (_clicks, clean, corrupted) { return [corrupted, clean]; },
  });
})();
