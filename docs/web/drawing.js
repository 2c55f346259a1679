// What was found, as elements of the page. Names come from files: they are only ever text.

import { FACTOR } from "./comparing.js";

const SVG = "http://www.w3.org/2000/svg";
const WORDS = { pass: "pass", fail: "fail", none: "no verdict", inconclusive: "no verdict" };
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [500, 150, 34, 6, 8, 20];
const MOST_DOTS = 400;
const MOST_LAYERS = 60; // pictures

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function drawn(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const badge = (verdict) => element("span", { class: `verdict ${verdict}` }, WORDS[verdict]);
const figure = (value) => (value === 0 ? "0" : value >= 1e-3 && value < 1e5 ? String(Number(value.toPrecision(3))) : value.toExponential(1));
const cut = (text, most = 2000) => (text.length > most ? `${text.slice(0, most)}…` : text);

/** The verdict, its reasons, and what the check was made with. */
export function showVerdict(result, facts) {
  const titles = { pass: "The model computes what the reference computes", fail: "The model differs from the reference", none: "Nothing is proven" };
  const items = [
    ...result.reasons.map((text) => element("li", { class: "fail" }, cut(text))),
    ...result.doubts.map((text) => element("li", { class: "doubt" }, cut(text))),
    ...result.notes.map((text) => element("li", { class: "note" }, cut(text))),
  ];
  const list = facts.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, cut(text))]);
  return element("section", { class: "panel", id: "verdict", "data-verdict": result.verdict },
    element("h2", {}, element("span", { class: `verdict ${result.verdict}` }, WORDS[result.verdict].toUpperCase()), titles[result.verdict]),
    items.length ? element("ul", { class: "said" }, ...items) : null,
    list.length ? element("dl", { class: "facts" }, ...list) : null);
}

function shareCell(comparison) {
  if (!comparison || comparison.worst === null) return element("td", { class: "figure soft" }, "-");
  const width = Math.min(100, 100 * comparison.worst);
  const fill = drawn("rect", { class: `fill${comparison.worst > 1 ? " over" : ""}`, width, height: 10 });
  const bar = drawn("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, fill);
  return element("td", { class: "figure" }, `${figure(FACTOR * comparison.worst)}x`, element("span", { class: "bar" }, bar));
}

const table = (heads, rows) => element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
const head = (text, kind = "") => element("th", { scope: "col", class: kind }, text);

export function showOutputs(outputs) {
  const rows = outputs.map(({ name, shape, comparison, verdict }) => element("tr", {},
    element("td", { class: "name" }, cut(name)), element("td", { class: "wide" }, shape.join(" x ") || "scalar"),
    element("td", { class: "figure wide" }, Number.isNaN(comparison.maxAbs) ? "-" : figure(comparison.maxAbs)),
    shareCell(comparison), element("td", {}, badge(verdict))));
  return element("section", { class: "panel", id: "outputs" }, element("h2", {}, "Outputs"),
    element("p", { class: "soft small" }, `x rounding: the largest error as a multiple of the model's own rounding error; up to ${FACTOR}x passes.`),
    table([head("output"), head("shape", "wide"), head("largest difference", "figure wide"), head("x rounding", "figure"), head("verdict")], rows));
}

const ownText = (layer) => (layer.own === undefined || layer.own === null ? "-" : Number.isFinite(layer.own) ? `${figure(layer.own)} ulp` : "differs");
const slopesText = (layer) => (layer.other === null ? "not compared" : layer.equal ? "equal" : layer.wrong?.length ? `${layer.wrong.length} of ${layer.mine.data.length} differ` : "differ");

export function showLayers(layers) {
  const rows = layers.map((layer) => element("tr", { class: layer.verdict },
    element("td", { class: "name" }, cut(layer.name), layer.words ? element("span", { class: "words" }, cut(layer.words)) : null),
    element("td", {}, slopesText(layer)), element("td", { class: "figure wide" }, layer.total === undefined ? "-" : `${layer.reached} of ${layer.total}`),
    element("td", { class: "figure wide" }, ownText(layer)), shareCell(layer.along), element("td", {}, badge(layer.verdict))));
  return element("section", { class: "panel", id: "layers" }, element("h2", {}, "PReLU layers"),
    table([head("layer"), head("slopes"), head("slopes reached", "figure wide"), head("isolated error", "figure wide"), head("x rounding", "figure"), head("verdict")], rows));
}

/** The slopes of every layer, the reference's as a line and the model's as dots. */
export function showSlopes(layers) {
  const known = layers.filter((layer) => layer.other !== null);
  const order = [...known].sort((a, b) => (a.verdict === "fail" ? 0 : 1) - (b.verdict === "fail" ? 0 : 1));
  const cards = order.slice(0, MOST_LAYERS).map((layer) => element("article", { class: `layer ${layer.verdict}` },
    element("div", { class: "top" }, element("h3", {}, cut(layer.name)), element("span", { class: "soft small" }, `${layer.mine.data.length.toLocaleString("en")} slope${layer.mine.data.length === 1 ? "" : "s"}`)),
    picture(layer)));
  const key = [["expected", "reference"], ["", "0 to 1"], ["below", "below 0"], ["above", "above 1"], ["wrong", "differs"]];
  return element("section", { class: "panel", id: "slopes" }, element("h2", {}, "Slopes"),
    element("div", { class: "key" }, ...key.map(([kind, text]) => element("span", { class: kind }, text))),
    element("div", { class: "layers" }, ...cards),
    known.length > MOST_LAYERS ? element("p", { class: "soft small" }, `${known.length - MOST_LAYERS} more layers are in the table.`) : null);
}

const kindOf = (value) => (value < 0 ? " below" : value > 1 ? " above" : "");

function picture({ name, mine, other, wrong }) {
  const [expected, found] = [mine.data, other.data].map((data) => Array.from(data, Number));
  const bad = new Set(wrong ?? []);
  const finite = [...expected, ...found].filter(Number.isFinite);
  const low = finite.reduce((a, b) => Math.min(a, b), 0);
  const high = finite.reduce((a, b) => Math.max(a, b), Math.max(0.25, -low / 4));
  const y = (value) => TOP + ((high - value) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const count = Math.max(expected.length, found.length);
  const x = (place, length) => LEFT + ((place + 0.5) / length) * (WIDTH - LEFT - RIGHT);
  const step = niceStep(high - low);
  const parts = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step / 1e6; tick += step) {
    const at = y(tick);
    parts.push(drawn("line", { class: `axis${Math.abs(tick) < step / 2 ? " strong" : ""}`, x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at }));
    parts.push(drawn("text", { class: "tick", x: LEFT - 5, y: at + 4, "text-anchor": "end" }, String(Number(tick.toPrecision(6)))));
  }
  for (const [place, anchor] of count > 1 ? [[0, "start"], [count - 1, "end"]] : []) {
    parts.push(drawn("text", { class: "tick", x: x(place, count), y: HEIGHT - 5, "text-anchor": anchor }, place.toLocaleString("en")));
  }
  parts.push(...(count > MOST_DOTS ? bins : dots)(expected, found, bad, x, y));
  const say = bad.size ? `${bad.size} differ from the reference` : "as in the reference";
  return drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": cut(`Slopes of ${name}: ${say}`, 200) }, ...parts);
}

function niceStep(span) {
  const rough = span / 3;
  const base = 10 ** Math.floor(Math.log10(rough));
  return base * ([1, 2, 5, 10].find((factor) => factor * base >= rough) ?? 10);
}

const clear = (value) => Number.isFinite(value);

function dots(expected, found, bad, x, y) {
  const half = Math.min(9, 200 / expected.length) + 1;
  const lines = expected.flatMap((value, i) => (clear(value) ? [drawn("line", { class: "expected", x1: x(i, expected.length) - half, x2: x(i, expected.length) + half, y1: y(value), y2: y(value) })] : []));
  const gaps = [...bad].filter((i) => clear(found[i]) && clear(expected[i])).map((i) => drawn("line", { class: "gap", x1: x(i, found.length), x2: x(i, found.length), y1: y(expected[i]), y2: y(found[i]) }));
  const radius = Math.max(2, Math.min(4, 300 / found.length));
  const marks = found.flatMap((value, i) => (clear(value) ? [drawn("circle", { class: `dot${kindOf(value)}${bad.has(i) ? " wrong" : ""}`, cx: x(i, found.length), cy: y(value), r: bad.has(i) ? 1.3 * radius : radius })] : []));
  return [...lines, ...gaps, ...marks];
}

/** From the smallest to the largest of each bin of many slopes. */
function bins(expected, found, bad, x, y) {
  const width = (WIDTH - LEFT - RIGHT) / MOST_DOTS;
  const wrong = new Set([...bad].map((i) => Math.floor((i * MOST_DOTS) / found.length)));
  const extremes = (values, bin) => values.slice(Math.floor((bin * values.length) / MOST_DOTS), Math.floor(((bin + 1) * values.length) / MOST_DOTS)).filter(clear);
  const parts = [];
  for (let bin = 0; bin < MOST_DOTS; bin += 1) {
    const values = extremes(found, bin);
    if (!values.length) continue;
    const [low, high] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
    const kind = wrong.has(bin) ? " wrong" : kindOf(high < 0 ? high : high > 1 ? high : low);
    parts.push(drawn("rect", { class: `dot${kind}`, x: x(bin, MOST_DOTS) - width / 2, width, y: y(high), height: Math.max(1.5, y(low) - y(high)) }));
    if (!wrong.has(bin)) continue;
    const own = extremes(expected, bin);
    const mean = own.reduce((sum, value) => sum + value, 0) / own.length;
    if (own.length) parts.push(drawn("line", { class: "expected", x1: x(bin, MOST_DOTS) - 2, x2: x(bin, MOST_DOTS) + 2, y1: y(mean), y2: y(mean) }));
  }
  return parts;
}
