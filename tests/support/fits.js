// What does not fit its window on this page, in words: a page wider than it, a void under a title, columns that are cut, emptiness.
() => {
  const wrong = [], wide = document.documentElement.clientWidth, seen = (e) => e.getClientRects().length > 0;
  if (document.documentElement.scrollWidth > wide + 1) wrong.push(`${document.documentElement.scrollWidth} wide in ${wide}`);
  for (const e of [...document.querySelectorAll('.ow-title, .ow-title > *, .ow-panel > header > *, .ow-drop > *')].filter(seen)) {
    const inner = [...e.children].filter(seen).map((c) => c.getBoundingClientRect()), own = e.getBoundingClientRect();
    if (inner.length && own.bottom - Math.max(...inner.map((r) => r.bottom)) > 40) wrong.push(`a void of ${own.height} under ${e.className || e.tagName}`);
  }
  if (wide >= 1000) for (const e of [...document.querySelectorAll('.ow-rows-box')].filter(seen))
    if (e.scrollWidth > e.clientWidth + 1) wrong.push(`columns of ${e.id} are cut: ${e.scrollWidth} in ${e.clientWidth}`);
  if (wide > 3000 && document.querySelector('.ow-page').clientWidth < .6 * wide) wrong.push('most of the window is empty');
  return wrong;
}
