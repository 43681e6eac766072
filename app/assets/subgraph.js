// The subgraph of pinned nodes and groups, drawn as SVG from data (`circuits/supernodes/subgraph_layout.py`), and the edits asked for on its page.
// Labels and tokens are hostile text: they only meet `textContent`. One set of listeners on the drawing, none on its parts.
(function () {
  "use strict";
  const ow = window.openwork, NS = "http://www.w3.org/2000/svg", PAGE = /^\/circuits\/[^/]+$/;
  const READABLE = .74;                            // zoom: 12.5 pixels of type become 9
  const NEAR = 4;                                  // pixels a press may move and still be a click
  const chosen = new Set();                        // nodes marked (Shift and click) to be grouped
  const views = {};                                // graph -> {k, x, y}: zoom and shift, kept while the page lives
  let now = null;                                  // {node, data, svg, scene, parts: id -> {g, at}, edges}
  let marks = null, queue = [], waiting = 0, sliders = {};

  const make = (tag, attributes, parent) => {
    const node = document.createElementNS(NS, tag);
    for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
    if (parent) parent.appendChild(node);
    return node;
  };

  // A token or label as one line of marks and letters, cut to a number of characters.
  function plain(text, most) {
    const span = ow.el("span");
    ow.writeToken(span, text);
    const letters = [...span.textContent];
    return letters.length > most ? letters.slice(0, most - 1).join("") + "…" : letters.join("");
  }
  // A name or a label: as a token, but its spaces are spaces.
  const named = (text, most) => {
    const words = [...text.split(" ").map((word) => (word ? plain(word, Infinity) : "")).join(" ")];
    return words.length > most ? words.slice(0, most - 1).join("") + "…" : words.join("");
  };

  // -- edits ---------------------------------------------------------------------------------------------------------

  // Requests go one after the other, each on the revision that the one before it made.
  function act(request) { queue.push(request); pump(); }
  function pump() {
    if (!queue.length || !marks || (waiting && Date.now() - waiting < 6000)) return;
    waiting = Date.now();
    window.dash_clientside.set_props("graph-act", { data: Object.assign({ revision: marks.revision, at: waiting }, queue.shift()) });
  }
  // Whoever comes back to this page sees what was edited elsewhere meanwhile, before making an edit.
  function seen() {
    if (document.visibilityState !== "visible" || !marks || waiting || !document.getElementById("subgraph")) return;
    window.dash_clientside.set_props("graph-seen", { data: { revision: marks.revision, at: Date.now() } });
  }
  document.addEventListener("visibilitychange", seen);
  window.addEventListener("focus", seen);
  const look = (change) => window.dash_clientside.set_props("graph-look", { data: Object.assign({ at: Date.now() }, change) });

  // Ask for one line of text: a small dialog whose field has the focus.
  let asking = null;
  function ask(heading, value, done) {
    asking = asking || ow.dialog("Name", "ow-ask");
    const form = ow.el("form"), label = ow.el("label", "", heading), field = ow.el("input"), line = ow.el("div", "ow-actions");
    const keep = ow.el("button", "ow-button main", "Keep"), leave = ow.el("button", "ow-button", "Cancel");
    field.type = "text"; field.value = value || ""; field.maxLength = 120; field.dir = "auto"; field.id = "ow-ask-field"; label.htmlFor = field.id;
    keep.type = "submit"; leave.type = "button";
    leave.addEventListener("click", () => asking.close());
    form.addEventListener("submit", (event) => { event.preventDefault(); asking.close(); done(field.value); });
    line.append(leave, keep); form.append(label, field, line);
    asking.replaceChildren(form);
    asking.showModal();
    field.focus(); field.select();
  }

  const selected = () => (Number.isInteger(ow.selection.node) ? ow.selection.node : null);
  const groupOf = (node) => (marks ? marks.groups.find((g) => g.members.includes(node)) : undefined);
  const isPinned = (node) => Boolean(marks && (marks.pinned.includes(node) || groupOf(node)));
  const group = () => {
    const nodes = [...chosen];
    if (nodes.length < 2) return false;
    ask(`A name for this group of ${nodes.length}`, "", (name) => { chosen.clear(); act({ op: "group", nodes, name }); });
    return true;
  };
  const label = () => {
    const node = selected(), g = focusedGroup();
    if (g) { ask("Name of the group", g, (text) => act({ op: "rename", name: g, text })); return; }
    if (node === null) return false;
    const texts = marks && marks.labels ? marks.labels[node] : "";
    ask("Label of this unit, at every position", texts || "", (text) => act({ op: "label", nodes: [node], text }));
    return true;
  };
  const focusedGroup = () => {
    const at = document.activeElement && document.activeElement.closest ? document.activeElement.closest("[data-group]") : null;
    return at ? at.getAttribute("data-group") : null;
  };

  const commands = {
    pin: () => { if (selected() !== null) act({ op: "toggle", nodes: [selected()] }); },
    undo: () => act({ op: "undo" }),
    redo: () => act({ op: "redo" }),
    clear: () => act({ op: "clear" }),
    top: () => { const field = document.getElementById("graph-top"); act({ op: "top", n: Number(field ? field.value : 10) }); },
    prune: () => act(Object.assign({ op: "prune" }, sliders)),
    ungroup: () => act({ op: "ungroup", nodes: selected() === null ? [] : [selected()] }),
    group, label,
    in: () => zoom(1.3), out: () => zoom(1 / 1.3), fit: () => fit(true, true),
    tidy: () => look({ tidy: true }),
    full: (button) => full(button.closest(".ow-panel")),
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("[data-do]");
    if (button && commands[button.dataset.do]) commands[button.dataset.do](button);
  });

  const here = () => Boolean(document.getElementById("subgraph"));
  const key = (keys, words, handler) => ow.key(keys, words, (event) => (here() ? handler(event) : false), { page: PAGE });
  if (ow.key) {
    key("p", "Pin or unpin the selected node", () => { commands.pin(); });
    key("g", "Group the marked nodes (Shift and click marks)", () => group());
    key("l", "Label the selected unit, or name the focused group", () => label());
    key("f", "Fit the subgraph into its frame", () => { fit(true, true); });
    key("Ctrl+z", "Undo the last edit", () => { commands.undo(); });
    key(["Ctrl+Shift+z", "Ctrl+y"], "Do it again", () => { commands.redo(); });
    key("Escape", "Leave the full screen; forget the marks", () => { const was = leave() || chosen.size > 0; chosen.clear(); paint(); return was; });
  }

  ow.atArrival(() => { if (now && !now.node.isConnected) now = null; });

  // -- drawing -------------------------------------------------------------------------------------------------------

  function draw(node, data) {
    const focus = document.activeElement && node.contains(document.activeElement) ? document.activeElement.getAttribute("data-id") : null;
    if (!data.nodes.length && !data.groups.length) {
      const box = ow.el("div", "ow-state center");
      box.append(ow.el("h3", "", "Nothing is pinned yet"), ow.el("p", "", "Select a node in the link graph and press p, or Ctrl and click it. Or begin with the most influential units:"));
      const button = ow.el("button", "ow-button main", "Pin the 10 strongest");
      button.type = "button"; button.addEventListener("click", () => act({ op: "top", n: 10 }));
      box.appendChild(button);
      node.replaceChildren(box);
      now = null;
      return;
    }
    const svg = make("svg", { class: "ow-svg", role: "group", "aria-label": "Subgraph of the pinned nodes; arrows move from node to node" });
    const scene = make("g", {}, svg), lines = make("g", { class: "lines" }, scene), parts = new Map();
    for (const row of data.rows) make("text", { class: "row", x: data.box[0] + 6, y: row.y + 4 }, scene).textContent = row.text;
    const back = make("g", {}, scene), front = make("g", {}, scene);
    for (const g of data.groups) parts.set(g.id, frame(g, g.open ? back : front));
    for (const n of data.nodes) parts.set(n.id, box(n, front));
    const edges = data.edges.map(([s, t, w, width, against, opacity]) => {
      const path = make("path", { class: "edge" + (against ? " neg" : ""), "stroke-width": width }, lines);
      path.style.setProperty("--o", opacity);
      return { s, t, w, path };
    });
    node.replaceChildren(svg);
    now = { node, data, svg, scene, parts, edges, near: near(edges) };
    svg.openworkExport = node.openworkExport = () => data.edges.map(([s, t, w]) => ({ from: name(s), to: name(t), weight: w }));
    for (const edge of edges) route(edge);
    listen(svg);
    paint();
    ow.rove(svg, "g[data-id]", { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 });
    watch.disconnect();
    watch.observe(node);
    ow.whenWide(node, () => { if (now && now.svg === svg) fit(!views[window.location.pathname]); });
    if (focus) { const again = parts.get(focus); if (again) again.g.focus({ preventScroll: true }); }
  }

  const name = (id) => { const at = now.parts.get(id).data; return at.name || (at.pos === null ? at.title : `${at.title}@${at.pos}`); };
  function near(edges) {
    const found = new Map();
    edges.forEach((edge) => { for (const id of [edge.s, edge.t]) found.set(id, [...(found.get(id) || []), edge]); });
    return found;
  }

  function part(data, parent, cls, words) {
    const g = make("g", { class: cls, tabindex: -1, role: "button", "data-id": data.id, "aria-label": words }, parent);
    place(g, data);
    return g;
  }
  const place = (g, data) => g.setAttribute("transform", `translate(${data.x - data.w / 2},${data.y - data.h / 2})`);
  const text = (g, cls, x, y, words) => { const t = make("text", { class: cls, x, y }, g); t.textContent = words; return t; };

  function box(n, parent) {
    const where = `${n.kind === "logit" || n.kind === "direction" || n.pos === null ? "" : `at ${plain(n.token, 20)}, position ${n.pos}`}`;
    const words = `${n.title}${n.label ? ", " + (["logit", "direction"].includes(n.kind) ? plain : named)(n.label, 60) : ""} ${where}${n.pinned ? ", pinned" : ""}`;
    const g = part(n, parent, `node ${n.kind}${n.pinned ? "" : " context"}`, words);
    const small = n.kind === "token", most = small ? 9 : 17;
    make("rect", { width: n.w, height: n.h, rx: small ? 6 : 8 }, g);
    if (!small && !["logit", "direction"].includes(n.kind)) make("rect", { class: "size", x: 8, y: n.h - 5, width: Math.max(2, (n.w - 16) * n.size), height: 2.5, rx: 1 }, g);
    if (small) { text(g, "token", n.w / 2, 18, plain(n.token, most)); text(g, "where", n.w / 2, 33, `@${n.pos}`); }
    else if (["logit", "direction"].includes(n.kind)) { text(g, "title", n.w / 2, 18, plain(n.label, 15)); text(g, "where", n.w / 2, 33, n.kind === "logit" ? `${n.title} ${ow.share(n.number)}` : n.title); }
    else {
      text(g, "title", n.w / 2, 17, named(n.label || n.title, most));
      const at = n.pos === null ? (n.label ? "" : n.what) : `${plain(n.token, n.label ? 7 : 11)} @${n.pos}`;   // components of a task stand at no token
      text(g, "where", n.w / 2, 32, `${n.label ? n.title + " " : ""}${at}`);
    }
    return { g, data: n };
  }

  function frame(group, parent) {
    const g = part(group, parent, group.open ? "group open" : "group", `Group ${named(group.name, 60)}, ${ow.counted(group.members.length, "node")}, ${group.open ? "open" : "closed"}`);
    g.setAttribute("data-group", group.name);
    g.setAttribute("aria-expanded", String(group.open));
    if (!group.open) make("rect", { class: "under", x: 4, y: -4, width: group.w, height: group.h, rx: 8 }, g);
    make("rect", { width: group.w, height: group.h, rx: 8 }, g);
    if (group.open) text(g, "title", group.w / 2, 20, named(group.name, Math.floor(group.w / 8)));
    else { text(g, "title", group.w / 2, 17, named(group.name, 17)); text(g, "where", group.w / 2, 32, ow.counted(group.members.length, "node")); }
    return { g, data: group };
  }

  // From the top of the lower box to the bottom of the upper one; beside each other where neither is.
  function route(edge) {
    const a = now.parts.get(edge.s).data, b = now.parts.get(edge.t).data;
    let x1 = a.x, y1 = a.y - a.h / 2, x2 = b.x, y2 = b.y + b.h / 2, bend = Math.max(18, Math.min(90, Math.abs(y1 - y2) * .45));
    if (y2 > y1 - 4) { const side = b.x >= a.x ? 1 : -1; x1 = a.x + side * a.w / 2; x2 = b.x - side * b.w / 2; y1 = a.y; y2 = b.y; bend = 0; }
    edge.path.setAttribute("d", `M${x1},${y1}C${x1},${y1 - bend} ${x2},${y2 + bend} ${x2},${y2}`);
  }

  // What is selected, marked for a group, or near what the pointer is on.
  function paint(hover) {
    if (!now) return;
    const at = hover ? new Set((now.near.get(hover) || []).flatMap((e) => [e.s, e.t])) : null;
    now.svg.classList.toggle("hovering", Boolean(hover));
    for (const [id, p] of now.parts) {
      const mine = p.data.members || [p.data.node];
      p.g.classList.toggle("selected", selected() !== null && (p.data.node === selected() || (!p.data.open && mine.includes(selected()))));
      p.g.classList.toggle("marked", mine.every((i) => chosen.has(i)));
      p.g.classList.toggle("near", Boolean(at && (at.has(id) || id === hover)));
    }
    for (const e of now.edges) e.path.classList.toggle("near", Boolean(hover && (e.s === hover || e.t === hover)));
    const hint = document.getElementById("subgraph-marked");
    if (hint) hint.textContent = chosen.size ? `${chosen.size} marked${chosen.size > 1 ? "; g groups them" : ""}` : "";
  }

  // -- looking: zoom, shift, fit -------------------------------------------------------------------------------------

  const view = () => views[window.location.pathname];
  function apply() {
    const v = view();
    if (!now || !v) return;
    now.scene.setAttribute("transform", `translate(${v.x},${v.y}) scale(${v.k})`);
    const [x, , w] = now.data.box, left = v.x + x * v.k;
    now.node.classList.toggle("more-left", left < -4);
    now.node.classList.toggle("more-right", left + w * v.k > (now.svg.clientWidth || 600) + 4);
  }
  // whole: all of it, however small. Otherwise as wide as there is room where that is no less than half its size; else no
  // smaller than can be read, from the top right, where the prediction is.
  function fit(anew, whole) {
    if (!now) return;
    const across = now.svg.clientWidth || 600;
    now.svg.style.setProperty("--high", `${Math.round(Math.max(360, Math.min(640, now.data.box[3] * Math.min(1.15, across / now.data.box[2]))))}px`);
    const wide = across, high = now.svg.clientHeight || 400, [x, y, w, h] = now.data.box;
    if (anew) {
      const k = Math.min(1.15, Math.max(whole ? 0 : wide / w > .5 ? Math.min(READABLE, wide / w) : READABLE, Math.min(wide / w, high / h)));
      const left = w * k > wide ? wide - w * k : (wide - w * k) / 2, top = h * k > high ? 0 : (high - h * k) / 2;
      views[window.location.pathname] = { k, x: (whole ? (wide - w * k) / 2 : left) - x * k, y: (whole ? (high - h * k) / 2 : top) - y * k, whole, still: true };
    }
    apply();
  }
  // In a frame of another width it is fitted again, unless somebody moved it.
  let fitted = 0, soon = 0;
  const watch = new ResizeObserver(() => {
    window.clearTimeout(soon);
    soon = window.setTimeout(() => {
      if (!now || !now.svg.isConnected || !view() || now.svg.clientWidth === fitted) return;
      fitted = now.svg.clientWidth;
      fit(view().still, view().whole);
    }, 150);
  });
  function zoom(by, cx, cy) {
    const v = view();
    if (!now || !v) return;
    const k = Math.max(.05, Math.min(4, v.k * by)), x = cx === undefined ? now.svg.clientWidth / 2 : cx, y = cy === undefined ? now.svg.clientHeight / 2 : cy;
    v.x = x - (x - v.x) * k / v.k; v.y = y - (y - v.y) * k / v.k; v.k = k; v.still = false;
    apply();
  }

  // -- the pointer and the keys --------------------------------------------------------------------------------------

  const hit = (event) => (event.target.closest ? event.target.closest("[data-id]") : null);
  const dataOf = (g) => now.parts.get(g.getAttribute("data-id")).data;

  function choose(data, event) {
    const nodes = data.members || [data.node];
    if (event.shiftKey) { const all = nodes.every((i) => chosen.has(i)); for (const i of nodes) if (all) chosen.delete(i); else chosen.add(i); paint(); return; }
    if (event.ctrlKey || event.metaKey) { act({ op: isPinned(nodes[0]) ? "unpin" : "pin", nodes }); return; }
    if (data.members) look(data.open ? { close: data.name } : { open: data.name });
    else ow.select({ node: data.node });
  }

  function tell(data) {
    if (data.members) return `${data.name}\n${ow.counted(data.members.length, "node")}, influence ${ow.number(data.number)}\n${data.listed}`;
    const root = ["logit", "direction"].includes(data.kind);
    return [`${data.title}  ${data.what}`, data.label ? (root ? plain : named)(data.label, 80) : null, root || data.pos === null ? null : `at ${JSON.stringify(data.token)}, position ${data.pos}`, data.pos === null ? (root ? null : `sum of |score| ${ow.number(data.number)}`) : `${root ? "probability" : "influence"} ${ow.number(data.number)}`].filter(Boolean).join("\n");
  }

  function listen(svg) {
    let press = null;
    svg.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      const g = hit(event), v = view();
      press = { g, data: g ? dataOf(g) : null, x: event.clientX, y: event.clientY, vx: v.x, vy: v.y, moved: false };
      if (press.data) { press.px = press.data.x; press.py = press.data.y; }
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener("pointermove", (event) => {
      if (!press) {
        const g = hit(event);
        if (g) ow.showTip(event, tell(dataOf(g))); else ow.hideTip();
        over(g ? g.getAttribute("data-id") : null);
        return;
      }
      const dx = event.clientX - press.x, dy = event.clientY - press.y, v = view();
      if (!press.moved && Math.hypot(dx, dy) < NEAR) return;
      press.moved = true;
      ow.hideTip();
      if (press.data) shift(press, dx / v.k, dy / v.k);
      else { v.x = press.vx + dx; v.y = press.vy + dy; v.still = false; apply(); }
    });
    svg.addEventListener("pointerup", (event) => {
      const was = press;
      press = null;
      if (!was) return;
      if (was.moved && was.data) look({ move: Object.fromEntries(carried(was.data).map((d) => [d.id, [d.x, d.y]])) });
      else if (!was.moved && was.data) { was.g.focus({ preventScroll: true }); choose(was.data, event); }
    });
    svg.addEventListener("pointercancel", () => { press = null; });
    svg.addEventListener("pointerleave", () => { ow.hideTip(); over(null); });
    svg.addEventListener("focusin", (event) => { const g = hit(event); if (g && g.matches(":focus-visible")) { over(g.getAttribute("data-id")); reveal(g); } });
    svg.addEventListener("focusout", () => over(null));
    svg.addEventListener("keydown", (event) => {
      const g = hit(event);
      if (g && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); choose(dataOf(g), event); }
      const step = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, -10], ArrowDown: [0, 10] }[event.key];
      if (g && step && event.shiftKey) {
        event.preventDefault();
        const data = dataOf(g);
        shift({ data, px: data.x, py: data.y }, ...step);
        look({ move: Object.fromEntries(carried(data).map((d) => [d.id, [d.x, d.y]])) });
      }
    });
    svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;          // the page scrolls, unless zooming is asked for
      event.preventDefault();
      const box = svg.getBoundingClientRect();
      zoom(Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
  }

  // A group that is open takes its members along; the server moves them with it, so only what was dragged is kept.
  const carried = (data) => [data];
  function shift(press, dx, dy) {
    const data = press.data, fromX = data.x, fromY = data.y;
    data.x = Math.round(press.px + dx); data.y = Math.round(press.py + dy);
    const moved = [data.id];
    place(now.parts.get(data.id).g, data);
    if (data.open) for (const i of data.members) {
      const p = now.parts.get("n" + i);
      if (!p) continue;
      p.data.x += data.x - fromX; p.data.y += data.y - fromY;
      place(p.g, p.data);
      moved.push("n" + i);
    }
    for (const e of now.edges) if (moved.includes(e.s) || moved.includes(e.t)) route(e);
  }

  // Bring a node that has the focus into sight.
  function reveal(g) {
    const v = view(), data = dataOf(g), x = v.x + data.x * v.k, y = v.y + data.y * v.k, w = now.svg.clientWidth, h = now.svg.clientHeight;
    if (x < 40 || x > w - 40) { v.x += w / 2 - x; v.still = false; }
    if (y < 30 || y > h - 30) { v.y += h / 2 - y; v.still = false; }
    apply();
  }

  // -- the same node in every panel ----------------------------------------------------------------------------------

  let hovered = null;
  function over(id) {
    if (id === hovered) return;
    hovered = id;
    paint(id);
    const data = id && now ? now.parts.get(id).data : null;
    inPlot(data && !data.members ? data.node : null);
    inTables(data && !data.members ? data.node : null);
  }
  function inPlot(node) {
    const plot = document.querySelector("#links .js-plotly-plot");
    if (!plot || !window.Plotly || !plot.calcdata) return;
    if (node === null) { window.Plotly.Fx.unhover(plot); return; }
    for (let c = 0; c < plot.data.length; c++) {
      const at = plot.data[c].customdata ? Array.from(plot.data[c].customdata).indexOf(node) : -1;
      if (at >= 0) { window.Plotly.Fx.hover(plot, [{ curveNumber: c, pointNumber: at }]); return; }
    }
  }
  function inTables(node) {
    for (const id of ["edges", "nodes", "graph-pins"]) {
      const table = document.getElementById(id);
      if (table && table.openworkRows) for (const tr of table.querySelectorAll("tbody tr")) {
        const row = table.openworkRows[Number(tr.dataset.i)];
        tr.classList.toggle("linked", Boolean(node !== null && row && row.pick && row.pick.node === node));
      }
    }
  }
  // A row under the pointer marks its node in the subgraph.
  document.addEventListener("pointerover", (event) => {
    if (!here() || !event.target.closest) return;
    const tr = event.target.closest("#edges tbody tr, #nodes tbody tr, #graph-pins tbody tr");
    if (!tr) { if (hovered === null && now) paint(); return; }
    const row = tr.closest(".ow-rows-box").openworkRows[Number(tr.dataset.i)];
    const node = row && row.pick ? row.pick.node : null;
    if (now) { const found = [...now.parts].find(([, p]) => p.data.node === node || (!p.data.open && (p.data.members || []).includes(node))); paint(found ? found[0] : undefined); }
  });

  // In the link graph: Ctrl (or Cmd) and click pins, and the pointer marks the node in the other panels.
  function attach(tries) {
    const plot = document.querySelector("#links .js-plotly-plot");
    if (!plot || !plot.on) { if (tries) window.setTimeout(attach, 150, tries - 1); return; }
    if (plot.openworkPins) return;
    plot.openworkPins = true;
    let under = null;
    const nodeOf = (event) => { const d = event.points && event.points[0] ? event.points[0].customdata : undefined; return Array.isArray(d) ? d[0] : d; };
    plot.on("plotly_hover", (event) => {
      under = nodeOf(event);
      if (hovered !== null || under === undefined) return;
      inTables(under);
      if (now) paint(now.parts.has("n" + under) ? "n" + under : undefined);
    });
    plot.on("plotly_unhover", () => { under = null; if (hovered === null) { inTables(null); paint(); } });
    plot.addEventListener("mousedown", (event) => {
      if (!(event.ctrlKey || event.metaKey) || !Number.isInteger(under)) return;
      event.preventDefault(); event.stopPropagation();
      act({ op: "toggle", nodes: [under] });
    }, true);
    plot.addEventListener("contextmenu", (event) => { if (event.ctrlKey) event.preventDefault(); });
  }

  // -- one panel on the whole screen ---------------------------------------------------------------------------------

  function full(panel) {
    if (!panel) return;
    const was = panel.classList.contains("ow-full");
    leave();
    if (!was) { panel.classList.add("ow-full"); document.documentElement.classList.add("ow-still"); }
    resized(panel);
  }
  function leave() {
    const panel = document.querySelector(".ow-panel.ow-full");
    document.documentElement.classList.remove("ow-still");
    if (!panel) return false;
    panel.classList.remove("ow-full");
    resized(panel);
    return true;
  }
  function resized(panel) {
    for (const plot of panel.querySelectorAll(".js-plotly-plot")) window.Plotly.Plots.resize(plot);
    if (now && panel.contains(now.svg)) fit(true);
  }

  // -- suggestions ---------------------------------------------------------------------------------------------------

  function suggestions(node, data) {
    if (!data.rows.length) { node.replaceChildren(ow.el("p", "ow-partial", data.words)); return; }
    const list = ow.el("ul", "ow-suggested");
    for (const row of data.rows) {
      const item = ow.el("li"), words = ow.el("div"), does = ow.el("div", "ow-actions"), take = ow.el("button", "ow-button", "Accept"), drop = ow.el("button", "ow-button", "Dismiss");
      const head = ow.el("b", "", named(row.name, 60));
      head.dir = "auto";
      words.append(head, ow.el("span", "ow-partial", ` ${ow.counted(row.nodes.length, "unit")}, likeness ${ow.number(row.score)}${row.weak ? ", no better than chance" : ""}`), ow.el("div", "ow-sub", row.members));
      for (const [button, handler] of [[take, () => { act({ op: "group", nodes: row.nodes, name: row.name }); item.remove(); }], [drop, () => { look({ dismiss: row.key }); item.remove(); }]]) {
        button.type = "button"; button.addEventListener("click", handler); does.appendChild(button);
      }
      item.append(words, does);
      list.appendChild(item);
    }
    node.replaceChildren(ow.el("p", "ow-partial", data.words), list);
    node.openworkExport = () => data.rows.map((r) => ({ name: r.name, units: r.nodes.length, score: r.score, weak: r.weak, members: r.members }));
  }

  Object.assign(window.dash_clientside.openwork, {
    subgraph: function (data) {
      const node = ow.target();
      if (!node || !data) return window.dash_clientside.no_update;
      draw(node, data);
      return String(data.nodes.length);
    },
    // The marks after an edit: what it came to, what can be undone, and the next request that waits.
    marks: function (data) {
      if (!data) return window.dash_clientside.no_update;
      if (!marks || marks.graph !== data.graph) { chosen.clear(); queue = []; }
      marks = data;
      waiting = 0;
      attach(80);
      const said = document.getElementById("graph-said");
      if (said) { said.textContent = data.said; said.className = `ow-said ${data.state}`; }
      for (const [id, words] of [["graph-undo", data.undo], ["graph-redo", data.redo]]) {
        const button = document.getElementById(id);
        if (button) { button.disabled = !words; button.title = words ? `${id === "graph-undo" ? "Undo" : "Do again"}: ${words}` : "Nothing"; }
      }
      pump();
      return data.revision;
    },
    picked: function (selection) {
      if (selection) for (const key of ["node"]) ow.selection[key] = selection[key];
      paint();
      return window.dash_clientside.no_update;
    },
    suggestions: function (data) {
      const node = ow.target();
      if (!node || !data) return window.dash_clientside.no_update;
      suggestions(node, data);
      return String(data.rows.length);
    },
    // A node of the link graph was clicked.
    clicked: function (data) {
      const at = data && data.points && data.points[0] ? data.points[0].customdata : undefined, node = Array.isArray(at) ? at[0] : at;
      if (Number.isInteger(node) && node !== ow.selection.node) ow.select({ node });
      return window.dash_clientside.no_update;
    },
    // The sliders' values go into the address.
    kept: function (keep, edges) {
      sliders = { keep, edges };
      const url = new URL(window.location.href);
      if (edges !== undefined && edges !== null && PAGE.test(url.pathname)) { url.searchParams.set("e", edges); window.history.replaceState(window.history.state, "", url); }
      if (keep !== undefined && keep !== null && ow.selection.keep !== keep) ow.select({ keep });
      return window.dash_clientside.no_update;
    },
  });
  ow.act = act;
})();
