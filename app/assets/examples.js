// Examples of a unit: {groups: [{name, examples: [{tokens, ids, values, peak, value, where}]}], lo, hi, label}.
// "snippet": one line each, the peaks below one another; "full": the whole window, wrapped. One listener for all tokens.
(function () {
  "use strict";
  const ow = window.openwork, AROUND = 7;

  function line(data, example, full) {
    const row = ow.el("div", "ow-example" + (full ? " full" : ""));
    row.appendChild(ow.el("span", "value num", ow.number(example.value)));
    const strip = { tokens: example.tokens, values: example.values, lo: data.lo, hi: data.hi };
    const box = (i) => { const token = ow.tokenBox(strip, i, -1); token.removeAttribute("role"); token.removeAttribute("aria-selected"); delete token.dataset.i; if (i === example.peak) token.classList.add("peak"); return token; };
    const put = (parent, from, to) => { for (let i = Math.max(0, from); i < Math.min(example.tokens.length, to); i++) parent.appendChild(box(i)); };
    if (full) { const all = ow.el("span", "text"); put(all, 0, example.tokens.length); row.appendChild(all); }
    else {
      const before = ow.el("span", "before"), after = ow.el("span", "after"), inner = ow.el("span", "inner");
      put(inner, example.peak - AROUND, example.peak);
      before.appendChild(inner);
      put(after, example.peak, example.peak + AROUND + 1);
      row.append(before, after);
    }
    row.openworkExample = example;
    return row;
  }

  function draw(node, data, full) {
    const all = document.createDocumentFragment();
    for (const group of data.groups) {
      const part = ow.el("section", "ow-example-group");
      part.appendChild(ow.el("h3", "", group.name));
      for (const example of group.examples) part.appendChild(line(data, example, full));
      all.appendChild(part);
    }
    if (!data.groups.length) all.appendChild(ow.el("p", "ow-sub", data.empty || "No examples."));
    node.replaceChildren(all);
    node.openworkData = data;
    node.openworkExport = () => data.groups.flatMap((group) => group.examples.map((e) => ({ group: group.name, value: e.value, where: e.where, peak: e.peak, text: e.tokens.join(""), tokens: e.tokens, activations: e.values })));
    listen(node);
  }

  function listen(node) {
    if (node.dataset.listening) return;
    node.dataset.listening = "1";
    const hit = (event) => (event.target.closest ? event.target.closest(".ow-tok") : null);
    node.addEventListener("mousemove", (event) => {
      const token = hit(event);
      if (!token) { ow.hideTip(); return; }
      const example = token.closest(".ow-example").openworkExample, i = Number(token.dataset.at);
      ow.showTip(event, [JSON.stringify(example.tokens[i]), `${node.openworkData.label} ${ow.number(example.values[i])}`, `token ${example.ids[i]}`, example.where].join("\n"));
    });
    node.addEventListener("mouseleave", ow.hideTip);
    node.addEventListener("click", (event) => { const token = hit(event); if (token) token.classList.toggle("selected"); });
  }

  window.dash_clientside.openwork.examples = function (data, view) {
    const node = ow.target();
    if (!node || !data) return window.dash_clientside.no_update;
    draw(node, data, view === "full");
    ow.putInAddress({ view: view === "full" ? "full" : null });
    return view;
  };

  // The page of a unit: arrow keys move between units.
  const page = /^\/units\/(table|neuron|latent)\/[^/]+\/\d+/;
  const press = (id) => () => { const node = document.getElementById(id); if (!node || !node.getAttribute("href")) return false; node.click(); return true; };
  for (const [key, words, id] of [["ArrowLeft", "Previous unit", "unit-previous"], ["ArrowRight", "Next unit", "unit-next"], ["ArrowUp", "The same number a layer up", "unit-up"], ["ArrowDown", "The same number a layer down", "unit-down"]]) {
    if (ow.key) ow.key(key, words, press(id), { page });
  }
})();
