// The heads page: scores merged into the thumbnails, hovering in both directions, clicks on figures, keys, the address.
(function () {
  "use strict";
  const ow = window.openwork;
  let pattern = null;                 // {n, head, dense (bytes) | keys}: the selected head's attention, 0 to 255

  function row(i) {
    const out = new Uint8Array(pattern.n);
    if (pattern.bytes) out.set(pattern.bytes.subarray(i * pattern.n, (i + 1) * pattern.n));
    else for (const [key, value] of pattern.keys[i]) out[key] = value;
    return out;
  }

  function column(i) {
    const out = new Uint8Array(pattern.n);
    for (let q = 0; q < pattern.n; q++) {
      if (pattern.bytes) out[q] = pattern.bytes[q * pattern.n + i];
      else { const hit = pattern.keys[q].find((pair) => pair[0] === i); out[q] = hit ? hit[1] : 0; }
    }
    return out;
  }

  // Colour the tokens of a strip by other values for a moment; null gives them their own colours back.
  function tint(id, values) {
    const box = document.getElementById(id);
    if (!box) return;
    const top = values ? Math.max(1, ...values) : 1;
    for (const token of box.querySelectorAll(".ow-tok")) {
      if (token.dataset.own === undefined) token.dataset.own = token.style.getPropertyValue("--heat");
      const own = parseFloat(token.dataset.own) / 100;
      if (values || !Number.isNaN(own)) ow.warm(token, values ? values[Number(token.dataset.at)] / top : own);
      else { token.style.removeProperty("--heat"); token.classList.remove("hot"); }
    }
  }

  const strips = "#heads-keys, #heads-queries";
  let over = null;
  document.addEventListener("mousemove", (event) => {
    if (!pattern) return;
    const token = event.target.closest && event.target.closest(".ow-tok"), inside = token && token.closest(strips);
    const at = inside ? Number(token.dataset.at) : null;
    if (at === over) return;
    over = at;
    tint("heads-keys", at === null ? null : row(at));
    tint("heads-queries", at === null ? null : column(at));
  });

  const step = (dl, dh) => () => {
    const thumbs = document.getElementById("heads-thumbs"), rows = thumbs && thumbs.openworkExport ? thumbs.openworkExport() : null;
    if (!rows) return false;
    const last = rows[rows.length - 1], [layer, head] = (ow.selection.head || "0.0").split(".").map(Number);
    const next = [layer + dl, head + dh];
    if (next[0] < 0 || next[1] < 0 || next[0] > last.layer || next[1] > last.head) return true;
    ow.select({ head: next.join("."), source: null });
    return true;
  };
  if (ow.key) {
    ow.key("Shift+ArrowRight", "The same head one layer later", step(1, 0), { page: "/heads" });
    ow.key("Shift+ArrowLeft", "The same head one layer earlier", step(-1, 0), { page: "/heads" });
    ow.key("Shift+ArrowDown", "The next head of the layer", step(0, 1), { page: "/heads" });
    ow.key("Shift+ArrowUp", "The head before it in the layer", step(0, -1), { page: "/heads" });
  }

  Object.assign(window.dash_clientside.openwork, {
    headsMerge: (base, tinted) => (base ? Object.assign({}, base, tinted || {}) : window.dash_clientside.no_update),
    headsTinted: (tinted, base) => window.dash_clientside.openwork.headsMerge(base, tinted),

    headsAddress: function (selection, metric) {
      const chosen = selection || {};
      ow.putInAddress({ s: chosen.source, y: chosen.target, metric: metric });
      return window.dash_clientside.no_update;
    },

    headsHover: function (data) {
      pattern = data || null;
      over = null;
      if (data && data.dense) {
        const raw = window.atob(data.dense);
        pattern = Object.assign({}, data, { bytes: Uint8Array.from(raw, (c) => c.charCodeAt(0)) });
      }
      return data ? data.head : "";
    },

    headsClick: function (clicked) {
      const point = clicked && clicked.points[0];
      if (!point) return window.dash_clientside.no_update;
      const name = typeof point.customdata === "string" ? /^L(\d+)H(\d+)$/.exec(point.customdata) : null;
      if (name) ow.select({ head: `${name[1]}.${name[2]}`, source: null });
      else if (point.z !== undefined && point.z !== null) ow.select({ token: Math.floor(point.y), source: Math.floor(point.x) });
      return window.dash_clientside.no_update;
    },
  });
})();
