// Saving what a panel shows: figures and canvases as pictures, tables and strips as data, all of it as one static HTML page.
// Nothing leaves the browser. In CSV, text cells are JSON strings: exact, and no spreadsheet takes one for a formula.
(function () {
  "use strict";
  const ow = window.openwork;
  let open = null;   // {menu, button}

  const words = (panel) => { const h = panel.querySelector("h2, h3"); return h ? h.textContent.trim() : "openwork"; };
  const slug = (text) => (text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 48) || "openwork");

  function save(name, type, content) {
    const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type: type }));
    const link = ow.el("a");
    link.href = url; link.download = name;
    document.body.appendChild(link); link.click(); link.remove();
    window.setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  // What a panel holds: [{what, formats: {FORMAT: function}}].
  function contents(panel) {
    const found = [], base = slug(words(panel));
    const named = (i, n) => (n > 1 ? `${base}-${i + 1}` : base);
    const each = (selector, what, make) => {
      const nodes = [...panel.querySelectorAll(selector)].filter((n) => n.offsetParent !== null);
      nodes.forEach((node, i) => { const formats = make(node, named(i, nodes.length)); if (formats) found.push({ what: nodes.length > 1 ? `${what} ${i + 1}` : what, formats: formats }); });
    };
    each(".js-plotly-plot", "Figure", (plot, name) => ({
      PNG: () => window.Plotly.downloadImage(plot, { format: "png", scale: 2, filename: name }),
      SVG: () => window.Plotly.downloadImage(plot, { format: "svg", filename: name }),
      CSV: () => save(`${name}.csv`, "text/csv", csv(traces(plot))),
      JSON: () => save(`${name}.json`, "application/json", JSON.stringify({ data: plot.data, layout: plot.layout })),
    }));
    each("svg.ow-svg", "Graph", (svg, name) => ({ SVG: () => save(`${name}.svg`, "image/svg+xml", drawing(svg)), PNG: () => raster(svg, `${name}.png`) }));
    each("canvas.ow-picture, .ow-thumbs canvas", "Picture", (canvas, name) => ({ PNG: () => canvas.toBlob((b) => save(`${name}.png`, "image/png", b)) }));
    each(".ow-data, .ow-rows-box, .ow-strip", "Data", (node, name) => {
      const rows = node.openworkExport ? node.openworkExport() : null;
      return rows && rows.length ? { CSV: () => save(`${name}.csv`, "text/csv", csv(rows)), JSON: () => save(`${name}.json`, "application/json", JSON.stringify(rows, null, 1)) } : null;
    });
    if (found.length) found.push({ what: "Panel", formats: { HTML: () => page(panel, base) } });
    return found;
  }

  function traces(plot) {
    const rows = [];
    for (const trace of plot.data) {
      const name = trace.name || trace.type || "", z = list(trace.z);
      if (z) z.forEach((row, y) => list(row).forEach((value, x) => rows.push({ trace: name, x: at(trace.x, x), y: at(trace.y, y), value: value })));
      else { const x = list(trace.x), y = list(trace.y); (y || x || []).forEach((_, i) => rows.push({ trace: name, x: at(x, i), y: at(y, i) })); }
    }
    return rows;
  }
  // Plotly may hold packed arrays ({dtype, bdata}) beside plain and typed ones; its own copy in _inputArray is unpacked.
  const list = (values) => (values === undefined || values === null ? null : values._inputArray ? Array.from(values._inputArray) : Array.isArray(values) || ArrayBuffer.isView(values) ? Array.from(values) : null);
  const at = (values, i) => { const found = list(values); return found ? found[i] : i; };

  function csv(rows) {
    const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    const cell = (value) => {
      if (value === null || value === undefined || (typeof value === "number" && !Number.isFinite(value))) return "";
      if (typeof value === "number" || typeof value === "boolean") return String(value);
      return `"${JSON.stringify(value).replace(/"/g, '""')}"`;
    };
    return [keys.join(","), ...rows.map((row) => keys.map((key) => cell(row[key])).join(","))].join("\r\n") + "\r\n";
  }

  function drawing(svg) {
    const copy = svg.cloneNode(true), from = [svg, ...svg.querySelectorAll("*")], to = [copy, ...copy.querySelectorAll("*")];
    from.forEach((node, i) => {
      const style = getComputedStyle(node);
      for (const key of ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-family", "font-size", "font-weight", "text-anchor"]) to[i].style.setProperty(key, style.getPropertyValue(key));
    });
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.style.background = getComputedStyle(document.documentElement).getPropertyValue("--ow-panel");
    return new XMLSerializer().serializeToString(copy);
  }

  function raster(svg, name) {
    const box = svg.getBoundingClientRect(), image = new Image(), canvas = document.createElement("canvas");
    canvas.width = 2 * box.width; canvas.height = 2 * box.height;
    image.onload = () => { canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height); canvas.toBlob((b) => save(name, "image/png", b)); };
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(drawing(svg));
  }

  // The panel as it looks, in one file without a script: figures become drawings, styles come along.
  async function page(panel, name) {
    const copy = panel.cloneNode(true);
    const plots = [...panel.querySelectorAll(".js-plotly-plot")], places = [...copy.querySelectorAll(".js-plotly-plot")];
    for (let i = 0; i < plots.length; i++) {
      const image = document.createElement("img");
      image.src = await window.Plotly.toImage(plots[i], { format: "svg" });
      places[i].replaceWith(image);
    }
    const canvases = [...panel.querySelectorAll("canvas")];
    [...copy.querySelectorAll("canvas")].forEach((canvas, i) => { const image = document.createElement("img"); image.src = canvases[i].toDataURL(); canvas.replaceWith(image); });
    copy.querySelectorAll("button, script, .mantine-SegmentedControl-root, .mantine-Slider-root, input, iframe, object, embed").forEach((n) => n.remove());
    let css = "";
    for (const sheet of document.styleSheets) {
      try { if (/\/assets\//.test(sheet.href || "")) css += [...sheet.cssRules].filter((r) => r.type !== CSSRule.FONT_FACE_RULE).map((r) => r.cssText).join("\n"); } catch (e) { /* not ours */ }
    }
    const file = document.implementation.createHTMLDocument(`${words(panel)} · Openwork`);
    file.documentElement.setAttribute("data-mantine-color-scheme", ow.present());
    const meta = file.createElement("meta"), policy = file.createElement("meta"), style = file.createElement("style");
    meta.setAttribute("charset", "utf-8");
    policy.setAttribute("http-equiv", "Content-Security-Policy");
    policy.setAttribute("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:");
    style.textContent = css.replace(/<\//g, "<\\/") + "\nbody { padding: 24px; } img { max-width: 100%; }";
    file.head.append(meta, policy, style);
    file.body.appendChild(file.adoptNode(copy));
    save(`${name}.html`, "text/html", "<!doctype html>\n" + file.documentElement.outerHTML);
  }

  function close() {
    if (!open) return;
    open.menu.remove(); open.button.setAttribute("aria-expanded", "false"); open = null;
  }

  function show(button) {
    const panel = button.closest(".ow-panel") || document.body, menu = ow.el("div", "ow-menu"), found = contents(panel);
    menu.setAttribute("role", "menu");
    if (!found.length) menu.appendChild(ow.el("h4", "", "Nothing to save yet"));
    for (const part of found) {
      menu.appendChild(ow.el("h4", "", part.what));
      for (const [format, run] of Object.entries(part.formats)) {
        const item = ow.el("button", "", format);
        item.type = "button"; item.setAttribute("role", "menuitem");
        item.addEventListener("click", () => { close(); run(); });
        menu.appendChild(item);
      }
    }
    document.body.appendChild(menu);
    const box = button.getBoundingClientRect(), high = menu.offsetHeight;
    menu.style.left = Math.max(8, box.right - menu.offsetWidth) + window.scrollX + "px";
    menu.style.top = (box.bottom + 4 + high > window.innerHeight && box.top > high ? box.top - high - 4 : box.bottom + 4) + window.scrollY + "px";
    button.setAttribute("aria-expanded", "true");
    open = { menu, button };
    const first = menu.querySelector("button");
    if (first) first.focus({ preventScroll: true });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest(".ow-export"), same = open && button === open.button;
    if (open && !open.menu.contains(event.target)) close();
    if (button && !same) show(button);
  });
  document.addEventListener("keydown", (event) => {
    if (!open) return;
    if (event.key === "Escape") { const button = open.button; close(); button.focus(); }
    const items = [...open ? open.menu.querySelectorAll("button") : []], step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && items.length) { event.preventDefault(); items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus(); }
  });
  ow.save = save;
  ow.csv = csv;
})();
