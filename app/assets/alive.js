// A banner while the server does not answer. A question of ours that never reaches it starts asking `/alive` every second; the first
// answer takes the banner away and the page goes on where it was. An answer that says no does not count, but for one: a page behind a
// proxy that rewrites addresses is refused everything it asks, so the reason is shown as the server gives it.
(function () {
  "use strict";
  const ow = window.openwork, ask = window.fetch.bind(window), PAUSE = 1200;
  let banner = null, watching = false, leaving = false;

  window.addEventListener("pagehide", () => { leaving = true; });
  window.addEventListener("pageshow", () => { leaving = false; });

  window.fetch = function (...what) {
    const answer = ask(...what);
    answer.then((r) => { if (r.status === 403 && r.headers.get("X-Openwork-Refused") === "origin") r.clone().text().then(refused); }, () => {});
    answer.catch((error) => { if (error instanceof TypeError && !leaving) watch(); });
    return answer;
  };

  const answers = () => ask("/alive", { cache: "no-store" }).then((r) => r.ok, () => false);
  const pause = () => new Promise((done) => window.setTimeout(done, PAUSE));
  const polls = (off) => window.dash_clientside.set_props && window.dash_clientside.set_props("poll", { disabled: off });

  async function watch() {
    if (watching) return;
    watching = true;
    if (!(await answers()) && !leaving) {
      show(true); polls(true);
      do await pause(); while (!(await answers()));
      show(false); polls(false);
    }
    watching = false;
  }

  function refused(why) {
    cleared(true);
    banner.append(ow.el("span", "ow-icon warning"), ow.el("span", "", why));
  }

  function cleared(on) {
    if (!banner) {
      banner = ow.el("div", "ow-banner");
      banner.setAttribute("role", "alert");
      document.body.appendChild(banner);
    }
    banner.replaceChildren();
    banner.hidden = !on;
  }

  function show(on) {
    cleared(on);
    if (!on) return;
    const command = ow.el("code", "", "openwork serve");
    banner.append(ow.el("span", "ow-icon warning"), ow.el("span", "", "The server has stopped. Start it with"), command, ow.el("span", "", "and this page goes on."));
  }
})();
