"use strict";
(() => {
  const data = JSON.parse(document.getElementById("maps-data").textContent);
  const place = document.getElementById("value-maps");
  const [slider, select] = [place.querySelector("input"), place.querySelector("select")];
  const figures = place.querySelectorAll("figure");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let printing = false; // paper is light
  const number = (value) => Number(value.toPrecision(4)).toLocaleString("en-US", { maximumFractionDigits: 6 });
  const SIZE = 44;

  const make = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const level = (value) => {
    const share = data.high > data.low ? (value - data.low) / (data.high - data.low) : 1;
    return Math.max(0, Math.min(6, Math.floor(share * 7)));
  };
  const words = (actions) => {
    if (!actions.length) return "all actions worth the same";
    return "plays " + actions.map((a) => data.signs ? data.signs[a] : `action ${a}`).join(" or ");
  };

  // One map: values and actions (a list for each state).
  const draw = (figure, label, values, actions) => {
    const states = data.layers[select.selectedIndex].states;
    const box = `0 0 ${data.columns * SIZE} ${data.rows * SIZE}`;
    const svg = make("svg", { viewBox: box, role: "img", "aria-label": label });
    svg.style.maxWidth = `${data.columns * 76}px`;
    states.forEach((state, cell) => {
      const [x, y] = [(cell % data.columns) * SIZE, Math.floor(cell / data.columns) * SIZE];
      const reached = data.reachable[state];
      const step = level(values[state]);
      const square = make("rect", { x, y, width: SIZE, height: SIZE, rx: 3, class: reached ? "cell" : "cell off" });
      if (reached) square.style.fill = data.ramps[dark.matches && !printing ? 1 : 0][step];
      const told = reached ? `worth ${number(values[state])}, ${words(actions[state])}` : "no episode goes on from here";
      square.append(make("title", {}, `state ${state}: ${told}`));
      svg.append(square);
      const tone = reached && step >= 3 ? "strong" : "";
      const played = reached && data.signs ? actions[state].map((a) => data.signs[a]).join("") : "";
      const mark = data.marks[cell];
      const [middle, centre] = [x + SIZE / 2, y + SIZE / 2];
      if (mark) {
        const size = played || mark.length > 5 ? 9 : 12;
        svg.append(make("text", { x: middle, y: played ? y + 8 : centre, "font-size": size, class: tone }, mark));
      }
      if (played) {
        const size = played.length > 2 ? 11 : played.length > 1 ? 15 : 20;
        svg.append(make("text", { x: middle, y: centre + (mark ? 5 : 0), "font-size": size, class: tone }, played));
      }
    });
    for (const cell of data.walls) {
      const [x, y] = [(cell % data.columns + 1) * SIZE, Math.floor(cell / data.columns) * SIZE];
      svg.append(make("line", { x1: x, x2: x, y1: y + 2, y2: y + SIZE - 2, class: "wall" }));
    }
    figure.querySelector("svg")?.remove();
    figure.append(svg);
  };

  // Of one training: its table over the steps, and the truth. Of several settings: the last table of each.
  const panels = data.panels ?? [
    { label: "Value and greedy action of each state", values: data.values,
      actions: data.actions.map((each) => each.map((action) => action < 0 ? [] : [action])) },
    { label: "True value and optimal actions of each state", values: [data.truth.values],
      actions: [data.truth.actions.map((best, state) => data.reachable[state] ? best : [])] },
  ];

  const show = () => {
    const shown = slider ? Number(slider.value) : 0;
    const step = data.steps[shown].toLocaleString("en-US");
    if (slider) place.querySelector("output").textContent = step;
    panels.forEach(({ label, values, actions }, i) => {
      const at = Math.min(shown, values.length - 1);
      draw(figures[i], label, values[at], actions[at]);
    });
    const colours = data.ramps[dark.matches && !printing ? 1 : 0].map((colour) => {
      const patch = document.createElement("i");
      patch.style.background = colour;
      return patch;
    });
    const meanings = Object.entries(data.meanings).map(([sign, meaning]) => `${sign} ${meaning}`);
    if (data.walls.length) meanings.push("thick lines are walls");
    const more = meanings.length ? `. ${meanings.join(", ")}.` : "";
    const strip = document.createElement("span");
    strip.append(...colours);
    place.querySelector(".map-legend").replaceChildren(number(data.low), strip, number(data.high) + more);
  };

  for (const layer of data.layers) select.append(new Option(layer.name));
  select.selectedIndex = 0;
  select.parentElement.hidden = data.layers.length < 2;
  if (slider) {
    slider.max = data.steps.length - 1;
    slider.value = slider.max;
  }
  for (const control of [slider, select]) control?.addEventListener("input", show);
  dark.addEventListener("change", show);
  for (const [event, begun] of [["beforeprint", true], ["afterprint", false]]) {
    window.addEventListener(event, () => { printing = begun; show(); });
  }
  show();
})();
