// Two rows of tokens as aligned columns: a's token above b's, below them what is between. One listener for all.
// {a, b: data of two strips, columns: [[a, b, same]], more: [number or null], largest, apart: what that is, column: the first selected}.
(function () {
  "use strict";
  const ow = window.openwork, WINDOW = 256;
  const states = new Map();      // element id -> {data, start, at}

  const chosen = (state) => { const c = ow.selection.column; return Number.isInteger(c) && c < state.data.columns.length ? c : state.data.column; };

  function cell(strip, i, here) {
    if (i !== null) { const token = ow.tokenBox(strip, i, here ? i : -1); token.removeAttribute("role"); token.removeAttribute("aria-selected"); return token; }
    const gap = ow.el("span", "ow-gap", "–");
    gap.setAttribute("aria-label", "no token");
    return gap;
  }

  function column(data, c, here) {
    const [a, b, same] = data.columns[c], more = data.more[c], box = ow.el("div", "ow-column" + (here ? " selected" : "") + (same ? " same" : ""));
    box.dataset.c = c;
    box.setAttribute("role", "option");
    box.setAttribute("aria-selected", here ? "true" : "false");
    const bar = ow.el("span", "ow-more" + (more < 0 ? " less" : ""), more === null ? "" : (more > 0 ? "+" : more < 0 ? "−" : "") + Math.abs(more).toFixed(Math.abs(more) < 10 ? 1 : 0));
    if (more !== null && data.largest) bar.style.setProperty("--heat", (100 * Math.abs(more) / data.largest).toFixed(1) + "%");
    box.append(cell(data.a, a, here), cell(data.b, b, here), bar);
    return box;
  }

  function draw(node) {
    const state = states.get(node.id), { data } = state, at = chosen(state), n = data.columns.length;
    if (n <= WINDOW) state.start = 0;
    else if (state.at !== at && (at < state.start || at >= state.start + WINDOW)) state.start = Math.max(0, Math.min(n - WINDOW, at - WINDOW / 2));
    state.at = at;
    const list = ow.el("div", "ow-columns");
    list.tabIndex = 0;
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Aligned tokens of both prompts; arrow keys move the selection");
    for (let c = state.start; c < Math.min(n, state.start + WINDOW); c++) list.appendChild(column(data, c, c === at));
    const focused = node.contains(document.activeElement);
    node.replaceChildren(...(n > WINDOW ? [pager(node, state)] : []), list);
    if (focused) list.focus({ preventScroll: true });
    node.openworkExport = () => data.columns.map(([a, b], c) => ({ column: c, a: a, "token a": a === null ? null : data.a.tokens[a], [`${data.a.label} a`]: a === null || !data.a.values ? null : data.a.values[a], b: b, "token b": b === null ? null : data.b.tokens[b], [`${data.b.label} b`]: b === null || !data.b.values ? null : data.b.values[b], [data.apart || "more"]: data.more[c] }));
    listen(node);
  }

  function pager(node, state) {
    const n = state.data.columns.length, bar = ow.el("div", "ow-columns-pager");
    const move = (label, by, off) => { const b = ow.el("button", "", label); b.type = "button"; b.disabled = off; b.addEventListener("click", () => { state.start = Math.max(0, Math.min(n - WINDOW, state.start + by)); draw(node); }); return b; };
    bar.append(move("‹ earlier", -WINDOW, state.start === 0), move("later ›", WINDOW, state.start + WINDOW >= n), ow.el("span", "num", `${state.start}–${Math.min(n, state.start + WINDOW) - 1} of ${n} columns`));
    return bar;
  }

  // The token that other pages are opened with is a's.
  function choose(state, c) {
    const a = state.data.columns[c][0];
    ow.select(a === null ? { column: c } : { column: c, token: a });
  }

  function describe(data, c) {
    const [a, b] = data.columns[c], more = data.more[c];
    const lines = [a === null ? "a has no token here" : "a  " + ow.describeToken(data.a, a), b === null ? "b has no token here" : "b  " + ow.describeToken(data.b, b)];
    if (more !== null) lines.push(`${data.apart}: ${ow.number(more)}`);
    return lines.join("\n");
  }

  function listen(node) {
    if (node.dataset.listening) return;
    node.dataset.listening = "1";
    const hit = (event) => (event.target.closest ? event.target.closest(".ow-column") : null);
    node.addEventListener("click", (event) => { const box = hit(event); if (box) choose(states.get(node.id), Number(box.dataset.c)); });
    node.addEventListener("mousemove", (event) => {
      const box = hit(event);
      for (const other of node.querySelectorAll(".ow-column.linked")) if (other !== box) other.classList.remove("linked");
      if (!box) { ow.hideTip(); return; }
      box.classList.add("linked");
      ow.showTip(event, describe(states.get(node.id).data, Number(box.dataset.c)));
    });
    node.addEventListener("mouseleave", () => { ow.hideTip(); for (const box of node.querySelectorAll(".ow-column.linked")) box.classList.remove("linked"); });
    node.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -1e9, End: 1e9 }[event.key];
      if (!step) return;
      event.preventDefault();
      const state = states.get(node.id);
      choose(state, Math.max(0, Math.min(state.data.columns.length - 1, chosen(state) + step)));
    });
  }

  window.dash_clientside.openwork.columns = function (data, selection) {
    const node = ow.target();
    if (!node || !data) return window.dash_clientside.no_update;
    if (!states.has(node.id) || states.get(node.id).data !== data) states.set(node.id, { data, start: 0, at: null });
    Object.assign(ow.selection, selection || {});   // this may run before the address is written
    draw(node);
    return String(data.columns.length);
  };
})();
