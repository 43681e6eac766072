// Search: "/" or the button in the header opens a dialog; what the server finds is written with textContent. Arrows choose, Enter
// opens, Esc closes. With nothing typed it offers the pages and the last prompts.
(function () {
  "use strict";
  const ow = window.openwork, WAIT = 90, LATER = 400;   // milliseconds after a key before the server is asked, and before it is asked once more
  let dialog = null, input = null, list = null, note = null, options = [], chosen = 0, timer = 0, asking = null, asked = null;

  function build() {
    dialog = ow.dialog("Search", "ow-search");
    const head = ow.el("div", "ow-search-head");
    input = ow.el("input");
    Object.assign(input, { type: "text", maxLength: 200, placeholder: "Pages, prompts, artifacts, labels, tokens, units like L5H3 or L4F650", spellcheck: false, autocomplete: "off" });
    for (const [name, value] of [["role", "combobox"], ["aria-label", "Search"], ["aria-controls", "ow-search-list"], ["aria-expanded", "true"], ["aria-autocomplete", "list"]]) input.setAttribute(name, value);
    head.append(ow.el("span", "ow-icon search"), input, ow.el("kbd", "", "Esc"));
    list = ow.el("div", "ow-search-list");
    list.id = "ow-search-list"; list.setAttribute("role", "listbox"); list.setAttribute("aria-label", "Found");
    note = ow.el("div", "ow-search-note");
    note.setAttribute("role", "status");
    dialog.append(head, list, note);
    input.addEventListener("input", () => { window.clearTimeout(timer); timer = window.setTimeout(ask, WAIT); });
    dialog.addEventListener("keydown", keyed);
    list.addEventListener("click", (event) => {
      const hit = event.target.closest("a");
      if (!hit || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      open(hit);
    });
    list.addEventListener("mousemove", (event) => { const hit = event.target.closest("a"); if (hit && options[chosen] !== hit) choose(options.indexOf(hit), false); });
    dialog.addEventListener("close", () => { window.clearTimeout(timer); if (asking) asking.abort(); });
  }

  function keyed(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && options.length) { event.preventDefault(); choose((chosen + step + options.length) % options.length, true); }
    else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      if (asked !== input.value) { window.clearTimeout(timer); ask().then(() => options[chosen] && open(options[chosen])); }
      else if (options[chosen]) open(options[chosen]);
    }
  }

  function open(hit) { dialog.close(); ow.go(hit.getAttribute("href")); }

  function choose(index, scroll) {
    chosen = index;
    options.forEach((hit, i) => hit.setAttribute("aria-selected", String(i === index)));
    const hit = options[index];
    if (!hit) { input.removeAttribute("aria-activedescendant"); return; }
    input.setAttribute("aria-activedescendant", hit.id);
    if (scroll) hit.scrollIntoView({ block: "nearest" });
  }

  async function ask() {
    const question = input.value, here = new URLSearchParams(window.location.search), query = new URLSearchParams({ q: question });
    for (const key of ["m", "p"]) if (ow.selection[{ m: "model", p: "prompt" }[key]] || here.get(key)) query.set(key, ow.selection[{ m: "model", p: "prompt" }[key]] || here.get(key));
    if (asking) asking.abort();
    asking = new AbortController();
    try {
      const answer = await window.fetch("/search?" + query, { signal: asking.signal, headers: { Accept: "application/json" } });
      const found = await answer.json();
      if (question !== input.value) return;
      show(found, question);
      asked = question;
      if (found.later) { note.textContent = "Tables of units are being opened…"; timer = window.setTimeout(() => { if (dialog.open) ask(); }, LATER); }
    } catch (error) {
      if (error.name !== "AbortError") show({ error: "The server does not answer. Is it still running?" }, question);
    }
  }

  function show(found, question) {
    const before = question === asked ? chosen : 0;   // asked once more: what comes is listed below
    options = [];
    list.replaceChildren();
    for (const group of found.groups || []) list.appendChild(section(group));
    list.scrollTop = 0;
    note.textContent = found.error || (options.length ? "" : `Nothing here holds “${question.trim()}”. Units are written L5H3 (head), L5N120 (neuron), L4F650 (latent).`);
    choose(Math.min(before, Math.max(0, options.length - 1)), false);
  }

  function section(group) {
    const box = ow.el("div", "ow-search-group"), head = ow.el("h3", "", group.name);
    box.setAttribute("role", "group"); box.setAttribute("aria-label", group.name);
    if (group.more) head.appendChild(ow.el("span", "", `${group.more} more; add a word`));
    box.appendChild(head);
    for (const hit of group.hits) {
      if (!/^\/(?!\/)/.test(hit.href)) continue;          // our own pages and nothing else
      const link = ow.el("a"), words = ow.el("span", "words"), title = ow.el("span", "title"), small = ow.el("span", "note", hit.note);
      link.href = hit.href; link.id = `ow-hit-${options.length}`; link.tabIndex = -1; link.setAttribute("role", "option");
      title.textContent = hit.title;
      title.dir = "auto"; small.dir = "auto";
      words.append(title, small);
      link.append(ow.el("span", `ow-icon small ${/^[a-z]+$/.test(hit.icon) ? hit.icon : "arrow"}`), words);
      options.push(link);
      box.appendChild(link);
    }
    return box;
  }

  ow.search = function () {
    if (!dialog) build();
    if (dialog.open) return;
    input.value = ""; asked = null; options = []; list.replaceChildren(); note.textContent = "";
    dialog.showModal();
    input.focus();
    ask();
  };
  document.addEventListener("click", (event) => { if (event.target.closest && event.target.closest("#search-button")) ow.search(); });
})();
