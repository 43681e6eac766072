// The token strip: {tokens, ids, values, lo, hi, unit, notes, key, links} drawn as boxes coloured by value, one listener for all.
// Values are coloured from lo to hi; where lo is below 0, two colours meet at 0. key: the part of the selection a click sets
// ("token" where none is given). links: a number for each token; hovering marks tokens of equal links in all strips. others: while
// a token is pointed at, each strip that has them shows that token's row of them, {n, dense (base64 of bytes) | rows ([at, byte])}.
(function () {
  "use strict";
  const ow = window.openwork, WINDOW = 256;
  const strips = new Map();     // element id -> {data, start}

  function heat(data, i) {
    const value = data.values && data.values[i];
    if (value === null || value === undefined || Number.isNaN(value)) return null;
    if (data.lo < 0) return Math.min(1, Math.abs(value) / (Math.max(data.hi, -data.lo) || 1));
    return Math.max(0, Math.min(1, (value - data.lo) / ((data.hi - data.lo) || 1)));
  }

  // Colour a token by `amount`, 0 to 1. From where black reads better than white on it, its ink turns.
  ow.warm = function (token, amount) {
    token.style.setProperty("--heat", (100 * amount).toFixed(1) + "%");
    token.classList.toggle("hot", amount > (token.classList.contains("below") ? .722 : .63));
  };

  function box(data, i, selected) {
    const token = ow.el("span", "ow-tok"), amount = heat(data, i);
    token.dataset.i = data.links ? data.links[i] : i;
    token.dataset.at = i;
    if (data.lo < 0 && data.values[i] < 0) token.classList.add("below");
    token.setAttribute("role", "option");
    token.setAttribute("aria-selected", i === selected ? "true" : "false");
    token.dir = "auto";
    if (amount !== null) ow.warm(token, amount);
    if (data.special && data.special[i]) token.classList.add("special");
    if (i === selected) token.classList.add("selected");
    ow.writeToken(token, data.tokens[i]);
    return token;
  }

  function draw(node, data, selected) {
    const state = strips.get(node.id) || { start: 0 };
    const n = data.tokens.length, known = state.data === data;
    state.data = data;
    const moved = !known || state.selected !== selected;   // paging away from the selection is allowed
    state.selected = selected;
    if (n > WINDOW && moved && (selected < state.start || selected >= state.start + WINDOW)) {
      state.start = Math.max(0, Math.min(n - WINDOW, Math.round((selected || 0) - WINDOW / 2)));
    }
    if (n <= WINDOW) state.start = 0;
    strips.set(node.id, state);
    const fragment = document.createDocumentFragment();
    if (n > WINDOW) fragment.appendChild(pager(node, state, selected));
    const list = ow.el("div", "tokens");
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Tokens; arrow keys move the selection");
    list.tabIndex = 0;
    for (let i = state.start; i < Math.min(n, state.start + WINDOW); i++) list.appendChild(box(data, i, selected));
    fragment.appendChild(list);
    node.replaceChildren(fragment);
    node.openworkExport = () => data.tokens.map((token, i) => Object.assign({ position: i, token: token }, data.ids ? { id: data.ids[i] } : {}, data.values ? { [data.label || "value"]: data.values[i] } : {}));
    if (n > WINDOW) minimap(node.querySelector("canvas"), state, selected);
    listen(node);
  }

  function pager(node, state, selected) {
    const n = state.data.tokens.length, bar = ow.el("div", "window");
    const move = (label, by, off) => {
      const button = ow.el("button", "", label);
      button.type = "button"; button.disabled = off;
      button.addEventListener("click", () => { state.start = Math.max(0, Math.min(n - WINDOW, state.start + by)); draw(node, state.data, selected); });
      return button;
    };
    bar.append(move("‹ earlier", -WINDOW, state.start === 0), ow.el("canvas"), move("later ›", WINDOW, state.start + WINDOW >= n),
      ow.el("span", "num", `${state.start}–${Math.min(n, state.start + WINDOW) - 1} of ${ow.counted(n, "token")}`));
    return bar;
  }

  // All values as one thin strip; a click moves the window there.
  function minimap(canvas, state, selected) {
    ow.whenWide(canvas, () => {
      const n = state.data.tokens.length, wide = canvas.width = canvas.clientWidth, high = canvas.height = 18, pen = canvas.getContext("2d");
      const style = getComputedStyle(document.documentElement);
      pen.fillStyle = style.getPropertyValue("--tokens-minimap-value");
      for (let i = 0; i < n; i++) {
        pen.globalAlpha = heat(state.data, i) || 0;
        pen.fillRect(i * wide / n, 0, Math.max(1, wide / n), high);
      }
      pen.globalAlpha = 1; pen.strokeStyle = style.getPropertyValue("--tokens-minimap-window"); pen.lineWidth = 2;
      pen.strokeRect(state.start * wide / n + 1, 1, WINDOW * wide / n - 2, high - 2);
      canvas.onclick = (event) => {
        const at = Math.round((event.offsetX / wide) * n - WINDOW / 2);
        state.start = Math.max(0, Math.min(n - WINDOW, at));
        draw(canvas.closest(".ow-strip"), state.data, selected);
      };
    });
  }

  function describe(data, i) {
    const lines = [JSON.stringify(data.tokens[i])];
    lines.push(`position ${i}` + (data.ids ? `, token ${data.ids[i]}` : ""));
    if (data.values && data.values[i] !== null && data.values[i] !== undefined) lines.push(`${data.label || "value"} ${ow.number(data.values[i])} ${data.unit || ""}`);
    if (data.notes && data.notes[i]) lines.push(data.notes[i]);
    return lines.join("\n");
  }

  // The row of what a strip shows while token `i` is pointed at, by position.
  function otherRow(others, i) {
    if (others.dense) { others.bytes = others.bytes || Uint8Array.from(window.atob(others.dense), (c) => c.charCodeAt(0)); return others.bytes.subarray(i * others.n, (i + 1) * others.n); }
    const row = new Uint8Array(others.n);
    for (const [at, value] of others.rows[i]) row[at] = value;
    return row;
  }

  let pointed = null;
  function point(at) {
    if (at === pointed) return;
    pointed = at;
    for (const [id, state] of strips) {
      const node = state.data.others && document.getElementById(id);
      if (!node) continue;
      const row = at === null ? null : otherRow(state.data.others, at), top = row ? Math.max(1, ...row) : 1;
      for (const token of node.querySelectorAll(".ow-tok")) {
        const amount = row ? row[Number(token.dataset.at)] / top : heat(state.data, Number(token.dataset.at));
        if (amount !== null) ow.warm(token, amount);
        else { token.style.removeProperty("--heat"); token.classList.remove("hot"); }
      }
    }
  }

  const hit = (event) => (event.target.closest ? event.target.closest(".ow-tok") : null);

  function listen(node) {
    if (node.dataset.listening) return;
    node.dataset.listening = "1";
    const key = () => strips.get(node.id).data.key || "token";
    node.addEventListener("click", (event) => { const token = hit(event); if (token) choose(key(), Number(token.dataset.at)); });
    node.addEventListener("mousemove", (event) => {
      const token = hit(event);
      if (!token) { ow.hideTip(); link(null); point(null); return; }
      const data = strips.get(node.id).data;
      ow.showTip(event, describe(data, Number(token.dataset.at)));
      point(data.others ? Number(token.dataset.at) : null);
      link(Number(token.dataset.i));
    });
    node.addEventListener("mouseleave", () => { ow.hideTip(); link(null); point(null); });
    node.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -1e9, End: 1e9 }[event.key];
      if (!step) return;
      event.preventDefault();
      const last = strips.get(node.id).data.tokens.length - 1;
      choose(key(), Math.max(0, Math.min(last, (ow.selection[key()] || 0) + step)));
    });
  }

  // Mark the chosen token at once, in every strip that shows this part of the selection; what depends on it follows.
  function choose(key, i) {
    for (const [id, state] of strips) {
      const node = (state.data.key || "token") === key && document.getElementById(id);
      if (!node) continue;
      for (const old of node.querySelectorAll(".ow-tok.selected")) { old.classList.remove("selected"); old.setAttribute("aria-selected", "false"); }
      const now = node.querySelector(`.ow-tok[data-at="${i}"]`);
      if (now) { now.classList.add("selected"); now.setAttribute("aria-selected", "true"); }
    }
    ow.select({ [key]: i });
  }

  // Hovering a position (or several) in one panel marks it in every strip.
  function link(i) {
    for (const token of document.querySelectorAll(".ow-tok.linked")) token.classList.remove("linked");
    if (i === null) return;
    for (const at of [].concat(i)) for (const token of document.querySelectorAll(`.ow-tok[data-i="${Number(at)}"]`)) token.classList.add("linked");
  }
  ow.linkToken = link;
  ow.tokenBox = box;          // (data, i, selected) -> element, for displays of many short texts
  ow.describeToken = describe;

  window.dash_clientside.openwork.strip = function (data, selection) {
    const node = ow.target();
    if (!node || !data) return window.dash_clientside.no_update;
    const focused = node.contains(document.activeElement);
    draw(node, data, selection ? selection[data.key || "token"] : undefined);
    if (focused) node.querySelector(".tokens").focus({ preventScroll: true });
    return String(data.tokens.length);
  };
})();
