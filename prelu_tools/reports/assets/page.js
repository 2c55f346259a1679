/* The layers of a model: what is shown comes from the element "data", and goes in as text, never as markup. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const page = document.getElementById("slopes");
  const { short } = Charts;
  const SEVERITIES = ["error", "warning", "info"];
  const ORDERS = [
    ["order", "model order", (layer) => layer.position],
    ["name", "name", (layer) => layer.name],
    ["count", "number of slopes", (layer) => layer.statistics.count],
    ["mean", "mean", (layer) => layer.statistics.mean],
    ["std", "standard deviation", (layer) => layer.statistics.std],
    ["min", "smallest slope", (layer) => layer.statistics.min],
    ["max", "largest slope", (layer) => layer.statistics.max],
    ["negative", "share below 0", (layer) => layer.statistics.n_negative / layer.statistics.count],
    ["above", "share above 1", (layer) => layer.statistics.n_above_one / layer.statistics.count],
    ["severity", "severity of findings", (layer) => SEVERITIES.length - worst(layer)],
  ];
  if (data.layers.some((layer) => layer.usage !== null)) {
    ORDERS.push(["used", "share of negative values", (layer) => layer.usage && layer.usage.negative]);
    ORDERS.push(["output", "share of the output", (layer) => layer.usage && layer.usage.output]);
  }

  function el(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  const counted = (number, noun) => number.toLocaleString("en") + " " + noun + (number === 1 ? "" : "s");
  const percent = (part) => (100 * part).toFixed(1) + "%";

  function worst(layer) {
    const found = SEVERITIES.findIndex((severity) => layer.findings.some(([found]) => found === severity));
    return found < 0 ? SEVERITIES.length : found;
  }

  function overview() {
    const host = el("div", { class: "chart tall", id: "depth", role: "img",
      "aria-label": "Smallest, median and largest slope of each layer by depth" });
    return el("section", { class: "panel" },
      el("h3", {}, "Slopes by depth: median, smallest to largest (choose a point to go to its layer)"), host);
  }

  function row(name, value) {
    return el("div", {}, el("dt", {}, name), el("dd", {}, value));
  }

  function facts(layer) {
    const s = layer.statistics;
    const rows = [
      row("slopes", s.count.toLocaleString("en")), row("mean", short(s.mean, 3)),
      row("std", s.count > 1 ? short(s.std, 3) : "-"), row("min", short(s.min, 3)), row("median", short(s.median, 3)),
      row("max", short(s.max, 3)), row("below 0", percent(s.n_negative / s.count)),
      row("above 1", percent(s.n_above_one / s.count)),
      row("adds", layer.overhead === null ? "-" : short(layer.overhead, 3) + "%"),
    ];
    if (s.n_nonfinite) rows.push(row("not finite", String(s.n_nonfinite)));
    if (layer.usage !== null) {
      rows.push(row("negative in", percent(layer.usage.negative)), row("unused", String(layer.usage.unused)),
        row("of output", percent(layer.usage.output)));
    }
    return el("dl", {}, ...rows);
  }

  function about(layer) {
    const shape = layer.shape.length ? layer.shape.join("x") : "()";
    const uses = layer.nodes.length > 1 ? ", used " + layer.nodes.length + " times" : "";
    const found = layer.findings.map(([, code]) => code);
    const words = layer.health.filter((word) => !found.includes(word)).map((word) => el("span", { class: "word", title: data.meanings[word] }, word));
    const findings = layer.findings.map(([severity, code]) => el("span", { class: "verdict " + severity }, severity + " " + code));
    return el("div", {}, el("h2", {}, layer.name),
      el("p", { class: "small soft" }, layer.form + ", " + layer.sharing + ", " + shape + " " + layer.dtype + uses),
      el("div", { class: "words" }, ...findings, ...words), facts(layer));
  }

  function asText(layer) {
    const pre = el("pre", {});
    const details = el("details", {}, el("summary", {}, "values as text"), pre);
    details.addEventListener("toggle", () => {
      if (!details.open || pre.textContent) return;
      pre.textContent = layer.per === 1
        ? layer.values.map((value, i) => i + ": " + (value === null ? "not finite" : value)).join("\n")
        : layer.mean.map((mean, i) => i * layer.per + ": " + layer.low[i] + " to " + layer.high[i] + ", mean " + mean).join("\n");
    });
    return details;
  }

  function valuePart(layer) {
    if (layer.statistics.count === 1) {
      return el("div", { class: "values" }, el("h3", {}, "The one slope"), el("p", { class: "one" }, short(layer.values[0])));
    }
    const what = layer.sharing === "channel-wise" ? "by channel" : "in order";
    const thinned = layer.per === 1 ? "" :
      ": " + layer.statistics.count.toLocaleString("en") + " slopes in runs of " + layer.per.toLocaleString("en") +
      ", each with its smallest, mean and largest";
    const host = el("div", { class: "chart", role: "img", "aria-label": "Slopes " + what + " of " + layer.name });
    layer.hosts.values = host;
    return el("div", { class: "values" }, el("h3", {}, "Slopes " + what + thinned), host, asText(layer));
  }

  function card(layer) {
    layer.hosts = {};
    layer.hosts.histogram = el("div", { class: "chart", role: "img", "aria-label":
      "Histogram of " + counted(layer.statistics.count, "slope") + " from " + short(layer.spread[0]) + " to " +
      short(layer.spread[2]) });
    return el("article", { class: "layer" }, about(layer),
      el("div", {}, el("h3", {}, "Distribution of the slopes"), layer.hosts.histogram), valuePart(layer));
  }

  let own = false;

  function drawValues(layer) {
    if (layer.charts.values) Charts.forget(layer.charts.values);
    layer.charts.values = Charts.values(layer.hosts.values, layer, data.scale, own);
  }

  function draw(layer) {
    if (layer.charts) return;
    layer.charts = { histogram: Charts.histogram(layer.hosts.histogram, layer, data.scale) };
    if (layer.hosts.values) drawValues(layer);
    seen.unobserve(layer.card);
  }

  /* A chart is drawn when it first comes into view: two hundred layers open at once, otherwise. */
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const layer = data.layers.find((each) => each.card === entry.target);
      if (entry.isIntersecting) draw(layer);
    }
  }, { rootMargin: "400px" });

  /* On paper there is no view to come into. */
  addEventListener("beforeprint", () => {
    for (const layer of data.layers) if (layer.card.isConnected) draw(layer);
  });

  function choice(id, label, options) {
    const items = options.map(([value, text]) => el("option", { value }, text));
    return el("select", { id, "aria-label": label }, ...items);
  }

  const search = el("input", { type: "search", id: "filter", placeholder: "Filter by name, form, finding", "aria-label": "Filter" });
  const sort = choice("sort", "Sort by", ORDERS.map(([value, text]) => [value, "Sort by " + text]));
  const direction = el("button", { id: "direction", type: "button", "aria-pressed": "false" }, "↑ ascending");
  const severity = choice("severity", "Findings", [["all", "All layers"], ["any", "With findings"],
    ["warning", "With errors or warnings"], ["error", "With errors"]]);
  const scaling = choice("scale", "Scale of values", [["common", "One scale for all"], ["own", "Own scale each"]]);
  const count = el("span", { id: "count", class: "soft small", role: "status" });
  const nothing = el("p", { class: "none", id: "none" }, "No layer fits these filters.");
  const words = new Set();

  function wordButtons() {
    const present = [...new Set(data.layers.flatMap((layer) => layer.health))];
    const buttons = present.map((word) => {
      const number = data.layers.filter((layer) => layer.health.includes(word)).length;
      const button = el("button", { type: "button", "aria-pressed": "false", "data-word": word, title: data.meanings[word] }, word + " " + number);
      button.addEventListener("click", () => {
        if (!words.delete(word)) words.add(word);
        button.setAttribute("aria-pressed", String(words.has(word)));
        update();
      });
      return button;
    });
    return el("div", { class: "words", role: "group", "aria-label": "Health" }, ...buttons);
  }

  function key() {
    return el("p", { class: "key" },
      el("span", { style: "--swatch: var(--below)" }, "below 0: flips the sign"),
      el("span", { style: "--swatch: var(--between)" }, "0 to 1"),
      el("span", { style: "--swatch: var(--above)" }, "above 1: amplifies"));
  }

  function fits(layer) {
    const limit = { all: SEVERITIES.length, any: 2, warning: 1, error: 0 }[severity.value];
    return worst(layer) <= limit && [...words].every((word) => layer.health.includes(word)) &&
      search.value.toLowerCase().split(/\s+/).every((part) => layer.text.includes(part));
  }

  function compare(key, sign) {
    return (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      const order = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y;
      return sign * order || a.position - b.position;
    };
  }

  function legend() {
    const used = data.layers.some((layer) => layer.usage !== null) ?
      "; negative in: share of the layer's input that is negative; unused: slopes that met no negative value; " +
      "of output: share of the layer's output, by magnitude, that comes from negative values" : "";
    return el("p", { class: "legend" }, "adds: slopes as a percentage of the parameters of the preceding layer" + used);
  }

  const list = el("div", { id: "layers" });

  function update() {
    const [, , key] = ORDERS.find(([value]) => value === sort.value);
    const down = direction.getAttribute("aria-pressed") === "true";
    const shown = data.layers.filter(fits).sort(compare(key, down ? -1 : 1));
    list.replaceChildren(...shown.map((layer) => layer.card));
    count.textContent = shown.length + " of " + counted(data.layers.length, "layer");
    nothing.hidden = shown.length > 0;
  }

  function listen() {
    search.addEventListener("input", update);
    sort.addEventListener("change", update);
    severity.addEventListener("change", update);
    direction.addEventListener("click", () => {
      const down = direction.getAttribute("aria-pressed") !== "true";
      direction.setAttribute("aria-pressed", String(down));
      direction.textContent = down ? "↓ descending" : "↑ ascending";
      update();
    });
    scaling.addEventListener("change", () => {
      own = scaling.value === "own";
      for (const layer of data.layers) if (layer.charts && layer.hosts.values) drawValues(layer);
    });
  }

  function choose(index) {
    const layer = data.layers[index];
    if (!layer.card.isConnected) return;
    for (const each of data.layers) each.card.classList.toggle("found", each === layer);
    layer.card.scrollIntoView();
  }

  data.layers.forEach((layer, position) => {
    layer.position = position;
    layer.charts = null;
    layer.text = [layer.name, layer.form, layer.sharing, layer.parameter || "", ...layer.nodes, ...layer.health,
      ...layer.findings.map((found) => found.join(" "))].join(" ").toLowerCase();
    layer.card = card(layer);
  });
  const several = data.layers.length > 1;
  if (several) page.append(overview());
  page.append(el("div", { class: "controls", role: "search" }, search, sort, direction, severity, scaling, count,
    wordButtons(), key()), legend(), list, nothing);
  listen();
  update();
  if (several) Charts.depth(document.getElementById("depth"), data.layers, data.scale, choose);
  for (const layer of data.layers) seen.observe(layer.card);
})();
