// Reaching things without a mouse: lists that are one stop, popouts that close, the link that skips the frame.
(function () {
  "use strict";
  const ow = window.openwork;

  // `ow.rove(box, selector, keys)`: of what the selector finds in `box`, one has the Tab stop; keys move it ({ArrowDown: 1, ArrowUp: -1}),
  // Home and End go to the ends. Call it again when the box is drawn anew.
  ow.rove = function (box, selector, keys) {
    const items = () => [...box.querySelectorAll(selector)];
    const stop = (one, all) => { for (const item of all) { const at = item === one ? "0" : "-1"; if (item.getAttribute("tabindex") !== at) item.setAttribute("tabindex", at); } };
    const all = items();
    if (all.length) stop(all.find((item) => item === document.activeElement || item.classList.contains("selected")) || all[0], all);
    const known = box.openworkRoving = box.openworkRoving || new Set();
    if (known.has(selector)) return;
    known.add(selector);
    box.addEventListener("focusin", (event) => { const one = event.target.closest(selector); if (one) stop(one, items()); });
    box.addEventListener("keydown", (event) => {
      const one = event.target.closest && event.target.closest(selector);
      if (!one || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.defaultPrevented) return;
      const list = items(), at = list.indexOf(one), next = event.key === "Home" ? 0 : event.key === "End" ? list.length - 1 : event.key in keys ? at + keys[event.key] : null;
      if (next === null) return;
      event.preventDefault();
      const to = list[Math.max(0, Math.min(list.length - 1, next))];
      to.focus({ preventScroll: true });
      if (to.scrollIntoView && !(to instanceof SVGElement)) to.scrollIntoView({ block: "nearest" });
    });
  };

  // Popouts: a press elsewhere and Esc close them; Esc gives the focus back. A menu of a field inside stands elsewhere in the document.
  const opened = () => [...document.querySelectorAll("details.ow-popout[open]")];
  const inMenu = (node) => node.closest && node.closest("[data-portal], .mantine-Popover-dropdown, .mantine-Combobox-dropdown, dialog");
  const EDGE = 8;   // pixels kept free at the window's sides
  function within(popout) {
    const body = popout.querySelector(".ow-popout-body");
    if (!body) return;
    body.style.translate = "";
    const box = body.getBoundingClientRect(), most = document.documentElement.clientWidth - EDGE, shift = box.right > most ? most - box.right : 0;
    body.style.translate = `${box.left + shift < EDGE ? EDGE - box.left : shift}px`;
  }
  document.addEventListener("toggle", (event) => { if (event.target.matches && event.target.matches("details.ow-popout[open]")) within(event.target); }, true);
  window.addEventListener("resize", () => opened().forEach(within));
  document.addEventListener("pointerdown", (event) => {
    for (const popout of opened()) if (!popout.contains(event.target) && !inMenu(event.target)) popout.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || (event.target.getAttribute && event.target.getAttribute("aria-expanded") === "true")) return;
    const popout = opened().pop();
    if (!popout || inMenu(event.target)) return;
    event.preventDefault();
    popout.open = false;
    popout.querySelector("summary").focus({ preventScroll: true });
  });

  // Mantine gives each of the six corners where notices appear the one id; it is only asked for by the first.
  ow.atArrival(() => { for (const corner of [...document.querySelectorAll("#notices")].slice(1)) corner.removeAttribute("id"); });

  document.addEventListener("click", (event) => {
    if (!(event.target.closest && event.target.closest(".ow-skip"))) return;
    event.preventDefault();
    const heading = document.querySelector("#page h1");
    if (heading) { heading.tabIndex = -1; heading.focus(); }
  });
})();
