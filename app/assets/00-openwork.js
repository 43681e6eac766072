// Shared by the client-side renderers: names, the one selection of the page, the address bar, the tooltip, copying.
// Tokens, labels and file names are hostile text: they only ever meet `textContent`.
window.openwork = (function () {
  "use strict";
  const selection = {};           // {model, prompt, token, layer, head, unit, node}: what the page's panels share
  let tip = null;

  const marks = { " ": "·", "\n": "↵", "\t": "⇥", "\r": "␍" };

  // Append a token to `parent`, with visible marks for white space.
  function writeToken(parent, text) {
    if (text === "") { mark(parent, "∅"); return; }
    let plain = "";
    for (const c of text) {
      const shown = marks[c] || (/[\u0000-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/.test(c)
        ? "⟨" + c.codePointAt(0).toString(16) + "⟩" : null);
      if (shown === null) { plain += c; continue; }
      if (plain) { parent.appendChild(document.createTextNode(plain)); plain = ""; }
      mark(parent, shown);
    }
    if (plain) parent.appendChild(document.createTextNode(plain));
  }

  function mark(parent, text) {
    const i = document.createElement("i");
    i.textContent = text;
    parent.appendChild(i);
  }

  function el(tag, cls, text) {
    const node = document.createElement(tag);
    if (cls) node.className = cls;
    if (text !== undefined && text !== null) node.textContent = text;
    return node;
  }

  function number(value) {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    const size = Math.abs(value);
    if (size >= 1e4 && size < 1e9) return Math.round(value).toLocaleString("en").replace("-", "−");
    if (size !== 0 && (size < 1e-3 || size >= 1e9)) return value.toExponential(2).replace("-", "−").replace("e−", "e−");
    return value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : 3).replace("-", "−");
  }

  // A share in per cent with one decimal; of what would be 0.0, two digits, down to a hundred thousandth of a per cent. As `percent` in Python.
  function share(value) {
    const size = 100 * Math.abs(value), sign = value < 0 ? "−" : "";
    if (size > 0 && size < 1e-5) return sign ? "> −0.00001 %" : "< 0.00001 %";
    return `${sign}${size > 0 && size < .05 ? Number(size.toPrecision(2)).toFixed(7).replace(/0+$/, "") : size.toFixed(1)} %`;
  }

  const counted = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;   // 1 node, 2 nodes

  // Change part of the page's selection; every panel listens to the store named "selection". What was pressed is painted first,
  // because what follows keeps the page busy for a while, and changes that come before that go out together.
  let pending = null;
  function select(part) {
    Object.assign(selection, part);
    if (pending) { Object.assign(pending.part, part); return; }
    pending = { part: Object.assign({}, part), path: window.location.pathname };
    afterPaint(() => {
      const { part, path } = pending;
      pending = null;
      if (path === window.location.pathname) window.dash_clientside.set_props("selection", { data: Object.assign({}, selection, part) });
    });
  }

  function afterPaint(run) {
    let ran = false;
    const once = () => { if (!ran) { ran = true; run(); } };
    window.requestAnimationFrame(() => window.setTimeout(once, 0));
    window.setTimeout(once, 150);   // a page that is not seen is not painted
  }

  // Keep the address a permalink of the selection without adding to the history.
  function remember(data) {
    for (const key of Object.keys(selection)) delete selection[key];
    Object.assign(selection, data || {}, pending ? pending.part : {});
    const url = new URL(window.location.href);
    for (const [key, short] of [["token", "t"], ["layer", "l"], ["head", "h"], ["unit", "u"], ["node", "n"], ["keep", "k"]]) {
      const value = selection[key];
      if (value === null || value === undefined) url.searchParams.delete(short);
      else url.searchParams.set(short, value);
    }
    if (Number.isInteger(selection.column)) url.searchParams.set("c", selection.column);
    for (const key of Object.keys(selection)) if (key.startsWith("show-")) url.searchParams.set(key, selection[key]);
    if (url.href !== window.location.href) window.history.replaceState(window.history.state, "", url);
    whenIdle(carry);
    markPlaces();
    if (window.openwork.markRows) window.openwork.markRows();
    return window.dash_clientside.no_update;
  }

  // Write `values` ({s: 3, metric: "direct"}) into the address; null and undefined take a key out.
  function putInAddress(values) {
    const url = new URL(window.location.href);
    for (const [key, value] of Object.entries(values)) {
      if (value === null || value === undefined || value === "") url.searchParams.delete(key);
      else url.searchParams.set(key, value);
    }
    if (url.href !== window.location.href) window.history.replaceState(window.history.state, "", url);
  }

  const idle = new Map();
  function whenIdle(run) {   // once, however often it was asked for
    if (idle.has(run)) return;
    const later = window.requestIdleCallback || ((then) => window.setTimeout(then, 200));   // Safari has none
    idle.set(run, later(() => { idle.delete(run); run(); }, { timeout: 800 }));
  }

  // The navigation keeps model, prompt and selection: pages that can show them get them in their address.
  function carry() {
    const query = new URLSearchParams();
    for (const [key, short] of [["model", "m"], ["prompt", "p"], ["token", "t"], ["layer", "l"], ["head", "h"]]) {
      if (selection[key] !== undefined && selection[key] !== null) query.set(short, selection[key]);
    }
    const kept = selection.prompt ? "?" + query : "";
    for (const path of ["/heads", "/lens", "/patching"]) window.dash_clientside.set_props("nav-" + path.slice(1), { href: path + kept });
  }

  // Where the selection is along an axis of a figure. A head is selected as "5.3"; along `head/12` each layer has 12 places.
  // Beside heads, the layer is that of the head.
  function along(axis, beside) {
    const [layer, head] = String(selection.head || "").split(".").map(Number), [name, each] = String(axis).split("/");
    if (name === "layer" && beside === "head" && selection.head !== undefined) return layer;
    return name !== "head" ? selection[name] : selection.head === undefined ? undefined : each ? layer * each + head : head;
  }

  // What a place of a figure selects, by its axes.
  function chosenAt(across, up, x, y) {
    const each = Number(String(up).split("/")[1]);
    if (each) return { [across]: x, layer: Math.floor(y / each), head: `${Math.floor(y / each)}.${y % each}` };
    if (across === "head") return { layer: y, head: `${y}.${x}` };
    if (up === "head") return { layer: x, head: `${x}.${y}` };
    return Object.assign({ [across]: x }, up ? { [up]: y } : {});
  }

  // Outline the selected place of every figure whose axes are parts of the selection (`data-axes`: across, up), without asking the
  // server: the column of cells, in it the cell; of lines, which have no cells, the place across.
  function markPlaces() {
    const edge = getComputedStyle(document.documentElement).getPropertyValue("--figure-selected-outline").trim();
    for (const holder of document.querySelectorAll("[data-axes]")) {
      const plot = holder.querySelector(".js-plotly-plot"), [across, up] = holder.dataset.axes.split(" ");
      const x = along(across, up), y = along(up, across);
      if (!plot || !plot.layout || !(Number.isInteger(x) || Number.isInteger(y))) continue;
      const cells = (plot.data || []).some((trace) => trace.type === "heatmap"), half = cells ? .5 : 0;
      const box = (y0, y1, width, opacity) => ({ type: cells ? "rect" : "line", xref: "x", yref: y0 === null ? "paper" : "y", x0: x - half, x1: x + half,
        y0: y0 === null ? 0 : y0, y1: y1 === null ? 1 : y1, line: { color: edge, width: width, dash: cells ? "solid" : "dot" }, opacity: opacity, layer: "above" });
      const shapes = Number.isInteger(x) ? [box(null, null, 1.5, .55)] : [];
      if (cells && Number.isInteger(y)) shapes.push(Number.isInteger(x) ? box(y - .5, y + .5, 2.5, 1) : Object.assign(box(y - .5, y + .5, 1.5, .55), { xref: "x domain", x0: 0, x1: 1 }));
      const key = JSON.stringify([x, y, edge]);
      if (plot.openworkPlace === key && (plot.layout.shapes || []).length) continue;
      plot.openworkPlace = key;
      window.Plotly.relayout(plot, { shapes: shapes });
    }
  }

  // The colour scheme the page wears: the document's attribute is the one truth (toggle, system preference and early-scheme set it).
  function present() {
    return document.documentElement.getAttribute("data-mantine-color-scheme") === "dark" ? "dark" : "light";
  }

  // Give every figure the template of the present colour scheme, where it has another. Returns whether any had.
  let templates = null;
  function wear(given) {
    templates = given || templates;
    if (!templates || !window.Plotly) return false;
    let changed = false;
    const template = templates[present()], ink = template.layout.font.color;
    for (const plot of document.querySelectorAll(".js-plotly-plot")) {
      const has = plot.layout && plot.layout.template && plot.layout.template.layout;
      if (!has || !has.font || has.font.color === ink) continue;
      window.Plotly.relayout(plot, { template: template });
      changed = true;
    }
    return changed;
  }

  function tellScheme() {
    document.cookie = "openwork_scheme=" + present() + "; path=/; SameSite=Strict";
    if (window.dash_clientside.set_props) window.dash_clientside.set_props("scheme", { data: present() });
  }

  function showTip(event, lines) {
    if (!tip) { tip = el("div", "ow-tip"); tip.setAttribute("role", "tooltip"); document.body.appendChild(tip); }
    tip.textContent = lines;
    tip.style.display = "block";
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(6, Math.min(event.clientX + 12, window.innerWidth - box.width - 8)) + "px";
    tip.style.top = (event.clientY + 18 + box.height > window.innerHeight ? event.clientY - box.height - 10 : event.clientY + 18) + "px";
  }
  function hideTip() { if (tip) tip.style.display = "none"; }

  // The element a client-side callback draws into: its own first output.
  function target() {
    const out = window.dash_clientside.callback_context.outputs_list;
    const id = (Array.isArray(out) ? out[0] : out).id;
    return document.getElementById(typeof id === "string" ? id : JSON.stringify(id, Object.keys(id).sort()));
  }

  // Wait for the element's width: a page drawn while hidden has none.
  function whenWide(node, draw, tries) {
    if (node.clientWidth > 0 || (tries || 0) > 40) draw();
    else window.requestAnimationFrame(() => whenWide(node, draw, (tries || 0) + 1));
  }

  // Whoever changes the scheme, figures and the server (for later figures) follow.
  new MutationObserver(function () {
    wear();
    tellScheme();
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-mantine-color-scheme"] });

  document.addEventListener("click", function (event) {
    const button = event.target.closest && event.target.closest(".ow-copy");
    if (!button) return;
    const source = button.closest("[data-copy]");
    const text = source ? source.getAttribute("data-copy") : window.location.href;
    navigator.clipboard && navigator.clipboard.writeText(text).then(() => {
      button.classList.add("done");
      window.setTimeout(() => button.classList.remove("done"), 1200);
    }, () => undefined);
  });

  // Links inside drawn content go through dcc.Location, so that the page does not reload.
  function go(href) {
    window.history.pushState({}, "", href);
    window.dispatchEvent(new PopStateEvent("popstate", { state: {} }));
  }

  const picked = new Map();   // what was picked last below each field

  return { selection, picked, select, afterPaint, remember, putInAddress, markPlaces, chosenAt, present, wear, tellScheme, writeToken, el, number, share, counted, showTip, hideTip, target, whenWide, go };
})();

window.dash_clientside = Object.assign({}, window.dash_clientside, {
  openwork: Object.assign({}, (window.dash_clientside || {}).openwork, {
    remember: window.openwork.remember,

    // On a narrow screen the navigation is there while its button is pressed.
    fold: (opened, navbar) => navbar.collapsed.mobile === !opened ? window.dash_clientside.no_update
      : Object.assign({}, navbar, { collapsed: { mobile: !opened } }),

    // Whoever went somewhere sees the page.
    shut: () => false,

    // What a field holds, as part of the address; an empty one takes its key out.
    inAddress: function (value, name) {
      if (name) window.openwork.putInAddress({ [name]: value });
      return window.dash_clientside.no_update;
    },

    // What was asked of a method, as part of the address: {key: text}, null for what is at its default.
    callInAddress: function (query) {
      if (query) window.openwork.putInAddress(query);
      return window.dash_clientside.no_update;
    },

    // A token was picked below a field of a form ("504|what was written"): the field says its id.
    tokenPicked: function (selection) {
      const id = window.dash_clientside.callback_context.outputs_list.id, key = `pick.${id.at}.${id.of}.${id.part}`;
      const value = selection && selection[key];
      if (!value || window.openwork.picked.get(key) === value) return window.dash_clientside.no_update;
      window.openwork.picked.set(key, value);
      return "id:" + value.slice(0, value.indexOf("|"));
    },

    // At the start, and when the toggle moves: give figures their template, and tell the server the scheme for later ones.
    scheme: function (_computed, templates) {
      window.openwork.wear(templates);
      window.setTimeout(window.openwork.markPlaces, 0);
      return window.openwork.present();
    },

    // A figure was drawn, perhaps ordered before the scheme changed: give it the template of now, and have its own colours made anew.
    dressed: function () {
      const box = window.openwork.target();
      for (const wait of [120, 600, 1800]) window.setTimeout(() => { window.openwork.settleFigure(box); window.openwork.markPlaces(); if (window.openwork.wear()) window.openwork.tellScheme(); }, wait);
      return window.dash_clientside.no_update;
    },

    // A page has another address now: it takes the place of this one in the history.
    moved: function (href) {
      if (href) { window.history.replaceState(window.history.state, "", href); window.dispatchEvent(new PopStateEvent("popstate", { state: {} })); }
      return window.dash_clientside.no_update;
    },

    // A place of a figure was clicked: what its axes stand for is selected. Columns of several positions stand between them. A
    // point that has a page opens it.
    placeChosen: function (clicked) {
      const point = clicked && clicked.points && clicked.points[0], box = window.openwork.target(), holder = box && box.closest("[data-axes]");
      const pages = point && box && box.closest("[data-pages]"), page = pages && (JSON.parse(pages.dataset.pages)[point.curveNumber] || [])[point.pointNumber];
      if (page) { window.openwork.go(page); return window.dash_clientside.no_update; }
      const traces = holder ? (holder.querySelector(".js-plotly-plot") || {}).data || [] : [];
      const beside = point && (traces[point.curveNumber] || {}).type === "bar" && traces.some((trace) => trace.type === "heatmap");   // in a margin of cells
      if (!point || !holder || beside || point.z === null) return window.dash_clientside.no_update;
      const [across, up] = holder.dataset.axes.split(" ");
      window.openwork.select(window.openwork.chosenAt(across, up, Math.floor(point.x), Math.round(point.y)));
      return window.dash_clientside.no_update;
    },

    // What of a record is shown of a selected place: asked for anew when another place is selected than is shown ({names: values}).
    follows: function (selection, of) {
      const named = Object.entries((of && of.shown) || {});
      const moved = selection && named.some(([name, value]) => selection[name] !== undefined && selection[name] !== null && selection[name] !== value);
      return moved ? Object.assign({}, selection) : window.dash_clientside.no_update;
    },

    // An option of a figure was turned: a part of the selection, as `show-OPTION`.
    turned: function (value) {
      const id = window.dash_clientside.callback_context.outputs_list.id, key = "show-" + id.option;
      if (value && window.openwork.selection[key] !== value) window.openwork.select({ [key]: value });
      return window.dash_clientside.no_update;
    },

    // An option was turned elsewhere: this choice of it says the same.
    optionTurned: function (selection, value) {
      const now = (selection || {})["show-" + window.dash_clientside.callback_context.outputs_list.id.option];
      return now === undefined || now === null || now === value ? window.dash_clientside.no_update : now;
    },

    // Hovering a cell of a figure marks its tokens in the strip: a position of the lens, query and key of a pattern.
    hovers: function () {
      const box = window.openwork.target();
      const attach = (tries) => {
        const plot = box && box.querySelector(".js-plotly-plot");
        if (!plot || !plot.on) { if (box && tries) window.setTimeout(attach, 150, tries - 1); return; }   // plotly is not done yet
        if (plot.openworkHovers) return;
        plot.openworkHovers = true;
        const both = box.id === "pattern";
        plot.on("plotly_hover", (event) => window.openwork.linkToken(both ? [event.points[0].x, event.points[0].y] : event.points[0].x));
        plot.on("plotly_unhover", () => window.openwork.linkToken(null));
      };
      attach(60);
      return window.dash_clientside.no_update;
    },

    // An example prompt was clicked: put it into the box.
    example: function () {
      const context = window.dash_clientside.callback_context;
      if (!context.triggered.length || !context.triggered[0].value) return window.dash_clientside.no_update;
      const id = JSON.parse(context.triggered[0].prop_id.replace(/\.n_clicks$/, ""));
      return document.getElementById(JSON.stringify(id, Object.keys(id).sort())).textContent;
    },
  }),
});
