// Every text on the page whose contrast with what it stands on is under WCAG's AA: 4.5, or 3 for large text. Backgrounds are laid over
// each other as the browser does. Left out: what is disabled or hidden, and words in the cells of a heat map, whose ground no style tells.
() => {
  const parse = (text) => {
    const v = (text.match(/[\d.]+/g) || []).map(Number), unit = text.startsWith("color(") ? 255 : 1;
    return [v[0] * unit, v[1] * unit, v[2] * unit, v.length > 3 ? v[3] : 1];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
  const linear = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = (c) => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const above = (e) => { const found = []; for (; e; e = e.parentElement) found.push(e); return found; };

  function ground(e) {
    const layers = [];
    for (const one of above(e)) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reduceRight((under, top) => over(top, under), [255, 255, 255]);
  }

  const exempt = (e) => e.closest(":disabled, [data-disabled], [aria-disabled='true'], [aria-hidden='true'], .heatmap-label") || !e.getClientRects().length;
  const failed = [];
  let count = 0;
  function judge(e, words, colour, style) {
    const opacity = above(e).reduce((product, one) => product * Number(getComputedStyle(one).opacity), 1);
    if (!opacity || style.visibility !== "visible") return;
    count += 1;
    const under = ground(e instanceof SVGElement ? e.closest("div") : e);
    const got = ratio(over([...colour.slice(0, 3), colour[3] * opacity], under), under), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (got < (large ? 3 : 4.5) - 0.005) failed.push(`${got.toFixed(2)} ${e.tagName}.${e.getAttribute("class")} “${words.trim().slice(0, 30)}”`);
  }

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement, style = getComputedStyle(e);
    if (!node.data.trim() || exempt(e) || (e instanceof SVGElement && style.fill === "none")) continue;
    const colour = parse(e instanceof SVGElement ? style.fill : style.color);
    judge(e, node.data, e instanceof SVGElement ? [...colour.slice(0, 3), colour[3] * Number(style.fillOpacity)] : colour, style);
  }
  for (const e of document.querySelectorAll("input[placeholder], textarea[placeholder]")) {
    const style = getComputedStyle(e, "::placeholder"), colour = parse(style.color);
    if (!exempt(e)) judge(e, e.placeholder, [...colour.slice(0, 3), colour[3] * Number(style.opacity)], getComputedStyle(e));
  }
  return { count, failed };
}
