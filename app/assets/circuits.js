// The list of circuits: filtered here, two of them compared, one deleted (into the trash), files sent to be imported.
(function () {
  "use strict";
  const ow = window.openwork;
  const marked = [];                                // names of the graphs to compare, at most two
  let state = { data: null, asked: "", sure: null };

  const columns = ["", "prompt", "model", "basis", "nodes", "edges", "replacement", "made", ""];
  const count = (value) => (value === null || value === undefined ? "" : value.toLocaleString("en"));

  function button(words, cls, handler, hint) {
    const b = ow.el("button", "ow-button " + (cls || ""), words);
    b.type = "button"; if (hint) b.title = hint;
    b.addEventListener("click", handler);
    return b;
  }

  function link(row) {
    const a = ow.el("a", "prompt", row.prompt);
    a.href = row.href; a.dir = "auto";
    a.addEventListener("click", (event) => { if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return; event.preventDefault(); ow.go(row.href); });
    return a;
  }

  function does(row, tr) {
    const cell = ow.el("div", "does");
    if (state.sure === row.name) {
      cell.append(ow.el("span", "ow-partial", "Move to the trash?"), button("Delete", "bad", () => { state.sure = null; act({ delete: row.name }); }), button("Keep", "", () => { state.sure = null; draw(); }));
      window.requestAnimationFrame(() => { const keep = cell.lastChild; if (keep.isConnected) keep.focus({ preventScroll: true }); });
      return cell;
    }
    if (row.save) for (const [words, form] of row.forms) {
      const a = ow.el("a", "ow-button", words);
      a.href = `${row.save}${form}.json`; a.download = ""; a.title = `Download as ${words} JSON`;
      cell.appendChild(a);
    }
    if (row.result) return cell;                    // a result of a method: it is deleted where results are
    const b = button("", "", () => { state.sure = row.name; draw(); }, `Delete ${row.name}`);
    b.setAttribute("aria-label", `Delete ${row.name}`); b.appendChild(ow.el("span", "ow-icon trash small"));
    cell.appendChild(b);
    return cell;
  }

  function line(row) {
    const tr = ow.el("tr", row.damaged ? "damaged" : "");
    const cell = (content, cls) => { const td = ow.el("td", cls || ""); if (content instanceof Node) td.appendChild(content); else td.textContent = content === null || content === undefined ? "" : content; tr.appendChild(td); return td; };
    const box = ow.el("input");
    box.type = "checkbox"; box.checked = marked.includes(row.name); box.disabled = Boolean(row.damaged || (row.of_task && !row.circuit)); if (row.of_task && !row.circuit) box.title = "Scores are no circuit: choose edges by them first (choose-edges, greedy)";
    box.setAttribute("aria-label", `Compare ${row.name}`);
    box.addEventListener("change", () => { if (box.checked) marked.push(row.name); else marked.splice(marked.indexOf(row.name), 1); if (marked.length > 2) marked.shift(); draw(); });
    cell(box);
    if (row.damaged) {
      const td = cell(ow.el("div", "prompt", row.name));
      td.colSpan = 7; td.appendChild(ow.el("div", "sub", row.damaged));
    } else {
      const td = cell(link(row));
      td.appendChild(ow.el("div", "sub", row.name));
      cell(row.model); cell(row.basis); cell(count(row.nodes), "r"); cell(count(row.edges), "r"); cell(row.replacement === null ? "" : row.replacement.toFixed(3), "r"); cell(row.made);
    }
    cell(does(row, tr));
    return tr;
  }

  // Where two are compared: graphs of prompts on a page of their own, circuits of a task by their method, its form filled in.
  function besideOf(two) {
    const [a, b] = two.map((r) => encodeURIComponent(r.circuit || r.name));
    return two[0].circuit ? `${state.data.compare}?a_=${a}&b_=${b}&run=1` : `/circuits/${a}/beside/${b}`;
  }

  function shown() {
    const wanted = state.asked.trim().toLowerCase();
    const text = (r) => [r.name, r.prompt, r.model, r.basis].join("\n").toLowerCase();
    return state.data.rows.filter((r) => !wanted || wanted.split(/\s+/).every((w) => text(r).includes(w)));
  }

  function tools(rows) {
    const bar = ow.el("div", "ow-bar-tools"), field = ow.el("input", "ow-small-field");
    field.type = "search"; field.id = "circuits-filter"; field.placeholder = "Filter by prompt, name, model"; field.value = state.asked; field.style.width = "260px";
    field.setAttribute("aria-label", "Filter the circuits");
    field.addEventListener("input", () => { state.asked = field.value; keep(); draw(); });
    const two = marked.map((name) => state.data.rows.find((r) => r.name === name)), mixed = two.length === 2 && Boolean(two[0].circuit) !== Boolean(two[1].circuit);
    const beside = button(marked.length === 2 ? "Compare the two" : "Compare: mark two", "main", () => ow.go(besideOf(two)));
    beside.disabled = two.length !== 2 || mixed; beside.id = "circuits-compare";
    if (mixed) beside.title = "One is the graph of a prompt and one a circuit of a task: mark two of a kind";
    const words = rows.length === state.data.total ? `${count(rows.length)} stored` : `${count(rows.length)} of ${count(state.data.total)}`;
    bar.append(field, beside, ow.el("span", "ow-partial num", words));
    const said = state.data.said;
    if (said) {
      const note = ow.el("span", "ow-said" + (said.wrong ? " wrong" : ""), said.words + " ");
      note.setAttribute("role", "status");
      if (said.back) note.appendChild(button("Put it back", "", () => act({ back: said.back })));
      bar.appendChild(note);
    }
    return bar;
  }

  function draw() {
    const node = document.getElementById("circuits");
    if (!node || !state.data) return;
    const at = document.activeElement && document.activeElement.id === "circuits-filter" ? document.activeElement.selectionStart : null;
    for (const name of [...marked]) if (!state.data.rows.some((r) => r.name === name)) marked.splice(marked.indexOf(name), 1);
    const rows = shown(), table = ow.el("table", "ow-list"), head = ow.el("tr"), thead = ow.el("thead"), body = ow.el("tbody");
    for (const name of columns) { const th = ow.el("th", ["nodes", "edges", "replacement"].includes(name) ? "r" : "", name); th.scope = "col"; head.appendChild(th); }
    thead.appendChild(head);
    for (const row of rows) body.appendChild(line(row));
    table.append(thead, body);
    node.replaceChildren(tools(rows), rows.length ? table : ow.el("p", "ow-partial", "No circuit matches this filter."));
    node.openworkExport = () => rows.map((r) => ({ name: r.name, prompt: r.prompt, model: r.model, basis: r.basis, nodes: r.nodes, edges: r.edges, replacement: r.replacement, made: r.made }));
    if (at !== null) { const field = document.getElementById("circuits-filter"); field.focus({ preventScroll: true }); field.setSelectionRange(at, at); }
  }

  const act = (request) => window.dash_clientside.set_props("circuits-act", { data: Object.assign({ at: Date.now() }, request) });
  function keep() {
    const url = new URL(window.location.href);
    if (state.asked) url.searchParams.set("q", state.asked); else url.searchParams.delete("q");
    window.history.replaceState(window.history.state, "", url);
  }

  // -- a file to import ----------------------------------------------------------------------------------------------

  function say(words, wrong) {
    const node = document.getElementById("circuits-said");
    if (node) { node.textContent = words; node.className = "ow-said" + (wrong ? " wrong" : ""); }
  }

  async function send(file) {
    const largest = state.data ? state.data.largest : 64 << 20;
    if (file.size > largest) { say(`${file.name} has ${(file.size / 1e6).toFixed(0)} MB; up to ${largest >> 20} MB can be sent. Prune the graph, or import it in the shell.`, true); return; }
    say(`Reading ${file.name} …`);
    try {
      const answer = await fetch(`/import/graph?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
      if (!answer.ok) { say(await answer.text(), true); return; }
      const found = await answer.json();
      if (found.refused) say(found.refused, true); else ow.go(found.href);
    } catch (error) { say("The file could not be sent: the dashboard does not answer. Is it still running?", true); }
  }

  let picker = null;
  document.addEventListener("click", (event) => {
    if (!event.target.closest || !event.target.closest("#circuits-drop label")) return;
    event.preventDefault();
    if (!picker) { picker = ow.el("input"); picker.type = "file"; picker.accept = ".json,application/json"; picker.hidden = true; picker.id = "circuits-file-field"; document.body.appendChild(picker); picker.addEventListener("change", () => { if (picker.files.length) send(picker.files[0]); picker.value = ""; }); }
    picker.click();
  });
  document.addEventListener("keydown", (event) => { if ((event.key === "Enter" || event.key === " ") && event.target.closest && event.target.closest("#circuits-drop label")) { event.preventDefault(); event.target.closest("label").click(); } });
  for (const kind of ["dragover", "dragleave", "drop"]) document.addEventListener(kind, (event) => {
    const box = event.target.closest ? event.target.closest("#circuits-drop") : null;
    if (!box) return;
    event.preventDefault();
    box.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) send(event.dataTransfer.files[0]);
  });

  window.dash_clientside.openwork.circuits = function (data, asked) {
    if (!data) return window.dash_clientside.no_update;
    const first = !state.data;
    state.data = data;
    const query = new URL(window.location.href).searchParams.get("q");
    state.asked = query === null ? (first ? asked || "" : "") : query;
    state.sure = null;
    draw();
    const label = document.querySelector("#circuits-drop label");
    if (label) { label.tabIndex = 0; label.setAttribute("role", "button"); }
    return String(data.rows.length);
  };

  // Two graphs beside each other: a click on a node opens its graph there.
  Object.assign(window.dash_clientside.openwork, {
    besideClicked: function (data, names) {
      const at = data && data.points && data.points[0] ? data.points[0].customdata : undefined, node = Array.isArray(at) ? at[0] : at;
      const out = window.dash_clientside.callback_context.outputs_list.id;
      if (Number.isInteger(node) && names) ow.go(`/circuits/${encodeURIComponent(names[out === "pair-b-clicked" ? 1 : 0])}?n=${node}`);
      return window.dash_clientside.no_update;
    },
  });
})();
