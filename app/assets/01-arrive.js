// Arriving at a page, whichever way it was asked for: a link, a row, a key, the search, a callback, back and forward.
//
// A new page opens at its top, an old one (back, forward, a reload) where it was left, another view of the same page where it is.
// The heading gets the focus, so that a screen reader says it and Tab goes on from there, and the browser's tab is named after it.
//
// Every way there passes `history.pushState` or is a real `popstate`; the content comes later, from the server. So each entry of the
// history has a key, where it was left is written down under it, and `arrived` (when the content stands) does the rest.
(function () {
  "use strict";
  const ow = window.openwork, PATIENCE = 4000, SHELF = "openwork-places";   // milliseconds in which a page may grow to where it was left
  const then = [];                                                          // what is done when another page stands
  const longest = 80;                                                       // characters of a heading in the browser's tab
  let key = null, coming = "first", from = 0, naming = null, waiting = null, first = true, count = 0;

  const places = (() => { try { return JSON.parse(sessionStorage.getItem(SHELF)) || {}; } catch (e) { return {}; } })();
  const fresh = () => Math.random().toString(36).slice(2, 10);
  const page = () => { const query = new URLSearchParams(location.search); return [location.pathname, query.get("m"), query.get("p")].join(" "); };
  let shown = page();

  // What a page shows now stands in the address without the router's knowledge (`replaceState`), so a link to the address that it
  // was opened by is no other address to the router: then it is told to make the page anew.
  const address = () => location.pathname + location.search;
  let opened = address(), anew = 0;

  function enter(known) {
    key = known || fresh();
    if (!known) window.history.replaceState(Object.assign({}, window.history.state, { openwork: key }), "");
  }

  if ("scrollRestoration" in window.history) window.history.scrollRestoration = "manual";
  enter((window.history.state || {}).openwork);
  if (key in places) coming = "back";

  const push = window.history.pushState.bind(window.history);
  window.history.pushState = function (state, unused, url) {
    places[key] = from = window.scrollY;
    key = fresh();
    push(Object.assign({}, state, { openwork: key }), unused, url);
    coming = page() === shown ? "same" : "new";
    if (address() === opened) window.dash_clientside.set_props("anew", { data: anew += 1 });
    opened = address();
  };

  window.addEventListener("popstate", (event) => {
    opened = address();
    if (!event.isTrusted || (event.state || {}).openwork === key) return;   // ours, or only another fragment
    if (!coming) places[key] = window.scrollY;
    enter((event.state || {}).openwork);
    coming = "back";
  });
  window.addEventListener("pagehide", () => {
    places[key] = window.scrollY;
    try { sessionStorage.setItem(SHELF, JSON.stringify(Object.fromEntries(Object.entries(places).slice(-60)))); } catch (e) { /* forbidden */ }
  });

  // Go to `y` as soon as the page is long enough, unless somebody moves first.
  function restore(y) {
    const until = performance.now() + PATIENCE, moved = waiting = new AbortController(), signal = moved.signal;
    for (const sign of ["wheel", "touchstart", "keydown", "mousedown"]) window.addEventListener(sign, () => moved.abort(), { passive: true, signal });
    const go = () => {
      if (signal.aborted) return;
      window.scrollTo(0, y);
      if (Math.abs(window.scrollY - y) > 2 && performance.now() < until) window.requestAnimationFrame(go); else moved.abort();
    };
    go();
  }

  function name(heading, words) {
    const about = heading ? heading.textContent.trim() : "";
    const own = about && about !== words && window.location.pathname !== "/" ? [about.length > longest ? about.slice(0, longest) + "…" : about] : [];
    document.title = [...own, words, "Openwork"].join(" · ");
  }

  function settle(words) {
    const heading = document.querySelector("#page h1"), how = coming;
    coming = null;
    shown = page();
    document.getElementById("page").dataset.arrived = String(count += 1);
    if (waiting) waiting.abort();
    for (const run of then) run();
    if (naming) naming.disconnect();
    name(heading, words);
    if (!heading) return;
    naming = new MutationObserver(() => name(heading, words));
    naming.observe(heading, { childList: true, characterData: true, subtree: true });
    if (how === "new") window.scrollTo(0, 0);
    if (how === "back") restore(places[key] || 0);
    if (how === "same") restore(from);
    const lost = !document.activeElement || document.activeElement === document.body;
    if (how === "new" || how === "back" ? !first : how === "same" && lost) focus(heading);
    first = false;
  }

  // What else is to be done when a page stands: let go of what belonged to the one before, settle its figures.
  ow.atArrival = (run) => then.push(run);

  function focus(heading) {
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }

  // What came stands in the page only after React has drawn it.
  window.dash_clientside.openwork.arrived = function (_content, words) {
    ow.afterPaint(() => settle(words));
    return window.dash_clientside.no_update;
  };
})();
