// Keys: one registry, one listener, and the help that lists them.
//
//   ow.key(key, description, handler, {page, group})
//
// key          as `event.key` names it: "p", "?", "ArrowLeft", "Escape"; "Ctrl+z" and "Ctrl+Shift+z" (the Mac's command key counts as
//              Ctrl); "g h" is g, then h. An array of keys means any of them. Letters are told from capitals ("G" is Shift and g).
// description  what it does, in a few words, for the help.
// handler      called with the event; the browser's own action is prevented. A handler that returns false has not handled it: the next
//              one is tried (so a page may take "g" when there is something to group, and leave it to "g h" otherwise).
//              null: the key is only listed (something else listens, such as a focused token strip).
// page         a regular expression on the path, or the beginning of a path: the key works and is listed there only, before keys
//              that work everywhere. Without it: everywhere.
// group        heading in the help; "This page" or "Everywhere" without it.
//
// Register once, when the file loads; it returns a function that takes the key back. Nothing happens while somebody types, while a
// dialog is open, with other modifiers held, or where a focused element used the key itself (preventDefault).
(function () {
  "use strict";
  const ow = window.openwork, registry = [], PATIENCE = 1500;   // milliseconds between the keys of a sequence
  let begun = null;                                              // {key, until}: the first key of a sequence

  const moves = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown", "Enter", " "]);
  const typing = "textarea, select, [contenteditable='true'], [role='combobox'], [role='textbox'], input:not([type='radio']):not([type='checkbox']):not([type='range']):not([type='button'])";
  const moving = "input, [role='slider'], [role='radio'], [role='tab'], [role='option'], [role='menuitem'], [role='listbox'], .ag-root-wrapper, .ow-menu";

  ow.key = function (key, description, handler, options) {
    const page = (options || {}).page;
    const entry = {
      keys: Array.isArray(key) ? key : [key], description, handler,
      here: page === undefined ? () => true : page instanceof RegExp ? () => page.test(window.location.pathname) : () => window.location.pathname.startsWith(page),
      local: page !== undefined, group: (options || {}).group || (page === undefined ? "Everywhere" : "This page"),
    };
    registry.push(entry);
    return () => { const i = registry.indexOf(entry); if (i >= 0) registry.splice(i, 1); };
  };

  function nameOf(event) {
    const control = event.ctrlKey || event.metaKey, named = event.key.length > 1;
    return (control ? "Ctrl+" : "") + (event.altKey ? "Alt+" : "") + (event.shiftKey && (named || control) ? "Shift+" : "") + (control && !named ? event.key.toLowerCase() : event.key);
  }

  const taken = (target, key) => Boolean(target && target.closest && (target.closest(typing) || (moves.has(key) && target.closest(moving))));
  const candidates = (name) => [...registry].reverse().filter((e) => e.handler && e.here() && e.keys.includes(name)).sort((a, b) => b.local - a.local);

  function handled(name, event) {
    for (const entry of candidates(name)) if (entry.handler(event) !== false) { event.preventDefault(); return true; }
    return false;
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || !event.key || document.querySelector("dialog[open]") || taken(event.target, event.key)) return;
    if (["Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
    const name = nameOf(event), before = begun && Date.now() < begun.until ? begun.key : null;
    begun = null;
    if (before && handled(`${before} ${name}`, event)) return;
    if (handled(name, event)) return;
    if (registry.some((e) => e.handler && e.here() && e.keys.some((k) => k.startsWith(name + " ")))) begun = { key: name, until: Date.now() + PATIENCE };
  });

  // -- help ----------------------------------------------------------------------------------------------------------

  const shown = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", " ": "Space" };
  let help = null;

  function caps(keys) {
    const cell = ow.el("dt");
    keys.forEach((key, i) => {
      if (i) cell.appendChild(document.createTextNode(" or "));
      key.split(" ").forEach((part, n) => {
        if (n) cell.appendChild(document.createTextNode(" then "));
        for (const cap of part.split(/\+(?=.)/)) cell.appendChild(ow.el("kbd", "", shown[cap] || cap));
      });
    });
    return cell;
  }

  function section(name, entries) {
    const box = ow.el("section"), list = ow.el("dl");
    for (const entry of entries) list.append(caps(entry.keys), ow.el("dd", "", entry.description));
    box.append(ow.el("h3", "", name), list);
    return box;
  }

  ow.showKeys = function () {
    help = help || ow.dialog("Keys", "ow-keys");
    const groups = new Map(), close = ow.el("button", "ow-close"), head = ow.el("header");
    for (const entry of registry.filter((e) => e.here()).sort((a, b) => b.local - a.local)) groups.set(entry.group, [...(groups.get(entry.group) || []), entry]);
    close.type = "button"; close.setAttribute("aria-label", "Close"); close.appendChild(ow.el("span", "ow-icon close"));
    close.addEventListener("click", () => help.close());
    head.append(ow.el("h2", "", "Keys"), close);
    const body = ow.el("div", "ow-keys-body");
    for (const [name, entries] of groups) body.appendChild(section(name, entries));
    help.replaceChildren(head, body);
    if (!help.open) help.showModal();
  };

  // -- keys of every page --------------------------------------------------------------------------------------------

  const press = (id) => () => { const node = document.getElementById(id); if (!node) return false; node.click(); return true; };
  ow.key(["/", "Ctrl+k"], "Search", () => ow.search());
  ow.key("?", "This list", ow.showKeys);
  ow.key("d", "Light or dark", press("toggle"));
  ow.key("Escape", "Close what is open", null);
  ow.key(["ArrowLeft", "ArrowRight"], "Previous or next token, in a focused strip", null);
  ow.key(["ArrowUp", "ArrowDown"], "Previous or next row, in a focused table", null);
  for (const [key, place, name] of [["h", "home", "Home"], ["p", "prompt", "Prompts"], ["a", "heads", "Attention heads"], ["u", "units", "Neurons and features"],
    ["l", "lens", "Lens"], ["c", "circuit", "Circuits"], ["x", "patching", "Patching"], ["t", "training", "Training"], ["m", "methods", "Methods"], ["j", "jobs", "Jobs"]])
    ow.key(`g ${key}`, name, press(`nav-${place}`), { group: "Go to" });
  document.addEventListener("click", (event) => { if (event.target.closest && event.target.closest("#keys-button")) ow.showKeys(); });
})();
