"use strict";
// Draws the page from the JSON in #data. Text of a run enters the document as
// text nodes and attributes only, never as markup.
(() => {
const DATA = JSON.parse(document.getElementById("data").textContent);
// Names come from runs: "constructor" is one of a metric, not of an object.
const bare = (o) => Object.assign(Object.create(null), o);
const RUNS = DATA.runs, MANY = RUNS.length > 1;
const COLOURS = ["#2f7bea", "#e8762c", "#2ea36a", "#c64b8c", "#8b6be0",
                 "#12a3b8", "#b9900c", "#80868f"];
const NAMES = bare({
  lr: "learning rate", images_per_second: "images per second", mfu: "MFU",
  input_wait: "input wait", grad_norm: "gradient norm",
  skipped_steps: "skipped steps", "goodput/steps": "goodput",
});
const SHARE = /^(mfu|input_wait|goodput.*)$/;
const FIRST = [/^loss/, /^lr$/, /^images_per_second$/, /^mfu$/,
               /^goodput\/steps$/, /^input_wait$/, /^grad_norm/];
const LAST = /^goodput\/(?!steps$)/; // what else the time went into: folded
const PER_GROUP = 12; // charts shown before the rest is folded
RUNS.forEach((run, i) => {
  run.colour = COLOURS[i % COLOURS.length];
  run.on = true;
  for (const part of ["series", "overlays", "references", "pictures"])
    run[part] = bare(run[part]);
});

function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.flat(9).filter((c) => c != null && c !== false));
  return node;
}
const dot = (run) => h("span", { class: "dot", style: `background:${run.colour}` });
// A name may break behind its slashes, before it breaks anywhere.
const parts = (text) =>
  String(text).split(/(?<=\/)/).flatMap((part) => [part, h("wbr")]);
const css = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function show(value, key = "") {
  if (value == null) return "not finite";
  if (SHARE.test(key)) return `${(100 * value).toPrecision(3)} %`;
  const size = Math.abs(value);
  if (size && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return String(+value.toPrecision(size >= 1000 ? 6 : 4));
}

// A number of an evaluation with its unit: "48.40 %".
const measured = (row) => (row.value != null && row.unit
  ? `${row.value.toFixed(2)} ${row.unit}` : show(row.value));

function table(head, rows, right = 1) {
  const cell = (tag) => (text, i) =>
    h(tag, { class: i >= right ? "right" : null }, text);
  return h("div", { class: "scroll" }, h("table", {},
    head && h("thead", {}, h("tr", {}, head.map(cell("th")))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell("td")))))));
}
const card = (title, ...content) =>
  h("div", { class: "card" }, title && h("h3", {}, title), content);
const fold = (title, ...content) =>
  h("details", {}, h("summary", {}, title), content);

function section(id, title, ...content) {
  document.getElementById("main").append(
    h("section", { id }, h("h2", {}, title), content));
  document.querySelector("#nav div").append(
    h("a", { href: `#${id}` }, title));
}

// --- reference lines: of each run, or of several that have the same

function ownLines(found, run, lines) {
  for (const [name, value] of Object.entries(lines)) {
    if (value == null) continue;
    const key = `${name} ${value}`;
    const one = found.get(key) || { name, value, runs: [] };
    one.runs.push(run);
    found.set(key, one);
  }
}

function shared(found) {
  const all = [...found.values()];
  return all.map(({ name, value, runs }) => {
    const alone = all.filter((one) => one.name === name).length === 1;
    return alone ? [name, value, null]
      : [`${name} of ${runs.map((r) => r.name).join(", ")}`, value, runs[0].colour];
  });
}

// --- curves: one x axis for all of them

const view = { from: null, to: null, images: false, smooth: 0 };
const charts = [];
const scale = (run) => (view.images ? run.batch || 1 : 1);

function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * power >= rough) * power;
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++)
    found.push(i * step);
  return found;
}

function logTicks(low, high) {
  const found = [];
  const within = [1, 2, 5].slice(0, high / low > 300 ? 1 : 3);
  for (let p = Math.floor(Math.log10(low)); p <= Math.log10(high); p++)
    for (const m of within) {
      const v = m * 10 ** p;
      if (v >= low && v <= high) found.push(v);
    }
  return found.length > 1 ? found : ticks(low, high, 4);
}

const short = (v) => (v >= 1e9 ? `${+(v / 1e9).toPrecision(3)}G`
  : v >= 1e6 ? `${+(v / 1e6).toPrecision(3)}M`
  : v >= 1e4 ? `${+(v / 1e3).toPrecision(3)}k` : String(+v.toPrecision(3)));

function smoothed(y) {
  let mean = 0, weight = 0;
  const keep = view.smooth;
  return y.map((v) => {
    if (v == null) return null;
    mean = keep * mean + (1 - keep) * v;
    weight = keep * weight + 1 - keep;
    return mean / weight;
  });
}

class Chart {
  constructor(key) {
    this.key = key;
    this.lines = [];
    for (const run of RUNS) {
      const held = run.overlays[key];
      if (run.series[key]) this.lines.push({ run, data: run.series[key], name: "" });
      if (held) this.lines.push({ run, data: run.series[held], name: "eval split" });
    }
    const all = this.lines.flatMap((l) => l.data.y).filter((v) => v != null);
    const low = all.reduce((a, b) => Math.min(a, b), Infinity);
    const high = all.reduce((a, b) => Math.max(a, b), -Infinity);
    this.positive = all.length > 0 && low > 0;
    this.log = this.positive && high / low > 10 && !SHARE.test(key) && key !== "lr";
    this.canvas = h("canvas");
    this.cross = h("div", { class: "cross", hidden: true });
    this.pick = h("div", { class: "pick", hidden: true });
    this.tip = h("div", { class: "tip num", hidden: true });
    this.spots = this.lines.map((l) =>
      h("div", { class: "spot", hidden: true, style: `background:${l.run.colour}` }));
    this.plot = h("div", {
      class: "plot", role: "img", "aria-label": `curve of ${key}`,
      onpointermove: (e) => this.move(e), onpointerleave: () => hover(null),
      onpointerdown: (e) => this.press(e), onpointerup: (e) => this.release(e),
      onpointercancel: () => this.drop(),
      ondblclick: (e) => (view.from == null ? this.closer(e) : zoom(null, null)),
    }, this.canvas, this.cross, this.pick, this.spots, this.tip);
    const toggle = h("button", {
      "aria-pressed": String(this.log), disabled: !this.positive,
      title: "logarithmic scale", onclick: () => {
        this.log = !this.log;
        toggle.setAttribute("aria-pressed", String(this.log));
        toggle.textContent = this.log ? "log" : "linear";
        this.draw();
      },
    }, this.log ? "log" : "linear");
    const dashed = this.lines.some((l) => l.name);
    this.node = h("div", { class: "card" }, h("div", { class: "head" },
      h("h3", {}, NAMES[key] || key,
        dashed && h("span", { class: "soft" }, "  ○ eval split")), toggle), this.plot);
    charts.push(this);
  }

  visible() { return this.lines.filter((l) => l.run.on); }

  range() {
    let [x0, x1] = [view.from, view.to];
    const lines = this.visible();
    if (x0 == null) {
      const ends = lines.map((l) => l.data.x[l.data.x.length - 1] * scale(l.run));
      x0 = Math.min(0, ...ends);
      x1 = Math.max(1, ...ends);
    }
    let low = Infinity, high = -Infinity;
    for (const { run, data } of lines) {
      const s = scale(run);
      for (let i = 0; i < data.x.length; i++) {
        const v = data.y[i], x = data.x[i] * s;
        if (v == null || x < x0 || x > x1 || (this.log && v <= 0)) continue;
        if (v < low) low = v;
        if (v > high) high = v;
      }
    }
    for (const [, v] of this.references()) {
      if (this.log && v <= 0) continue;
      low = Math.min(low, v);
      high = Math.max(high, v);
    }
    if (low > high) [low, high] = this.log ? [0.1, 1] : [0, 1];
    if (this.log) {
      const pad = (high / low) ** 0.05 || 1.05;
      return [x0, x1, low / pad, high * Math.max(pad, 1.02)];
    }
    const zero = SHARE.test(this.key) || /^(images_per_second|lr)$/.test(this.key);
    if (zero) low = Math.min(0, low);
    const pad = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    return [x0, x1, zero ? low : low - pad, high + pad];
  }

  // [name, value, colour]: each run's own lines, once where they agree.
  references() {
    const found = new Map();
    for (const { run, name } of this.visible())
      if (!name) ownLines(found, run, run.references[this.key] || {});
    return shared(found);
  }

  draw() {
    const box = this.plot.getBoundingClientRect();
    if (!box.width) return;
    const ratio = window.devicePixelRatio || 1, c = this.canvas.getContext("2d");
    this.canvas.width = box.width * ratio;
    this.canvas.height = box.height * ratio;
    c.scale(ratio, ratio);
    const [x0, x1, y0, y1] = this.range();
    const left = 46, right = box.width - 6, top = 4, bottom = box.height - 22;
    const of = this.log ? Math.log : (v) => v, a = of(y0), b = of(y1);
    this.px = (x) => left + ((x - x0) / (x1 - x0)) * (right - left);
    this.py = (y) => bottom - ((of(y) - a) / (b - a)) * (bottom - top);
    this.back = (p) => x0 + ((p - left) / (right - left)) * (x1 - x0);
    this.frame(c, x0, x1, y0, y1, left, right, top, bottom);
    c.save();
    c.beginPath();
    c.rect(left, top - 4, right - left + 5, bottom - top + 5);
    c.clip();
    for (const line of this.visible()) this.line(c, line);
    c.restore();
  }

  frame(c, x0, x1, y0, y1, left, right, top, bottom) {
    c.font = "11px system-ui, sans-serif";
    c.fillStyle = css("--soft");
    c.strokeStyle = css("--grid");
    c.textBaseline = "middle";
    c.textAlign = "right";
    for (const v of this.log ? logTicks(y0, y1) : ticks(y0, y1, 4)) {
      const y = Math.round(this.py(v)) + 0.5;
      if (y < top || y > bottom + 1) continue;
      c.beginPath();
      c.moveTo(left, y);
      c.lineTo(right, y);
      c.stroke();
      const text = SHARE.test(this.key) ? `${short(100 * v)}%` : v && v < 1e-4
        ? v.toExponential(0) : short(v);
      c.fillText(text, left - 6, y);
    }
    c.textBaseline = "alphabetic";
    c.textAlign = "center";
    for (const v of ticks(x0, x1, Math.max(2, (right - left) / 90)))
      c.fillText(short(v), Math.min(this.px(v), right - 10), bottom + 16);
    c.setLineDash([5, 4]);
    c.textAlign = "left";
    for (const [name, v, colour] of this.references()) {
      const y = this.py(v);
      c.strokeStyle = colour || css("--soft");
      c.beginPath();
      c.moveTo(left, y);
      c.lineTo(right, y);
      c.stroke();
      c.fillText(name, left + 4, y - 4);
    }
    c.setLineDash([]);
  }

  path(c, x, y, s) {
    c.beginPath();
    let pen = false;
    for (let i = 0; i < x.length; i++) {
      if (y[i] == null || (this.log && y[i] <= 0)) { pen = false; continue; }
      const px = this.px(x[i] * s), py = this.py(y[i]);
      if (pen) c.lineTo(px, py); else c.moveTo(px, py);
      pen = true;
    }
    c.stroke();
  }

  line(c, { run, data, name }) {
    const s = scale(run), soft = view.smooth && !data.eval && data.x.length > 3;
    c.strokeStyle = c.fillStyle = run.colour;
    c.lineJoin = "round";
    c.lineWidth = 1.6;
    c.setLineDash(name ? [3, 3] : []);
    c.globalAlpha = soft ? 0.25 : 1;
    this.path(c, data.x, data.y, s);
    c.globalAlpha = 1;
    if (soft) this.path(c, data.x, smoothed(data.y), s);
    c.setLineDash([]);
    if (data.x.length > 60 || (!data.eval && data.x.length > 1)) return;
    for (let i = 0; i < data.x.length; i++) {
      if (data.y[i] == null) continue;
      c.beginPath();
      c.arc(this.px(data.x[i] * s), this.py(data.y[i]), 3, 0, 7);
      if (name) c.stroke(); else c.fill();
    }
  }

  at(e) { return e.clientX - this.plot.getBoundingClientRect().left; }

  move(e) {
    const p = this.at(e);
    if (this.from != null) {
      this.pick.hidden = Math.abs(p - this.from) < 4;
      this.pick.style.left = `${Math.min(p, this.from)}px`;
      this.pick.style.width = `${Math.abs(p - this.from)}px`;
    }
    if (this.back) hover(this.back(p), this);
  }

  press(e) {
    if (e.pointerType === "touch" || e.button) return;
    this.from = this.at(e);
    this.plot.setPointerCapture(e.pointerId);
  }

  release(e) {
    const from = this.from, to = this.at(e);
    this.drop();
    if (from == null || Math.abs(to - from) < 8) return;
    zoom(...[this.back(from), this.back(to)].sort((a, b) => a - b));
  }

  drop() {
    this.from = null;
    this.pick.hidden = true;
  }

  closer(e) {
    const x = this.back(this.at(e)), [x0, x1] = this.range(), w = (x1 - x0) / 4;
    zoom(x - w, x + w);
  }

  hover(x, main) {
    const hide = x == null || !this.px;
    this.cross.hidden = this.tip.hidden = hide;
    this.spots.forEach((s) => { s.hidden = true; });
    if (hide) return;
    const rows = [];
    let near = null;
    this.lines.forEach((line, i) => {
      if (!line.run.on) return;
      const j = nearest(line.data.x, x / scale(line.run)), y = line.data.y[j];
      const at = line.data.x[j] * scale(line.run), spot = this.spots[i];
      if (near == null || Math.abs(at - x) < Math.abs(near - x)) near = at;
      rows.push(h("div", {}, MANY && dot(line.run), line.name && `${line.name} `,
        show(y, this.key)));
      if (y == null || (this.log && y <= 0)) return;
      spot.hidden = false;
      spot.style.left = `${this.px(at)}px`;
      spot.style.top = `${this.py(y)}px`;
    });
    if (near == null) return;
    const p = this.px(near), width = this.plot.clientWidth;
    this.cross.style.left = `${p}px`;
    this.cross.hidden = p < 40 || p > width;
    this.tip.hidden = !main;
    this.tip.replaceChildren(h("div", { class: "soft" },
      `${view.images ? "image" : "step"} ${near.toLocaleString("en")}`), ...rows);
    const right = p < width / 2;
    this.tip.style.left = right ? `${p + 10}px` : "auto";
    this.tip.style.right = right ? "auto" : `${width - p + 10}px`;
  }
}

function nearest(sorted, x) {
  let low = 0, high = sorted.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < x) low = middle; else high = middle;
  }
  return x - sorted[low] <= sorted[high] - x ? low : high;
}

const hover = (x, chart) => charts.forEach((c) => c.hover(x, c === chart));
const reset = h("button", { disabled: true, onclick: () => zoom(null, null) },
  "Reset zoom");
function zoom(from, to) {
  [view.from, view.to] = [from, to];
  reset.disabled = from == null;
  hover(null);
  redraw();
}
let asked = 0;
function redraw() {
  cancelAnimationFrame(asked);
  asked = requestAnimationFrame(() => charts.forEach((c) => c.draw()));
}

function curves() {
  const keys = new Map();
  for (const run of RUNS)
    for (const [key, data] of Object.entries(run.series))
      keys.set(key, Math.max(keys.get(key) || 0, data.x.length));
  const held = new Set(RUNS.flatMap((r) => Object.values(r.overlays)));
  const isEval = (key) => RUNS.some((r) => r.series[key] && r.series[key].eval);
  const rank = (key) => {
    const i = FIRST.findIndex((pattern) => pattern.test(key));
    return LAST.test(key) ? FIRST.length + 1 : i < 0 ? FIRST.length : i;
  };
  const zero = (key) => RUNS.every((r) =>
    !r.series[key] || r.series[key].y.every((v) => v === 0));
  const references = /\/(pixels|untrained)_|_(nearest|colour)$|\/examples$/;
  const all = [...keys.keys()];
  const idle = (k) => (k === "skipped_steps" || LAST.test(k)) && zero(k);
  const train = all.filter((k) => !isEval(k) && !idle(k))
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  const evals = all.filter((k) => isEval(k) && keys.get(k) > 1 &&
    !references.test(k) && !held.has(k)).sort();
  const group = (title, found) => {
    if (!found.length) return null;
    const shown = found.filter((key) => !LAST.test(key)).length;
    const nodes = found.map((key) => new Chart(key).node);
    const rest = nodes.splice(Math.min(shown, PER_GROUP));
    const more = rest.length && fold(`${rest.length} more curves`,
      h("div", { class: "grid charts", style: "margin-top:12px" }, rest));
    if (more) more.addEventListener("toggle", redraw);
    return [title && h("h4", {}, title), h("div", { class: "grid charts" }, nodes),
            more || null];
  };
  const tools = h("div", { class: "tools" },
    h("label", {}, "smoothing", h("input", {
      type: "range", id: "smooth", min: 0, max: 0.98, step: 0.01, value: 0,
      oninput: (e) => { view.smooth = +e.target.value; redraw(); },
    })),
    h("label", {}, "x axis", h("select", {
      onchange: (e) => { view.images = e.target.value === "images"; zoom(null, null); },
    }, h("option", {}, "steps"), h("option", {}, "images"))),
    reset, h("span", {}, "drag to zoom all curves, double-click to reset"));
  section("curves", "Curves", tools, choice(), group("", train),
    group("Evaluations", evals));
}

function choice() {
  return MANY && h("div", { class: "runs" }, RUNS.map((run) => h("label", {},
    h("input", { type: "checkbox", checked: true, onchange: (e) => {
      run.on = e.target.checked;
      hover(null);
      redraw();
    } }), dot(run), run.name)));
}

// --- pictures

function pictures() {
  const names = [...new Set(RUNS.flatMap((r) => Object.keys(r.pictures)))];
  const rank = (n) => (/recon/.test(n) ? 0 : /sampl|grid/.test(n) ? 1 : 2);
  names.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  const left = RUNS.reduce((n, r) => n + r.left_out, 0);
  if (!names.length) return;
  section("pictures", "Pictures", h("div", { class: "grid pictures" },
    names.map(figure)), left > 0 && h("p", { class: "soft" },
    `${left} older pictures are not in this page, to bound its size; they are ` +
    "in images/ of the workdir."));
}

function figure(name) {
  const runs = RUNS.filter((r) => r.pictures[name]);
  const steps = [...new Set(runs.flatMap((r) => r.pictures[name].map((p) => p[0])))]
    .sort((a, b) => a - b);
  const label = h("span", { class: "soft num", "data-step": "" });
  const sides = runs.map((run) => h("img", { alt: `${name} of ${run.name}`,
    onclick: (e) => enlarge(e.target) }));
  const turn = (i) => {
    label.textContent = `step ${steps[i].toLocaleString("en")}`;
    runs.forEach((run, k) => {
      const past = run.pictures[name].filter((p) => p[0] <= steps[i]);
      sides[k].src = (past[past.length - 1] || run.pictures[name][0])[1];
    });
  };
  const slider = h("input", {
    type: "range", min: 0, max: steps.length - 1, step: 1, value: steps.length - 1,
    "aria-label": `step of ${name}`, oninput: (e) => turn(+e.target.value),
  });
  let timer = 0;
  const play = h("button", { onclick: () => {
    const next = () => {
      slider.value = (+slider.value + 1) % steps.length;
      turn(+slider.value);
    };
    clearInterval(timer);
    timer = timer ? 0 : setInterval(next, 700);
    play.textContent = timer ? "Stop" : "Play";
    if (timer) next();
  } }, "Play");
  turn(steps.length - 1);
  return h("figure", { class: "card" }, h("div", { class: "head" },
    h("h3", {}, name.replace("/", " · ")), label),
    steps.length > 1 && h("div", { class: "slide" }, play, slider),
    h("div", { class: "sides" }, runs.map((run, k) => h("div", {},
      MANY && h("div", { class: "soft" }, dot(run), ` ${run.name}`), sides[k]))));
}

const large = document.getElementById("large");
large.addEventListener("click", () => large.close());
function enlarge(image) {
  large.firstElementChild.src = image.src;
  large.firstElementChild.alt = image.alt;
  large.showModal();
}

// --- results

function results() {
  const names = [...new Set(RUNS.flatMap((r) => r.evals.map((e) => e.name)))];
  const named = names.filter((n) => n !== "");
  if (!named.length) return;
  section("results", "Results", h("div", { class: "results" },
    named.map((name) => result(name, RUNS
      .map((run) => ({ run, one: run.evals.find((e) => e.name === name) }))
      .filter((r) => r.one)))));
}

function result(name, found) {
  const keys = [...new Set(found.flatMap((r) => r.one.rows.map((row) => row.key)))];
  const row = (r, key) => r.one.rows.find((x) => x.key === key);
  const lines = (key) => {
    const own = new Map();
    found.forEach((r) => ownLines(own, r.run, (row(r, key) || { lines: {} }).lines));
    return shared(own);
  };
  const barred = keys.filter((k) => lines(k).length);
  const plain = keys.filter((k) => !barred.includes(k));
  const cell = (key) => [key, ...found.map((r) => {
    const one = row(r, key);
    return one ? measured(one) : "";
  })];
  const head = MANY ? ["", ...found.map((r) => h("span", {}, dot(r.run)))] : null;
  const few = plain.length ? table(head, plain.slice(0, 8).map(cell)) : null;
  const rest = plain.slice(8);
  const steps = [...new Set(found.map((r) => r.one.step))];
  return h("div", { class: "card" }, h("div", { class: "head" }, h("h3", {}, name),
    h("span", { class: "soft num" },
      `step ${steps.map((s) => s.toLocaleString("en")).join(", ")}`)),
    barred.map((key) => bars(key, found.map((r) => [r.run, row(r, key)]), lines(key))),
    few, rest.length > 0 && fold(`${rest.length} more numbers`, table(head, rest.map(cell))),
    found.map((r) => fold(MANY ? `protocol of ${r.run.name}` : "protocol",
      table(null, r.one.protocol, 9))));
}

function bars(key, found, lines) {
  const values = found.filter(([, row]) => row).map(([run, row]) =>
    [MANY ? run.name : "this run", row.value, run.colour]);
  const all = [...values, ...lines.map(([name, value]) => [name, value])];
  const rows = found.map(([, row]) => row).filter((row) => row);
  const told = MANY ? [] : rows.map((row) => row.told).filter((text) => text);
  const most = Math.max(...all.map((v) => Math.abs(v[1] || 0))) || 1;
  return h("div", { class: "bars" }, h("div", { class: "what" }, key),
    all.map(([label, value, colour]) => h("div", { class: "bar" },
      h("span", { class: "soft", title: label }, label),
      h("i", { style: `width:${(100 * Math.abs(value || 0)) / most}%;` +
        (colour ? `background:${colour}` : "") }),
      h("span", {}, measured({ value, unit: rows[0].unit })))),
    told.map((text) => h("p", { class: "soft" }, text)));
}

// --- recipe

function recipe() {
  const keys = new Map(); // key -> [default, [value of each run], differs]
  RUNS.forEach((run, i) => run.config.forEach(([key, value, usual, differs]) => {
    const one = keys.get(key) || [usual, [], false];
    one[1][i] = value;
    one[2] = one[2] || differs;
    keys.set(key, one);
  }));
  if (!keys.size) return;
  const body = h("tbody");
  const all = h("input", { type: "checkbox", onchange: fill });
  const search = h("input", { type: "search", placeholder: "filter keys",
    "aria-label": "filter keys", oninput: fill });
  function fill() {
    const wanted = search.value.toLowerCase();
    body.replaceChildren(...[...keys].filter(([key, [, , differs]]) =>
      (differs || all.checked) && key.toLowerCase().includes(wanted)).map(
      ([key, [usual, values]]) => {
        const apart = MANY && new Set(RUNS.map((_, i) => values[i])).size > 1;
        return h("tr", {}, h("td", {}, h("code", {}, key)),
          RUNS.map((_, i) => h("td", {}, h(apart ? "mark" : "span", {},
            h("code", {}, values[i] === undefined ? "–" : values[i] || '""')))),
          h("td", { class: "soft" }, h("code", {}, usual || "–")));
      }));
  }
  fill();
  section("recipe", "Recipe", h("div", { class: "card" },
    h("div", { class: "tools" }, h("span", {}, MANY
      ? "Keys that differ from their default; marked where the runs differ"
      : "Keys that differ from their default"),
      h("label", {}, all, "all keys"), search),
    h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {},
      h("th", {}, "key"), RUNS.map((r) => h("th", {}, MANY ? [dot(r), ` ${r.name}`]
        : "value")), h("th", {}, "default"))), body))));
}

// --- hardware, environment, checkpoints

const label = (run) => (MANY ? [h("h4", {}, dot(run), ` ${run.name}`)] : []);
const missing = () => h("p", { class: "soft" },
  "run.json is not there: nothing was recorded at the start of this run.");

function hardware() {
  section("hardware", "Model and hardware", RUNS.map((run) => {
    const { hardware: hw, model } = run.notes;
    if (!hw) return [label(run), missing()];
    const fact = (name) => (run.facts.find((f) => f[0] === name) || [0, "–"])[1];
    return [label(run), h("div", { class: "grid half" },
      card("Devices", table(null, [...hw.rows, ["images / s", fact("images / s")],
        ["MFU", fact("MFU")]], 9)),
      card("Memory of the state [MB]", table(["part", "in all", "per device", "share"],
        model.memory)),
      card("Model", table(["module", "shape", "parameters"], model.modules),
        h("p", { class: "soft" }, model.cost)),
      card("Ten largest arrays", table(["array", "shape", "MB", "sharding"],
        model.largest)))];
  }));
}

function environment() {
  section("environment", "Environment", RUNS.map((run) => {
    const { environment: env, starts } = run.notes;
    if (!env) return [label(run), missing()];
    return [label(run), h("div", { class: "grid half" },
      card("Versions", table(null, env, 9)),
      card("Starts", starts.map((s) => h("p", {}, h("span", { class: "soft" },
        `from step ${s.step.toLocaleString("en")} · ${s.time} · git ${s.git || "–"}`),
        h("br"), h("code", {}, s.command)))))];
  }));
}

function saved() {
  section("checkpoints", "Checkpoints", RUNS.map((run) => [label(run),
    run.checkpoints.length ? h("div", { class: "card" }, table(
      ["step", "folder", "size", "saved"], run.checkpoints.map((c) => [
        c.step.toLocaleString("en"), h("a", { href: c.link }, c.folder), c.bytes,
        c.time]), 9)) : h("p", { class: "soft" }, "None yet.")]));
}

// --- the page

function overview() {
  const top = document.getElementById("top");
  const git = (run) => ((run.notes.starts || []).slice(-1)[0] || {}).git;
  top.append(h("h1", {}, DATA.title), h("div", { class: "soft" }, MANY
    ? "jmim" : `${RUNS[0].name}${git(RUNS[0]) ? ` · git ${git(RUNS[0])}` : ""}`));
  document.getElementById("nav").append(h("div"));
  document.getElementById("foot").append(`Made ${DATA.made} by jmim.`);
  if (!MANY) {
    section("overview", "Overview", h("div", { class: "grid facts" },
      RUNS[0].facts.map(([name, value]) => h("div", { class: "card" },
        h("span", { class: "soft" }, name),
        h("b", { class: "num" }, parts(value))))),
      RUNS[0].headline && h("p", {}, RUNS[0].headline));
    return;
  }
  const names = [...new Set(RUNS.flatMap((r) => r.facts.map((f) => f[0])))];
  const value = (run, name) => (run.facts.find((f) => f[0] === name) || ["", "–"])[1];
  section("overview", "Overview", card("", table(["run", "", ...names],
    RUNS.map((run) => [[dot(run), ` ${run.name}`], run.title,
      ...names.map((n) => value(run, n))]), 2)));
}

overview();
curves();
pictures();
results();
recipe();
hardware();
environment();
saved();
redraw();
addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
})();
