// Every head's pattern as a thumbnail, all on one canvas: {data (base64 of uint8), layers, heads, side, metrics, names}.
(function () {
  "use strict";
  const ow = window.openwork, LEFT = 34, TOP = 20, GAP = 3;
  let ramp = null;   // 256 colours from no attention to all of it, between the stops that the stylesheet names (20-heads.css)

  function ramped(style) {
    const stops = style.getPropertyValue("--heads-attention-ramp").split(",").map((stop) => stop.trim().split(" ").map(Number)), found = new Uint8Array(256 * 3);
    for (let i = 0; i < 256; i++) {
      const at = i / 255 * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2), part = at - low;
      for (let c = 0; c < 3; c++) found[3 * i + c] = Math.round(stops[low][c] * (1 - part) + stops[low + 1][c] * part);
    }
    return found;
  }

  const drawn = new Map();

  function bytes(text) {
    const raw = window.atob(text), out = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out;
  }

  // Layers run to the right when there are more of them than heads, so that the picture is wide and not tall.
  function place(data, width) {
    const wide = data.layers >= data.heads, across = wide ? data.layers : data.heads, down = wide ? data.heads : data.layers;
    const cell = Math.max(18, Math.min(72, Math.floor((width - LEFT) / across) - GAP));
    return { wide, across, down, cell, pitch: cell + GAP };
  }

  function draw(node, data, selected, metric) {
    let canvas = node.querySelector("canvas");
    if (!canvas) { canvas = document.createElement("canvas"); canvas.setAttribute("role", "img"); canvas.tabIndex = 0; node.replaceChildren(canvas); listen(node, canvas); }
    canvas.setAttribute("aria-label", `Attention patterns of ${data.layers} layers with ${data.heads} heads each; the selected head is ${selected || "none"}`);
    const g = place(data, node.clientWidth), scale = window.devicePixelRatio || 1;
    const wide = LEFT + g.across * g.pitch, high = TOP + g.down * g.pitch;
    canvas.width = wide * scale; canvas.height = high * scale; canvas.style.width = wide + "px"; canvas.style.height = high + "px";
    const pen = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    pen.scale(scale, scale); pen.clearRect(0, 0, wide, high);
    ramp = ramp || ramped(style);
    labels(pen, g, style.getPropertyValue("--heads-axis-label"));
    const all = bytes(data.data), n = data.side, tile = document.createElement("canvas"), scores = metric && data.metrics[metric];
    tile.width = tile.height = n;
    const brush = tile.getContext("2d"), image = brush.createImageData(n, n);
    pen.imageSmoothingEnabled = n > g.cell;
    for (let layer = 0; layer < data.layers; layer++) for (let head = 0; head < data.heads; head++) {
      const index = layer * data.heads + head, from = index * n * n;
      for (let i = 0; i < n * n; i++) {
        const v = all[from + i], to = 4 * i, above = (i % n) > Math.floor(i / n);
        image.data[to] = ramp[3 * v]; image.data[to + 1] = ramp[3 * v + 1]; image.data[to + 2] = ramp[3 * v + 2]; image.data[to + 3] = above ? 0 : 255;
      }
      brush.putImageData(image, 0, 0);
      const x = LEFT + (g.wide ? layer : head) * g.pitch, y = TOP + (g.wide ? head : layer) * g.pitch;
      pen.globalAlpha = scores ? .3 + .7 * scores[index] : 1;
      pen.drawImage(tile, x, y, g.cell, g.cell);
      pen.globalAlpha = 1;
      if (scores && scores[index] > .5) frame(pen, x, y, g.cell, style.getPropertyValue("--heads-high-score-outline"), 1.5);
      if (`${layer}.${head}` === selected) frame(pen, x, y, g.cell, style.getPropertyValue("--heads-selected-outline"), 3);
    }
    drawn.set(node.id, { data, g });
    node.classList.add("ow-data");
    node.openworkExport = () => Array.from({ length: data.layers * data.heads }, (_, i) => Object.assign({ layer: Math.floor(i / data.heads), head: i % data.heads }, ...Object.entries(data.raw).map(([name, values]) => ({ [name]: values[i] }))));
  }

  function frame(pen, x, y, cell, color, width) {
    pen.strokeStyle = color; pen.lineWidth = width; pen.strokeRect(x - .5, y - .5, cell + 1, cell + 1);
  }

  function labels(pen, g, color) {
    pen.fillStyle = color; pen.font = "11px Inter, sans-serif"; pen.textBaseline = "middle";
    const every = g.pitch < 26 ? 2 : 1;
    pen.textAlign = "center";
    for (let i = 0; i < g.across; i += every) pen.fillText((g.wide ? "L" : "H") + i, LEFT + i * g.pitch + g.cell / 2, TOP / 2);
    pen.textAlign = "right";
    for (let i = 0; i < g.down; i++) pen.fillText((g.wide ? "H" : "L") + i, LEFT - 8, TOP + i * g.pitch + g.cell / 2);
  }

  function find(node, event) {
    const { data, g } = drawn.get(node.id), x = Math.floor((event.offsetX - LEFT) / g.pitch), y = Math.floor((event.offsetY - TOP) / g.pitch);
    if (event.offsetX < LEFT || event.offsetY < TOP || x < 0 || y < 0 || x >= g.across || y >= g.down) return null;
    return { layer: g.wide ? x : y, head: g.wide ? y : x, data };
  }

  function listen(node, canvas) {
    canvas.addEventListener("click", (event) => { const hit = find(node, event); if (hit) ow.select({ head: `${hit.layer}.${hit.head}` }); });
    canvas.addEventListener("mousemove", (event) => {
      const hit = find(node, event);
      if (!hit) { ow.hideTip(); return; }
      const lines = [`L${hit.layer}H${hit.head}`], index = hit.layer * hit.data.heads + hit.head;
      for (const [name, label] of Object.entries(hit.data.names)) lines.push(`${label} ${ow.number(hit.data.raw[name][index])}`);
      ow.showTip(event, lines.join("\n"));
    });
    canvas.addEventListener("mouseleave", ow.hideTip);
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      const { data, g } = drawn.get(node.id), [layer, head] = (ow.selection.head || "0.0").split(".").map(Number);
      const next = [layer + (g.wide ? step[0] : step[1]), head + (g.wide ? step[1] : step[0])];
      ow.select({ head: `${Math.max(0, Math.min(data.layers - 1, next[0]))}.${Math.max(0, Math.min(data.heads - 1, next[1]))}` });
    });
    new ResizeObserver(() => { const last = drawn.get(node.id); if (last && node.isConnected && place(last.data, node.clientWidth).cell !== last.g.cell) draw(node, last.data, ow.selection.head, last.metric); }).observe(node);
  }

  window.dash_clientside.openwork.heads = function (data, selection, metric, _scheme) {
    const node = ow.target();
    if (!node || !data) return window.dash_clientside.no_update;
    ow.whenWide(node, () => { draw(node, data, selection && selection.head, metric === "none" ? null : metric); drawn.get(node.id).metric = metric === "none" ? null : metric; });
    return `${data.layers}x${data.heads}`;
  };
})();
