// The training page: a click on a run shows or hides it; what is shown stands in the address.
(function () {
  "use strict";
  const ow = window.openwork, MOST = 24;

  // The selection's `run` is a click, not a state: it is taken out again, so that the next click on the same row counts.
  window.dash_clientside.openwork.toggleRun = function (selection, chosen) {
    const name = selection && selection.run;
    if (!name) return window.dash_clientside.no_update;
    delete selection.run;
    delete ow.selection.run;
    if (chosen.includes(name)) return chosen.filter((n) => n !== name);
    return chosen.length >= MOST ? window.dash_clientside.no_update : [...chosen, name];
  };

  window.dash_clientside.openwork.keepRuns = function (chosen) {
    const url = new URL(window.location.href);
    url.searchParams.set("runs", chosen.map(encodeURIComponent).join(","));
    if (url.href !== window.location.href) window.history.replaceState(window.history.state, "", url);
    return window.dash_clientside.no_update;
  };
})();
