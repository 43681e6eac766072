// The heads page: scores merged into the thumbnails, keys, the address.
(function () {
  "use strict";
  const ow = window.openwork;

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

    headsBegin: function (part) {
      if (part) ow.select(part);
      return String(Boolean(part));
    },

    headsAddress: function (selection) {
      const chosen = selection || {};
      ow.putInAddress({ s: chosen.source, y: chosen.target, metric: null });   // the score is a part of the selection
      return window.dash_clientside.no_update;
    },
  });
})();
