// What is followed on the lens page; and on every page keys that move through tokens and layers, where panels follow both.
(function () {
  "use strict";
  const ow = window.openwork, nothing = () => window.dash_clientside.no_update;

  // How many there are of what is chosen, and where it begins: {token: [8, 7], layer: [5, 4]}.
  const sizes = () => Object.assign({}, ...[...document.querySelectorAll("[data-sizes]")].map((box) => JSON.parse(box.dataset.sizes)));

  const step = (name, by) => () => {
    const known = sizes()[name];
    if (!known) return false;
    const [size, start] = known, at = Number.isInteger(ow.selection[name]) ? ow.selection[name] : start;
    ow.select({ [name]: Math.max(0, Math.min(size - 1, at + by)) });
    return true;
  };
  if (ow.key) {
    const page = /^\/(lens|methods|results)/;
    ow.key("Shift+ArrowRight", "The next token", step("token", 1), { page });
    ow.key("Shift+ArrowLeft", "The token before", step("token", -1), { page });
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
