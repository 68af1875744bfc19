"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const twins = JSON.parse(document.getElementById("twins").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let printing = false; // paper is light
  const touch = window.matchMedia("(pointer: coarse)").matches;

  // Figures come in light colours; on a dark page every colour is replaced by its twin.
  const recolour = (value) => {
    if (typeof value === "string") return twins[value] ?? value;
    if (Array.isArray(value)) return value.map(recolour);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, recolour(item)]));
  };

  const prepared = (element) => {
    const source = figures[element.dataset.figure];
    const figure = dark.matches && !printing ? recolour(source) : structuredClone(source);
    if (touch) figure.layout.dragmode = false; // a finger on a figure scrolls the page
    if (element.clientWidth < 520 && figure.layout.coloraxis) figure.layout.coloraxis.showscale = false;
    return figure;
  };

  const pointer = window.matchMedia("(hover: hover)").matches;
  const buttons = [["toImage", "zoom2d", "pan2d", "resetScale2d"]];
  const config = { responsive: true, displaylogo: false, displayModeBar: pointer ? "hover" : false, modeBarButtons: buttons };
  const saved = (element) => ({ toImageButtonOptions: { format: "svg", filename: element.dataset.figure } });

  const draw = (element) => {
    const { data, layout } = prepared(element);
    // Names of columns need room: of many, the figure is wider than its card, which scrolls.
    if (layout.meta && layout.meta.lines) {
      const columns = layout.xaxis.tickvals.length;
      element.style.minWidth = `${(columns <= 12 ? 80 : 62) * columns}px`;
    }
    return window.Plotly.react(element, data, layout, { ...config, ...saved(element) }).then(() => {
      if (layout.meta && layout.meta.lines) followTrials(element, layout.meta.lines);
    });
  };

  // Parallel coordinates: trace the trial under the pointer; keep the trials inside a selection.
  const followTrials = (element, lines) => {
    const overlay = element.data.length - 1;
    const others = element.data.map((_, i) => i).filter((i) => i < overlay - 1);
    const shown = element.data.map((trace) => trace.opacity ?? 1);
    let kept = null;
    const trace = (trials) => {
      const x = [], y = [];
      for (const trial of trials) {
        lines[trial].forEach((height, column) => { x.push(column); y.push(height); });
        x.push(null); y.push(null);
      }
      window.Plotly.restyle(element, { x: [x], y: [y] }, [overlay]);
    };
    const dim = (on) => window.Plotly.restyle(element, { opacity: others.map((i) => on ? 0.12 : shown[i]) }, others);
    element.removeAllListeners("plotly_hover");
    element.removeAllListeners("plotly_unhover");
    element.removeAllListeners("plotly_selected");
    element.removeAllListeners("plotly_deselect");
    element.on("plotly_hover", (event) => { if (!kept) trace([event.points[0].customdata]); });
    element.on("plotly_unhover", () => { if (!kept) trace([]); });
    element.on("plotly_selected", (event) => {
      if (!event || !event.points.length) return;
      kept = [...new Set(event.points.map((point) => point.customdata))];
      dim(true);
      trace(kept);
    });
    element.on("plotly_deselect", () => { kept = null; dim(false); trace([]); });
  };

  // plotly.js is in the page as compressed text. Browsers before 2023 cannot unpack it, and say so.
  const unpacked = async (text) => {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  const loadPlotly = async () => {
    const script = document.createElement("script");
    script.textContent = await unpacked(document.getElementById("plotly").textContent);
    document.head.append(script);
    script.remove();
  };
  const explain = () => {
    const notice = document.createElement("p");
    notice.className = "notice warning";
    notice.textContent = "Figures need a browser of 2023 or later. Their numbers are in the JSON file beside this page.";
    document.querySelector("main").before(notice);
  };

  // One after the other, so that the page can be read while figures appear.
  const elements = [...document.querySelectorAll("[data-figure]")];
  const drawFrom = (i) => { if (i < elements.length) draw(elements[i]).then(() => setTimeout(drawFrom, 0, i + 1)); };
  if (elements.length) {
    loadPlotly().then(() => {
      drawFrom(0);
      dark.addEventListener("change", () => elements.forEach(draw));
    }, explain);
  }

  // On paper: light, wide figures drawn anew so that their letters stay readable, and every one shrunk to the page.
  const PAPER = 720;
  const onPaper = (element) => {
    if (!element.querySelector(".main-svg")) return;
    const { data, layout } = prepared(element);
    const width = layout.meta?.lines ? element.clientWidth : Math.min(element.clientWidth, PAPER);
    window.Plotly.react(element, data, { ...layout, width }, { ...config, responsive: false, ...saved(element) });
    for (const svg of element.querySelectorAll(".main-svg")) {
      svg.setAttribute("viewBox", `0 0 ${width} ${layout.height}`);
    }
    element.style.setProperty("--shape", `${width} / ${layout.height}`);
  };
  window.addEventListener("beforeprint", () => { printing = true; elements.forEach(onPaper); });
  window.addEventListener("afterprint", () => {
    printing = false;
    for (const svg of document.querySelectorAll(".plot .main-svg")) svg.removeAttribute("viewBox");
    if (window.Plotly) elements.forEach(draw);
  });

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.sort;
      const compare = (first, second) => {
        const a = key(first), b = key(second);
        if (a === "" || b === "") return (a === "") - (b === ""); // empty cells stay last
        const difference = Number(a) - Number(b);
        const order = Number.isNaN(difference) ? a.localeCompare(b) : difference;
        return descending ? -order : order;
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
    }));
  }

  // A row is shown where it holds every word.
  for (const field of document.querySelectorAll("input[data-filters]")) {
    const rows = document.getElementById(field.dataset.filters).tBodies[0].rows;
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/);
      for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    });
  }

  // The old way first: it works at once, also on a page opened from disk.
  const copied = async (text) => {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (done) return true;
    const late = new Promise((resolve) => setTimeout(resolve, 1000, false));
    const modern = async () => { try { await navigator.clipboard.writeText(text); return true; } catch { return false; } };
    return Promise.race([modern(), late]);
  };
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      const text = button.parentElement.querySelector("code").textContent;
      button.textContent = (await copied(text)) ? "Copied" : "Select and copy";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
})();
