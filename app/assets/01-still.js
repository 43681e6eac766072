// Parts of a page that never change (`app/components/still.py`): a tree of [tag, properties, child, ...] drawn by React, which writes
// texts as texts. The tags are those of plain HTML; "link" leads to another page without loading it anew.
(function () {
  "use strict";
  const tags = new Set(("a abbr b blockquote br button code dd del details div dl dt em figcaption figure footer h1 h2 h3 h4 h5 h6 header " +
    "hr i img kbd label li main mark nav ol p pre section small span strong sub summary sup table tbody td tfoot th thead time tr ul var").split(" "));

  function follow(event) {
    const a = event.currentTarget;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button || a.target) return;
    event.preventDefault();
    window.openwork.go(a.getAttribute("href"));
  }

  // Addresses are ours or the web's: never code.
  const safe = (href) => typeof href === "string" && /^(\/|#|\?|https?:)/.test(href);

  function drawn(tree) {
    if (!Array.isArray(tree)) return tree;
    const [tag, given, ...children] = tree, props = Object.assign({}, given);
    if ("href" in props && !safe(props.href)) delete props.href;
    if ("src" in props && !/^(\/(?!\/)|data:image\/)/.test(props.src)) delete props.src;
    if (tag === "link") return window.React.createElement("a", Object.assign(props, { onClick: follow }), ...children.map(drawn));
    if (!tags.has(tag)) throw new Error(`"${tag}" cannot be drawn`);
    return window.React.createElement(tag, props, ...children.map(drawn));
  }

  window.openwork_still = { Still: (props) => drawn(props.tree) };
})();
