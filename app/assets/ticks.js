// Labels of axes that do not touch: an axis of tokens has as many as the server thinks it may need, and how many fit depends on the
// width of the window and on the zoom. From the last one (where the prediction is) back, a label stays if it is far enough from the one
// that stayed before. And a picture wider than its frame begins at its end, where the prediction is.
(function () {
  "use strict";
  const ow = window.openwork, APART = { x: 16, y: 13 };   // pixels: one line of a label, turned where labels stand side by side
  const known = new WeakMap();                              // plot -> {axis: {vals, text, shown}}: all labels, and those put in their place

  function labels(plot, key) {
    const own = plot.layout[key], kept = known.get(plot) || {};
    known.set(plot, kept);
    if (!kept[key] || kept[key].shown !== own.tickvals) kept[key] = { vals: Array.from(own.tickvals), text: Array.from(own.ticktext || own.tickvals), shown: own.tickvals };
    return kept[key];
  }

  function fitting(all, axis, apart) {
    const [low, high] = [...axis.range].map(Number).sort((a, b) => a - b), scale = axis._length / ((high - low) || 1), kept = [];
    let before = Infinity;
    for (let i = all.vals.length - 1; i >= 0; i--) {
      const at = (all.vals[i] - low) * scale;
      if (before - at < apart) continue;
      kept.unshift(i);
      before = at;
    }
    return kept;
  }

  function thinTicks(plot) {
    if (!plot._fullLayout || !plot.layout || !window.Plotly) return;
    const change = {}, axes = Object.keys(plot.layout).filter((key) => /^[xy]axis\d*$/.test(key));
    for (const key of axes) {
      const axis = plot._fullLayout[key], own = plot.layout[key];
      if (!axis || !axis._length || axis.visible === false || axis.type === "log" || own.tickmode === "auto" || !own.tickvals || own.tickvals.length < 8) continue;
      const all = labels(plot, key), kept = fitting(all, axis, APART[key[0]]);
      if (kept.length === own.tickvals.length) continue;
      change[`${key}.tickvals`] = kept.map((i) => all.vals[i]);
      change[`${key}.ticktext`] = kept.map((i) => all.text[i]);
    }
    if (!Object.keys(change).length) return;
    window.Plotly.relayout(plot, change);
    for (const key of axes) if (`${key}.tickvals` in change) known.get(plot)[key].shown = plot.layout[key].tickvals;
  }

  // Words in the cells of a heat map stay where they fit their cell; pointing at a cell tells them all.
  function thinCells(plot) {
    const texts = plot.querySelectorAll(".heatmap-label text"), map = texts.length && (plot.calcdata || []).map((c) => c[0] && c[0].trace).find((t) => t && t.type === "heatmap");
    const axis = map && plot._fullLayout[(map.xaxis || "x").replace("x", "xaxis")];
    if (!axis || !axis._length) return;
    const wide = axis._length / Math.abs(axis.range[1] - axis.range[0]);
    for (const text of texts) { const fits = text.getComputedTextLength() <= wide + 1; if (fits === (text.style.visibility === "hidden")) text.style.visibility = fits ? "" : "hidden"; }
  }

  ow.thin = function (plot) { thinTicks(plot); thinCells(plot); };

  function watch(plot) {
    ow.thin(plot);
    if (plot.openworkTicks || !plot.on) return;
    plot.openworkTicks = true;
    plot.on("plotly_relayout", (change) => { if (Object.keys(change).some((key) => /range|autosize|width/.test(key))) ow.thin(plot); });
  }

  function toEnd(box) {
    const frame = box.closest(".ow-from-end");
    if (!frame || frame.dataset.begun || frame.scrollWidth <= frame.clientWidth) return;
    frame.dataset.begun = "1";
    frame.scrollLeft = frame.scrollWidth;
  }

  // After a figure was drawn into `box`; asked some times, because plotly is done later.
  ow.settleFigure = function (box) {
    const plot = box && box.querySelector(".js-plotly-plot");
    if (!plot) return;
    watch(plot);
    toEnd(box);
  };
  // Figures that come with their page are not announced.
  ow.atArrival(() => {
    for (const wait of [200, 700, 2000]) window.setTimeout(() => document.querySelectorAll(".dash-graph").forEach(ow.settleFigure), wait);
  });
  let soon = 0;
  window.addEventListener("resize", () => {
    window.clearTimeout(soon);
    soon = window.setTimeout(() => { for (const plot of document.querySelectorAll(".js-plotly-plot")) ow.thin(plot); }, 300);
  });
})();
