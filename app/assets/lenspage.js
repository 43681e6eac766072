// What is followed on the lens page; and on every page keys that move through tokens and layers, where panels follow both.
(function () {
  "use strict";
  const ow = window.openwork, nothing = () => window.dash_clientside.no_update;

  // How many there are of what is chosen, and where it begins: {token: [8, 7], layer: [5, 4]}.
  const sizes = () => Object.assign({}, ...[...document.querySelectorAll("[data-sizes]")].map((box) => JSON.parse(box.dataset.sizes)));

  const step = (name, by) => () => {
    const all = sizes(), known = all[name];
    if (!known) return false;
    const [layer, head] = String(ow.selection.head || "").split(".").map(Number), own = { layer, head };   // a head is selected as "5.3"
    const now = (n) => (all.head && n in own && ow.selection.head ? own[n] : Number.isInteger(ow.selection[n]) ? ow.selection[n] : all[n][1]);
    const to = Math.max(0, Math.min(known[0] - 1, now(name) + by)), moved = { layer: all.layer && now("layer"), head: all.head && now("head"), [name]: to };
    ow.select(all.head && name !== "token" ? { layer: moved.layer, head: `${moved.layer}.${moved.head}` } : { [name]: to });
    return true;
  };
  const first = (...steps) => () => steps.some((move) => move());
  if (ow.key) {
    const page = /^\/(lens|patching|methods|results)/;
    ow.key("Shift+ArrowRight", "The next token, or head", first(step("token", 1), step("head", 1)), { page });
    ow.key("Shift+ArrowLeft", "The token before, or head", first(step("token", -1), step("head", -1)), { page });
    ow.key("Shift+ArrowUp", "One layer later", step("layer", 1), { page });
    ow.key("Shift+ArrowDown", "One layer earlier", step("layer", -1), { page });
  }

  Object.assign(window.dash_clientside.openwork, {
    lensFollow: function (clicks) {
      const id = window.dash_clientside.callback_context.outputs_list.id;
      if (clicks) ow.select({ follow: id.slice("lens-own-".length) });
      return nothing();
    },

    lensFollowed: function (selection) {
      const follow = (selection || {}).follow, which = window.dash_clientside.callback_context.outputs_list.id.slice("lens-own-".length);
      ow.putInAddress({ q: follow === "final" ? null : follow });
      return String(follow === which || (which === "final" && follow === undefined));
    },
  });
})();
