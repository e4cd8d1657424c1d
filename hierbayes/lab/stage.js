// The stage of the shrinkage lab: draws a scene of panels as SVG, lets observations be dragged,
// nudged with keys, typed or deleted, and levels be chosen. Asks nothing of the network.
//
// Python sets `scene` (see figures.py). The stage owns and sends whole values, never events, so
// that none gets lost when many come at once: `edits` {row: y or null}, `level`, `guess`.

const NS = "http://www.w3.org/2000/svg";
const W = 400, H = 300, LEFT = 58, RIGHT = 12, TOP = 12, BOTTOM = 44;
const LIGHT = {
  ink: "#1a1a1a", paper: "#ffffff", axis: "#6b6b6b", soft: "#9a9a9a", own: "#1a1a1a",
  complete: "#5a5a5a", reml: "#0b62a8", ml: "#b35a00", posterior: "#00765a",
  chosen: "#a5278c", guess: "#b8001f", truth: "#1a1a1a",
};
const DARK = {
  ink: "#ececec", paper: "#181c1a", axis: "#a3a3a3", soft: "#7b7b7b", own: "#ececec",
  complete: "#bdbdbd", reml: "#6db5f2", ml: "#f2a65a", posterior: "#4fd0ab",
  chosen: "#ec84d6", guess: "#ff7d8f", truth: "#ececec",
};
const DASH = { own: "7 4", complete: "2 4", ml: "10 3 2 3", posterior: "12 4", chosen: "4 2", soft: "", truth: "1 5 6 5" };

function make(tag, attributes, parent) {
  const node = document.createElementNS(NS, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (parent) parent.appendChild(node);
  return node;
}

function html(tag, attributes, parent, text) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.appendChild(node);
  return node;
}

function palette() {
  const dark = document.documentElement.classList.contains("dark") ||
    document.body.classList.contains("dark") || document.body.classList.contains("dark-theme");
  return dark ? DARK : LIGHT;
}

// round numbers for an axis, about `count` of them
function ticks(low, high, count) {
  const raw = (high - low) / count;
  const power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 5, 10].find((m) => m * power >= raw) * power;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) {
    found.push(k * step);
  }
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return found.map((at) => [at, at.toFixed(digits).replace("-", "\u2212")]);
}

const shapes = {
  circle: (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`,
  square: (r) => `M${-r * 0.9},${-r * 0.9}h${1.8 * r}v${1.8 * r}h${-1.8 * r}Z`,
  diamond: (r) => `M0,${-1.3 * r}L${1.3 * r},0L0,${1.3 * r}L${-1.3 * r},0Z`,
  triangle: (r) => `M0,${-1.3 * r}L${1.2 * r},${0.9 * r}L${-1.2 * r},${0.9 * r}Z`,
  cross: (r) => `M${-r},0H${r}M0,${-r}V${r}`,
  star: (r) => `M${-r},0H${r}M0,${-r}V${r}M${-0.7 * r},${-0.7 * r}L${0.7 * r},${0.7 * r}` +
    `M${-0.7 * r},${0.7 * r}L${0.7 * r},${-0.7 * r}`,
};

function symbol(shape, r, colour, hollow, colours, parent) {
  const line = shape === "cross" || shape === "star";
  return make("path", {
    d: shapes[shape || "circle"](r),
    fill: line ? "none" : hollow ? colours.paper : colour,
    stroke: colour, "stroke-width": line ? 2.2 : 1.3,
  }, parent);
}

class Scale {
  constructor(panel, frozen) {
    const x = frozen ? frozen.x : panel.x.limits, y = frozen ? frozen.y : panel.y.limits;
    this.x0 = x[0]; this.xs = (W - LEFT - RIGHT) / (x[1] - x[0]);
    this.y0 = y[0]; this.ys = (H - TOP - BOTTOM) / (y[1] - y[0]);
    this.limits = { x, y };
  }
  x(v) { return LEFT + (v - this.x0) * this.xs; }
  y(v) { return H - BOTTOM - (v - this.y0) * this.ys; }
  dataX(px) { return this.x0 + (px - LEFT) / this.xs; }
  dataY(py) { return this.y0 + (H - BOTTOM - py) / this.ys; }
}

function axes(svg, panel, scale, colours) {
  const { x, y } = scale.limits;
  const frame = make("g", { "font-size": 13, fill: colours.ink }, svg);
  const line = { stroke: colours.axis, "stroke-width": 1, fill: "none" };
  make("path", { d: `M${LEFT},${TOP}V${H - BOTTOM}H${W - RIGHT}`, ...line }, frame);
  const named = panel.x.ticks;
  const long = named ? named.reduce((n, t) => n + String(t[1]).length, 0) : 0;
  const skip = named && panel.x.label ? Math.max(1, Math.ceil((long + named.length) / 46)) : 1;
  (named || ticks(x[0], x[1], 6)).forEach(([at, text], k) => {
    if (k % skip) return;
    make("path", { d: `M${scale.x(at)},${H - BOTTOM}v5`, ...line }, frame);
    const words = panel.x.label ? [String(text)] : String(text).split(" "); // room for two lines
    words.forEach((word, line) => {
      const y = H - BOTTOM + 18 + 15 * line;
      const size = panel.x.label ? 13 : 11.5;
      const label = make("text", { x: scale.x(at), y, "text-anchor": "middle", "font-size": size }, frame);
      label.textContent = word.length > 14 ? word.slice(0, 13) + "\u2026" : word;
    });
  });
  if (!panel.y.bare) {
    for (const [at, text] of ticks(y[0], y[1], 6)) {
      make("path", { d: `M${LEFT},${scale.y(at)}h-5`, ...line }, frame);
      make("text", { x: LEFT - 8, y: scale.y(at) + 4.5, "text-anchor": "end" }, frame).textContent = text;
    }
  }
  const xl = make("text", { x: (LEFT + W - RIGHT) / 2, y: H - 8, "text-anchor": "middle" }, frame);
  xl.textContent = panel.x.label;
  const middle = (TOP + H - BOTTOM) / 2;
  const yl = make("text", {
    x: 14, y: middle, "text-anchor": "middle", transform: `rotate(-90 14 ${middle})`,
  }, frame);
  yl.textContent = panel.y.label;
}

const path = (mark, scale) => mark.x.map((v, i) => `${i ? "L" : "M"}${scale.x(v).toFixed(2)},` +
  scale.y(mark.y[i]).toFixed(2)).join("");

function drawMark(mark, scale, colours, parent, stage) {
  const colour = colours[mark.style] || colours.ink;
  if (mark.kind === "line") {
    const width = { soft: 1, complete: 2.4, own: 1.8 }[mark.style] || 2.2;
    make("path", {
      d: path(mark, scale), fill: "none", stroke: colour, "stroke-width": width,
      "stroke-dasharray": mark.solid ? "" : DASH[mark.style] || "",
      "data-line": mark.style,
    }, parent);
  } else if (mark.kind === "area") {
    const end = `L${scale.x(mark.x.at(-1))},${scale.y(0)}L${scale.x(mark.x[0])},${scale.y(0)}Z`;
    make("path", {
      d: path(mark, scale) + end, fill: colour, "fill-opacity": 0.25, stroke: colour,
    }, parent);
  } else if (mark.kind === "arrow") {
    const [x0, x1] = mark.x.map((v) => scale.x(v)), [y0, y1] = mark.y.map((v) => scale.y(v));
    const length = Math.hypot(x1 - x0, y1 - y0);
    if (length < 3) return;
    const [ux, uy] = [(x1 - x0) / length, (y1 - y0) / length], head = Math.min(8, length / 2);
    const [bx, by] = [x1 - head * ux, y1 - head * uy];
    const g = make("g", { stroke: colour, fill: colour, opacity: mark.strong ? 1 : 0.6 }, parent);
    make("path", { d: `M${x0},${y0}L${bx},${by}`, "stroke-width": mark.strong ? 2.6 : 1.2 }, g);
    const w = head * 0.45;
    make("path", {
      d: `M${x1},${y1}L${bx - w * uy},${by + w * ux}L${bx + w * uy},${by - w * ux}Z`, stroke: "none",
    }, g);
  } else if (mark.kind === "text") {
    const x = scale.x(mark.x), right = x > W - 90;
    const t = make("text", {
      x: x + (right ? -9 : 9), y: scale.y(mark.y) - 7, "font-size": 13,
      "font-weight": mark.style === "soft" ? 400 : 700,
      "text-anchor": right ? "end" : "start", fill: colours.ink, stroke: colours.paper,
      "stroke-width": 3, "paint-order": "stroke",
    }, parent);
    t.textContent = mark.text;
  } else if (mark.kind === "point") {
    const g = make("g", { transform: `translate(${scale.x(mark.x)},${scale.y(mark.y)})` }, parent);
    const r = mark.r || (mark.strong ? 6 : 4);
    symbol(mark.shape, r, colour, mark.hollow, colours, g);
    if (mark.style === "soft") g.setAttribute("opacity", 0.45);
    if (mark.label) make("title", {}, g).textContent = mark.label;
    if (mark.level) {
      g.setAttribute("class", "lab-choose");
      g.addEventListener("click", (event) => {
        if (!stage.picking) { event.stopPropagation(); stage.choose(mark.level); }
      });
    }
  }
}

class Stage {
  constructor(model, el) {
    this.model = model;
    this.panels = new Map();
    this.selected = null; // row of the observation that has the focus
    this.dragging = null;
    this.drawn = 0;
    this.root = html("div", { class: "lab-stage" }, el);
    const bar = html("div", { class: "lab-bar" }, this.root);
    this.legend = html("ul", { class: "lab-legend", "aria-label": "Legend" }, bar);
    this.choice = html("select", { "aria-label": "Level looked at" },
      html("label", { class: "lab-level" }, bar, "Level "));
    this.choice.addEventListener("change", () => this.choose(this.choice.value));
    this.grid = html("div", { class: "lab-grid" }, this.root);
    this.words = html("p", { class: "lab-words", "aria-live": "polite" }, this.root);
    this.editor();
  }

  get scene() { return this.model.get("scene") || {}; }
  get edits() { return this.model.get("edits") || {}; }
  get picking() { return (this.scene.panels || []).some((panel) => panel.pick); }

  send(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
  }

  choose(level) {
    this.selected = null;
    this.send("level", level);
  }

  editor() {
    const box = html("form", { class: "lab-editor" });
    box.addEventListener("submit", (event) => {
      event.preventDefault();
      const value = parseFloat(this.value.value);
      if (Number.isFinite(value)) this.move(this.selected, value);
    });
    this.which = html("span", { class: "lab-which" }, box);
    const label = html("label", {}, box, "Value ");
    this.value = html("input", { type: "number", step: "any", "aria-label": "Value of the observation" }, label);
    html("button", { type: "submit" }, box, "Set");
    this.remove = html("button", { type: "button" }, box, "Delete");
    this.remove.addEventListener("click", () => this.delete(this.selected));
    this.reset = html("button", { type: "button" }, box, "Restore all");
    this.reset.addEventListener("click", () => { this.selected = null; this.send("edits", {}); });
    this.box = box;
    this.guesser = html("form", { class: "lab-editor" });
    this.guesser.addEventListener("submit", (event) => {
      event.preventDefault();
      const values = this.guessInputs.map((input) => parseFloat(input.value));
      if (values.every(Number.isFinite)) this.send("guess", values);
    });
  }

  // inputs for a guess, for those who don't click into the picture
  showGuesser(view) {
    const terms = this.scene.terms;
    if (this.guesser.dataset.terms !== terms.join("\n")) {
      this.guesser.dataset.terms = terms.join("\n");
      this.guesser.replaceChildren();
      this.guessInputs = terms.map((term) => html("input", { type: "number", step: "any" },
        html("label", {}, this.guesser, `${term} `)));
      html("button", { type: "submit" }, this.guesser, "Guess");
    }
    this.guessInputs.forEach((input, k) => {
      if (document.activeElement !== input) input.value = this.scene.guess[k] ?? "";
    });
    if (!this.guesser.isConnected) view.figure.append(this.guesser);
  }

  move(row, y) {
    if (row === null || row === undefined || !this.scene.movable) return;
    this.send("edits", { ...this.edits, [row]: Number(y.toPrecision(6)) });
  }

  delete(row) {
    if (row === null || row === undefined) return;
    this.selected = null;
    this.send("edits", { ...this.edits, [row]: null });
  }

  draw() {
    const scene = this.scene;
    if (!scene.panels) return;
    this.root.hidden = scene.panels.length === 0;
    this.colours = palette();
    this.crowded = scene.panels[0]?.marks.filter((mark) => mark.kind === "obs").length > 60;
    this.drawLegend(scene);
    const wanted = scene.panels.map((panel) => panel.id);
    for (const [id, view] of this.panels) {
      if (!wanted.includes(id)) { view.figure.remove(); this.panels.delete(id); }
    }
    for (const panel of scene.panels) this.drawPanel(panel);
    if (this.words.textContent !== scene.words) this.words.textContent = scene.words;
    const names = scene.levels.join("\n");
    if (this.choice.dataset.names !== names) {
      this.choice.replaceChildren(...scene.levels.map((l) => { const o = html("option", { value: l }); o.textContent = l; return o; }));
      this.choice.dataset.names = names;
    }
    this.choice.value = scene.level;
    this.showEditor();
    this.drawn += 1;
    this.root.dataset.drawn = this.drawn;
    clearTimeout(this.addressing);
    this.addressing = setTimeout(() => this.writeAddress(this.scene.address), 200);
  }

  // in place, so that the Back button leaves the page instead of undoing a slider step by step
  writeAddress(address) {
    if (address === undefined || !this.root.isConnected) return;
    const url = new URL(window.location.href);
    url.search = address;
    if (url.href !== window.location.href) window.history.replaceState(window.history.state, "", url);
  }

  drawLegend(scene) {
    this.legend.replaceChildren(...scene.legend.map((entry) => {
      const item = html("li", {});
      const svg = make("svg", { width: 34, height: 16, "aria-hidden": "true" }, item);
      const colour = this.colours[entry.style];
      make("path", {
        d: "M1,8H33", stroke: colour, "stroke-width": 2,
        "stroke-dasharray": DASH[entry.style] || "",
      }, svg);
      symbol(entry.shape, 5, colour, entry.hollow, this.colours,
        make("g", { transform: "translate(17,8)" }, svg));
      item.append(entry.text);
      return item;
    }));
  }

  // the legend under a picture that is saved; returns its height
  legendInto(svg) {
    const entries = this.scene.legend, across = 2, row = 18;
    const height = Math.ceil(entries.length / across) * row + 6;
    make("rect", { y: H, width: W, height, fill: LIGHT.paper }, svg);
    entries.forEach((entry, k) => {
      const x = 16 + (k % across) * (W / across), y = H + 10 + Math.floor(k / across) * row;
      const g = make("g", { transform: `translate(${x},${y})` }, svg);
      const colour = LIGHT[entry.style];
      make("path", { d: "M0,0H32", stroke: colour, "stroke-width": 2,
        "stroke-dasharray": DASH[entry.style] || "" }, g);
      symbol(entry.shape, 5, colour, entry.hollow, LIGHT, make("g", { transform: "translate(16,0)" }, g));
      make("text", { x: 40, y: 4.5, "font-size": 12, fill: LIGHT.ink }, g).textContent = entry.text;
    });
    return height;
  }

  drawPanel(panel) {
    let view = this.panels.get(panel.id);
    if (!view) {
      const figure = html("figure", { class: "lab-panel", "data-panel": panel.id });
      const caption = html("figcaption", {}, figure);
      const title = html("span", {}, caption);
      const png = html("button", { type: "button", class: "lab-png" }, caption, "PNG");
      view = { figure, title, png };
      png.addEventListener("click", () => this.download(view));
      this.panels.set(panel.id, view);
      this.grid.append(figure);
    }
    view.panel = panel;
    view.title.textContent = panel.title;
    view.png.setAttribute("aria-label", `Save "${panel.title}" as PNG`);
    const frozen = this.dragging && this.dragging.id === panel.id ? this.dragging.limits : null;
    const svg = this.svgOf(panel, this.colours, frozen, view);
    if (view.svg) view.svg.replaceWith(svg); else view.figure.append(svg);
    view.svg = svg;
    if (panel.id === "data" && !this.box.isConnected) view.figure.append(this.box);
    if (panel.id === "plane") {
      if (panel.pick) this.showGuesser(view); else this.guesser.remove();
    }
    if (this.focusWanted && panel.id === "data") {
      this.focusWanted = false;
      svg.querySelector('[tabindex="0"].lab-obs')?.focus({ preventScroll: true });
    }
  }

  svgOf(panel, colours, frozen, view) {
    const svg = make("svg", {
      viewBox: `0 0 ${W} ${H}`, class: "lab-svg", "font-family": "system-ui, sans-serif",
      role: "group", "aria-label": panel.alt,
    });
    make("rect", { width: W, height: H, fill: colours.paper }, svg);
    const scale = new Scale(panel, frozen);
    axes(svg, panel, scale, colours);
    const clip = `clip-${panel.id}-${Math.random().toString(36).slice(2)}`;
    make("rect", { x: LEFT - 9, y: TOP - 9, width: W - LEFT - RIGHT + 18, height: H - TOP - BOTTOM + 18 },
      make("clipPath", { id: clip }, svg));
    const body = make("g", { "clip-path": `url(#${clip})` }, svg);
    for (const mark of panel.marks) {
      if (mark.kind !== "obs") drawMark(mark, scale, colours, body, this);
    }
    if (view) {
      view.scale = scale;
      this.observations(panel, scale, colours, body, svg, view);
      if (panel.pick) this.pickable(svg, scale, panel);
      else if (this.focused(svg, view)) this.focusWanted = panel.id === "data";
    } else {
      for (const mark of panel.marks) {
        if (mark.kind === "obs") this.observation(mark, scale, colours, body);
      }
    }
    return svg;
  }

  focused(svg, view) {
    return view.svg && view.svg.contains(document.activeElement);
  }

  observation(mark, scale, colours, parent) {
    const y = this.dragging && this.dragging.row === mark.row ? this.dragging.y : mark.y;
    const g = make("g", { transform: `translate(${scale.x(mark.x)},${scale.y(y)})` }, parent);
    make("circle", { r: this.crowded ? 3.6 : 5.2, fill: mark.moved ? colours.guess : colours.ink,
      stroke: colours.paper, "stroke-width": 1 }, g);
    return g;
  }

  observations(panel, scale, colours, parent, svg, view) {
    const marks = panel.marks.filter((mark) => mark.kind === "obs");
    if (!marks.length) return;
    const here = marks.find((mark) => mark.row === this.selected) ||
      marks.find((mark) => mark.level === this.scene.level) || marks[0];
    marks.forEach((mark, k) => {
      const g = this.observation(mark, scale, colours, parent);
      const attributes = {
        class: "lab-obs", role: "slider", tabindex: mark === here ? 0 : -1, "data-row": mark.row,
        "aria-label": mark.label, "aria-valuenow": mark.y, "aria-valuetext": String(mark.y),
        "aria-valuemin": panel.y.limits[0], "aria-valuemax": panel.y.limits[1],
        "aria-orientation": "vertical",
      };
      for (const [key, value] of Object.entries(attributes)) g.setAttribute(key, value);
      make("title", {}, g).textContent = `${mark.label}: ${mark.y}`;
      g.addEventListener("focus", () => {
        if (this.selected === mark.row) return;
        this.selected = mark.row;
        this.showEditor();
      });
      g.addEventListener("keydown", (event) => this.key(event, mark, marks, k, svg));
      g.addEventListener("pointerdown", (event) => this.grab(event, mark, panel, view));
    });
  }

  key(event, mark, marks, k, svg) {
    const by = (event.shiftKey ? 10 : 1) * this.scene.step;
    const moves = { ArrowUp: by, ArrowDown: -by, PageUp: 10 * by, PageDown: -10 * by };
    if (event.key in moves) {
      event.preventDefault();
      this.focusWanted = true;
      const known = this.edits[mark.row]; // faster than what has come back from Python
      this.move(mark.row, (typeof known === "number" ? known : mark.y) + moves[event.key]);
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      event.preventDefault();
      const next = marks[(k + (event.key === "ArrowRight" ? 1 : marks.length - 1)) % marks.length];
      this.selected = next.row;
      svg.querySelectorAll(".lab-obs").forEach((node) => node.setAttribute("tabindex",
        Number(node.dataset.row) === next.row ? 0 : -1));
      svg.querySelector(`.lab-obs[data-row="${next.row}"]`).focus();
      if (next.level !== this.scene.level) { this.focusWanted = true; this.send("level", next.level); }
      this.showEditor();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      this.focusWanted = true;
      this.delete(mark.row);
    }
  }

  grab(event, mark, panel, view) {
    event.preventDefault();
    this.selected = mark.row;
    this.showEditor();
    if (!this.scene.movable) return;
    this.dragging = { row: mark.row, y: mark.y, id: panel.id, limits: view.scale.limits };
    const onMove = (moved) => {
      const box = view.svg.getBoundingClientRect();
      const y = view.scale.dataY((moved.clientY - box.top) * (H / box.height));
      const step = this.scene.step / 10;
      this.dragging.y = Number((Math.round(y / step) * step).toPrecision(6));
      const node = view.svg.querySelector(`.lab-obs[data-row="${mark.row}"]`);
      if (node) node.setAttribute("transform",
        `translate(${view.scale.x(mark.x)},${view.scale.y(this.dragging.y)})`);
      this.value.value = this.dragging.y;
      if (!this.waiting) {
        this.waiting = setTimeout(() => {
          this.waiting = null;
          if (this.dragging) this.move(mark.row, this.dragging.y);
        }, 60);
      }
    };
    const onUp = () => {
      document.removeEventListener("pointermove", onMove);
      document.removeEventListener("pointerup", onUp);
      document.removeEventListener("pointercancel", onUp);
      const y = this.dragging.y;
      this.dragging = null;
      clearTimeout(this.waiting);
      this.waiting = null;
      if (mark.level !== this.scene.level) this.model.set("level", mark.level);
      if (y !== mark.y) this.move(mark.row, y);
      else this.model.save_changes();
    };
    document.addEventListener("pointermove", onMove);
    document.addEventListener("pointerup", onUp);
    document.addEventListener("pointercancel", onUp);
  }

  pickable(svg, scale, panel) {
    svg.classList.add("lab-pick");
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      const x = scale.dataX((event.clientX - box.left) * (W / box.width));
      const y = scale.dataY((event.clientY - box.top) * (H / box.height));
      const both = panel.x.ticks ? [y] : [x, y];
      this.send("guess", both.map((v) => Number(v.toPrecision(4))));
    });
  }

  showEditor() {
    const data = (this.scene.panels || []).find((panel) => panel.id === "data");
    const mark = data && data.marks.find((m) => m.kind === "obs" && m.row === this.selected);
    const on = Boolean(mark);
    this.which.textContent = on ? mark.label :
      "Drag an observation, or focus one and press the arrow keys or Delete.";
    this.value.disabled = !on || !this.scene.movable;
    this.remove.disabled = !on;
    this.reset.disabled = Object.keys(this.edits).length === 0;
    if (on && !this.dragging && document.activeElement !== this.value) this.value.value = mark.y;
    if (!on) this.value.value = "";
  }

  download(view) {
    const svg = this.svgOf(view.panel, LIGHT, null, null);
    const height = H + this.legendInto(svg);
    svg.setAttribute("xmlns", NS);
    svg.setAttribute("width", W);
    svg.setAttribute("height", height);
    svg.setAttribute("viewBox", `0 0 ${W} ${height}`);
    const text = new XMLSerializer().serializeToString(svg);
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      const zoom = 4;
      canvas.width = W * zoom;
      canvas.height = height * zoom;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      const link = html("a", { download: `${view.panel.id}.png`, href: canvas.toDataURL("image/png") });
      link.click();
    };
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
  }
}

function render({ model, el }) {
  const stage = new Stage(model, el);
  const draw = () => stage.draw();
  model.on("change:scene", draw);
  const watcher = new MutationObserver(draw);
  for (const node of [document.documentElement, document.body]) {
    watcher.observe(node, { attributes: true, attributeFilter: ["class"] });
  }
  draw();
  return () => { model.off("change:scene", draw); watcher.disconnect(); };
}

export default { render };
