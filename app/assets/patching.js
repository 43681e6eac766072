// The patching page: small pictures of the sweeps of one pair, and the two prompts changed about.
(function () {
  "use strict";
  const ow = window.openwork;

  // Blue above 0, red below, paper at 0: the heat map's colours, as 20-patching.css names them.
  function colours() {
    const style = getComputedStyle(document.documentElement), read = (name) => style.getPropertyValue(name).trim().split(" ").map(Number);
    return { above: [read("--patching-effect-above"), read("--patching-effect-above-strong")], below: [read("--patching-effect-below"), read("--patching-effect-below-strong")], none: read("--patching-effect-none") };
  }

  function colour(value, of) {
    const [middle, strong] = value > 0 ? of.above : of.below, paper = of.none;
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
    const pen = canvas.getContext("2d"), of = colours();
    one.values.forEach((value, i) => { pen.fillStyle = colour(value, of); pen.fillRect(i % columns, one.rows - 1 - Math.floor(i / columns), 1, 1); });
    card.append(canvas, ow.el("strong", "", one.name), ow.el("span", "", one.note));
    card.addEventListener("click", () => { if (!one.shown) ow.go(one.href); });
    return card;
  }

  Object.assign(window.dash_clientside.openwork, {
    patchingBeside: function (data) {
      const node = ow.target();
      if (!node || !data || data.sweeps.length < 2) { if (node) node.replaceChildren(); return window.dash_clientside.no_update; }
      node.replaceChildren(...data.sweeps.map(small));
      node.className = "patching-smalls";
      return window.dash_clientside.no_update;
    },

    patchingSwap: function (_clicks, clean, corrupted) { return [corrupted, clean]; },
  });
})();
