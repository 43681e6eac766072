// What stands in the way of a keyboard or a screen reader on this page, in words; an empty list where nothing does.
() => {
  const seen = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility === "visible";
  const all = (selector) => [...document.querySelectorAll(selector)], wrong = [];
  const told = (e) => `${e.tagName.toLowerCase()}${e.id ? "#" + e.id : ""}.${e.getAttribute("class") || ""}`.slice(0, 70);
  const label = (e) => (e.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id)).filter(Boolean).map((n) => n.textContent).join(" ");
  const name = (e) => (label(e) || e.getAttribute("aria-label") || (e.labels && [...e.labels].map((l) => l.textContent).join(" ")) || e.textContent || e.title || e.placeholder || e.alt || "").trim();

  if (all("main").length !== 1) wrong.push(`${all("main").length} main`);
  if (all("h1").filter(seen).length !== 1) wrong.push(`${all("h1").length} h1`);
  const ids = new Map(), drawn = (id) => all(`[id="${CSS.escape(id)}"]`).every((e) => e.closest("svg"));
  for (const e of all("[id]")) ids.set(e.id, (ids.get(e.id) || 0) + 1);
  for (const [id, count] of ids) if (count > 1 && !drawn(id)) wrong.push(`${count} times the id ${id}`);

  const stops = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]";
  for (const e of all(stops)) {
    if (!seen(e) || e.tabIndex < 0 || e.disabled || e.closest(".ag-root-wrapper")) continue;   // AG Grid has a way of its own
    const outer = e.parentElement.closest("a[href], button, summary, [role=button]");
    if (outer) wrong.push(`${told(e)} within ${told(outer)}: two stops for one thing`);
    if (!name(e)) wrong.push(`${told(e)} has no name`);
  }
  for (const e of all("button:not([aria-hidden=true])").filter(seen)) if (!name(e)) wrong.push(`${told(e)} has no name`);
  const names = all(".ow-export").filter(seen).map(name);
  for (const one of new Set(names)) if (names.filter((n) => n === one).length > 1 || one === "Save") wrong.push(`${names.filter((n) => n === one).length} buttons called ${one}`);
  for (const e of all(".js-plotly-plot, canvas, svg.ow-svg").filter(seen)) {
    const named = e.closest("[role=img], [role=group], [role=listbox]");
    if (!named || !name(named)) if (!e.closest("[aria-hidden=true]")) wrong.push(`${told(e)} in ${told(e.parentElement.parentElement)} has no name`);
  }
  for (const box of all(".ow-rows-box, .ow-subgraph, [role=listbox]").filter(seen)) {
    const rows = [...box.querySelectorAll("tr, g[data-id], [role=option]")].filter((e) => e.tabIndex === 0 && e.hasAttribute("tabindex"));
    if (rows.length > 1) wrong.push(`${told(box)} is ${rows.length} stops`);
    if (!rows.length && box.querySelector("tr.click, g[data-id]")) wrong.push(`${told(box)} cannot be reached`);
  }
  return wrong;
}
