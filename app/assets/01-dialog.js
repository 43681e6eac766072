// A dialog of our own: `ow.dialog(label, class)` makes a closed one, `showModal()` opens it. The browser's <dialog> makes the rest
// of the page inert, closes on Esc and gives the focus back; here Tab stays inside and a click beside it closes it.
(function () {
  "use strict";
  const ow = window.openwork;
  const reachable = "a[href], button:not([disabled]), input:not([disabled]), textarea, select, summary, [tabindex]:not([tabindex='-1'])";

  function turn(event, node) {
    if (event.key !== "Tab") return;
    const stops = [...node.querySelectorAll(reachable)].filter((n) => n.tabIndex >= 0 && n.offsetParent !== null);
    if (!stops.length) { event.preventDefault(); return; }
    const first = stops[0], last = stops[stops.length - 1], now = document.activeElement;
    if (event.shiftKey ? now === first || now === node : now === last) { event.preventDefault(); (event.shiftKey ? last : first).focus(); }
  }

  ow.dialog = function (label, cls) {
    const node = ow.el("dialog", "ow-dialog " + (cls || ""));
    node.setAttribute("aria-label", label);
    node.addEventListener("mousedown", (event) => { if (event.target === node) node.close(); });   // beside its content is the backdrop
    node.addEventListener("keydown", (event) => turn(event, node));
    document.body.appendChild(node);
    return node;
  };
})();
