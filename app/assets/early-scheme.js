// In <head>, before anything is painted: the colour scheme chosen earlier, so that the page never flashes. The cookie tells the server,
// so that figures are laid out in the right colours.
(function () {
  var chosen = null;
  try { chosen = localStorage.getItem("mantine-color-scheme-value"); } catch (e) { /* storage may be forbidden */ }
  var dark = chosen === "dark" || (chosen !== "light" && window.matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
  try { document.cookie = "openwork_scheme=" + (dark ? "dark" : "light") + "; path=/; SameSite=Strict"; } catch (e) { /* cookies too */ }
})();
