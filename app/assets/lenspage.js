// The lens page: clicks on its maps, what is followed, the address, and keys that move through the cells.
(function () {
  "use strict";
  const ow = window.openwork, nothing = () => window.dash_clientside.no_update;

  // The number of layer rows and of tokens, from what is drawn.
  const sizes = () => {
    const rows = document.getElementById("lens-rows"), strip = document.getElementById("lens-strip");
    return { layers: rows && rows.openworkExport ? rows.openworkExport().length : 0, tokens: strip && strip.openworkExport ? strip.openworkExport().length : 0 };
  };

  const step = (dx, dy) => () => {
    const n = sizes();
    if (!n.layers || !n.tokens) return false;
    const token = (ow.selection.token || 0) + dx, layer = (ow.selection.layer || 0) + dy;
    ow.select({ token: Math.max(0, Math.min(n.tokens - 1, token)), layer: Math.max(0, Math.min(n.layers - 1, layer)) });
    return true;
  };
  if (ow.key) {
    ow.key("Shift+ArrowRight", "The cell of the next token", step(1, 0), { page: "/lens" });
    ow.key("Shift+ArrowLeft", "The cell of the token before", step(-1, 0), { page: "/lens" });
    ow.key("Shift+ArrowUp", "One layer later", step(0, 1), { page: "/lens" });
    ow.key("Shift+ArrowDown", "One layer earlier", step(0, -1), { page: "/lens" });
  }

  Object.assign(window.dash_clientside.openwork, {
    lensAddress: function (selection, colour, extent, quantity) {
      const follow = (selection || {}).follow;
      ow.putInAddress({
        q: follow === "final" ? null : follow,
        c: colour === "probability" ? null : colour,
        w: extent === "all" ? "all" : null,
        v: quantity === "probability" ? null : quantity,
      });
      for (const which of ["final", "next"]) {
        const button = document.getElementById("lens-own-" + which);
        if (button) button.setAttribute("aria-pressed", String(follow === which || (which === "final" && follow === undefined)));
      }
      return nothing();
    },

    // Columns of a down-sampled map stand between positions; lines have layers across.
    lensClick: function (clicked) {
      const point = clicked && clicked.points[0];
      if (!point) return nothing();
      if (point.z === undefined) ow.select({ layer: Math.round(point.x) });
      else ow.select({ token: Math.floor(point.x), layer: Math.round(point.y) });
      return nothing();
    },

    lensFollow: function (clicks) {
      const id = window.dash_clientside.callback_context.triggered[0].prop_id;
      if (clicks) ow.select({ follow: id.startsWith("lens-own-next") ? "next" : "final" });
      return nothing();
    },
  });
})();
