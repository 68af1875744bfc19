// Returns a sentence for each thing on the open page that is cut off, sticks out, lies over another or can't be read.
(() => {
  // What a reader scrolls anyway may be wider inside than out, and a dot at an end of its track hangs into the margin.
  // A table may on a phone.
  const found = new Set(), width = document.documentElement.clientWidth;
  const mayScroll = `${width < 700 ? ".table-scroll, " : ""}nav ul, pre, .plot-scroll:has([data-figure=parallel]), .track`;
  const name = (e) => {
    const place = e.closest("[data-figure]")?.dataset.figure ?? e.closest("section")?.id ?? "top";
    return `${place}: <${e.tagName.toLowerCase()} class="${e.getAttribute("class") ?? ""}"> ` +
      `'${e.textContent.trim().replace(/\s+/g, " ").slice(0, 40)}'`;
  };
  if (document.documentElement.scrollWidth > width) found.add(`the page is ${document.documentElement.scrollWidth} wide`);
  const scrolled = (e) => { for (; e; e = e.parentElement) if (/auto|scroll/.test(getComputedStyle(e).overflowX)) return true; };
  for (const e of document.body.querySelectorAll("*")) {
    if (e.closest("svg, script, style, .modebar-container, .plotly-notifier") || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    if (style.display !== "inline" && e.scrollWidth > e.clientWidth + 1 && !e.matches(mayScroll))
      found.add(`${name(e)} is ${e.scrollWidth} wide in ${e.clientWidth}`);
    const box = e.getBoundingClientRect();
    if (!scrolled(e) && (box.right > width + 1 || box.left < -1)) found.add(`${name(e)} sticks out of the window`);
  }
  if (document.body.innerText.includes("\ufffd")) found.add("a character that nobody can read");
  for (const block of document.querySelectorAll(".copyable")) {
    const [button, text] = [".copy", "pre"].map((part) => block.querySelector(part).getBoundingClientRect());
    if (button.left < text.right - 1 && button.top < text.bottom - 1) found.add(`${name(block)} lies under its button`);
  }
  for (const plot of document.querySelectorAll("[data-figure]")) {
    const frame = plot.getBoundingClientRect();
    for (const text of plot.querySelectorAll("svg text")) {
      const box = text.getBoundingClientRect();
      if (!box.width || getComputedStyle(text).opacity === "0") continue;
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        found.add(`${name(text)} is cut off`);
    }
    for (const kind of ["xtick", "ytick"]) {
      const boxes = [...plot.querySelectorAll(`.${kind} text`)].map((text) => text.getBoundingClientRect());
      const over = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
      if (boxes.some((a, i) => boxes.slice(i + 1).some((b) => over(a, b)))) found.add(`${name(plot)}: labels of ${kind}s overlap`);
    }
    if (plot.layout.xaxis?.visible !== false && plot.querySelectorAll(".xtick text").length < 2 && plot.data.some((t) => t.x?.length > 1))
      found.add(`${plot.dataset.figure}: fewer than two labels along`);
  }
  return [...found];
})();
