/* The explorer: the map of the test videos' embeddings, point by point. Needs d3, clips.js and data.js (the global
 * coreechoExplorer, written by coreecho.explorer), no network, and works from file://.
 *
 * It fills <div id="explorer">. Ids and attributes, for readers' styles and for tests:
 *   #explorer                data-ready="true" once drawn; data-map (0, 1, 2: a system's map; all: side by side; plane),
 *                            data-colour (ef, error, system), data-focused (video), data-system (number of the system
 *                            whose point it is), data-selected (points inside the region; none if there is no region)
 *   #explorer-map-VALUE      radio buttons: which map          #explorer-colour-VALUE   radio buttons: which colour
 *   #explorer-saliency       whose saliency: map (the point's own system) or a system's number
 *   #explorer-map            the map, one tab stop: arrows, Home, End, Page Up, Page Down, Space, Shift+arrows, Escape
 *   .explorer-point          the points: data-system, data-video; class focused, outside (of the region)
 *   #explorer-legend         colour bar, or systems            #explorer-live     what is announced
 *   #explorer-clip           the <echo-clip>                   #explorer-name, #explorer-facts, #explorer-answers
 *   #explorer-touch          toggle, where there is touch: a finger selects a region instead of scrolling the page
 *   #explorer-clear          forgets the region                #explorer-summary, #explorer-stats (n, MAE, bias)
 *   #explorer-histogram      errors inside and outside         #explorer-list     table of the points inside
 */
(() => {
  "use strict";
  const data = window.coreechoExplorer;
  const root = document.getElementById("explorer");
  const d3 = window.d3;
  if (!data || !root || !d3) return;

  const MARGIN = 16;
  const NEAR = 28; // pixels between the pointer and the point that it means
  const STEP = 24; // pixels by which Shift+arrow widens the region
  const BIN = 2; // EF points
  const MARKERS = { o: d3.symbolCircle, s: d3.symbolSquare, "^": d3.symbolTriangle, D: d3.symbolDiamond };
  const count = data.videos.length;
  const all = d3.range(count);
  const error = (s, v) => data.systems[s].predicted[v] - data.listed[v];
  const byEf = d3.sort(all, (v) => data.listed[v]);
  const place = new Map(byEf.map((v, index) => [v, index]));
  const worst = d3.max(data.systems, (_, s) => d3.quantile(all.map((v) => Math.abs(error(s, v))), 0.98));
  const limit = Math.max(5, Math.ceil(worst / 5) * 5);
  const colours = {
    ef: d3.scaleSequential(d3.extent(data.listed), d3.interpolateCividis),
    error: d3.scaleSequential([-limit, limit], d3.interpolatePuOr).clamp(true),
  };
  const one = (value) => value.toFixed(1);
  const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(1);
  const state = { map: "0", colour: "ef", focus: null, inside: null, pointer: "mouse", touch: false };

  /* Builds an element: node("p", {id: "a", text: "..."}, child, ...). */
  function node(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "text") made.textContent = value;
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  function table(id, caption, heads, rows) {
    const head = node("tr", {}, ...heads.map((text) => node("th", { scope: "col", text })));
    const body = rows.map(([first, ...rest]) =>
      node("tr", {}, node("th", { scope: "row", text: first }), ...rest.map((text) => node("td", { text }))),
    );
    const title = node("caption", { text: caption });
    return node("table", { id }, title, node("thead", {}, head), node("tbody", {}, ...body));
  }

  function choice(name, title, options) {
    const group = node("fieldset", { id: `explorer-${name}-choice` }, node("legend", { text: title }));
    for (const [value, text] of options) {
      const input = node("input", { type: "radio", name: `explorer-${name}`, id: `explorer-${name}-${value}`, value });
      input.addEventListener("change", () => choose(name, value));
      group.append(node("label", {}, input, document.createTextNode(text)));
    }
    return group;
  }

  // ---- the page's parts ----
  const names = data.systems.map((system) => system.name);
  const part = {
    map: node("div", { id: "explorer-map", role: "application", tabindex: "0", "aria-describedby": "explorer-help" }),
    legend: node("div", { id: "explorer-legend", class: "explorer-legend" }),
    note: node("p", { id: "explorer-note", class: "explorer-note" }),
    live: node("div", { id: "explorer-live", class: "explorer-hidden", role: "status", "aria-live": "polite" }),
    clip: node("echo-clip", { id: "explorer-clip", width: "208" }),
    name: node("p", { id: "explorer-name", class: "explorer-name" }),
    facts: node("dl", { id: "explorer-facts" }),
    answers: node("div"),
    saliency: node("select", { id: "explorer-saliency" }),
    summary: node("p", { id: "explorer-summary" }),
    stats: node("div"),
    histogram: node("div", { class: "explorer-histogram" }),
    list: node("div", { class: "explorer-scroll", role: "region", tabindex: "0", "aria-label": "Videos in the region" }),
    touch: node("button", { id: "explorer-touch", type: "button", "aria-pressed": "false", text: "Select a region" }),
    clear: node("button", { id: "explorer-clear", type: "button", text: "Clear the region" }),
  };
  const help =
    "Point at a video, or tap it. With the keyboard: arrow keys go to the nearest point in that direction, Page Up and " +
    "Page Down to the next higher and lower listed EF, Home and End to the lowest and highest; Space plays or pauses " +
    "the clip. Drag with the mouse to select a region, or hold Shift with the arrow keys to grow one around the point; " +
    "Escape clears it.";
  const finger = " A finger scrolls the page; it draws a region while “Select a region” is pressed.";

  function build() {
    const maps = [...names.map((name, s) => [String(s), name]), ["all", "Side by side"], ["plane", "One plane"]];
    const shades = [["ef", "Listed EF"], ["error", "Error"], ["system", "System"]];
    for (const [value, text] of [["map", "its own system"], ...names.map((name, s) => [String(s), name])]) {
      part.saliency.append(node("option", { value, text }));
    }
    part.saliency.addEventListener("change", () => state.focus && show(state.focus));
    part.touch.addEventListener("click", () => select(!state.touch));
    part.clear.addEventListener("click", () => clearRegion("The region is cleared."));
    const label = node("label", { class: "explorer-whose" }, document.createTextNode("Saliency of "), part.saliency);
    const words = node("div", { class: "explorer-words" }, part.name, part.facts, part.answers, label);
    const detail = node("div", { class: "explorer-detail", role: "group", "aria-label": "The video" }, part.clip, words);
    const map = node("div", { class: "explorer-map" }, part.touch, part.map, part.legend, part.note);
    const controls = [choice("map", "Map", maps), choice("colour", "Colour by", shades)];
    const title = node("p", { id: "explorer-region", class: "explorer-name", text: "Errors in a region" });
    const region = node("section", { "aria-labelledby": "explorer-region" }, title, part.summary, part.clear);
    region.append(node("div", { class: "explorer-errors" }, part.histogram, part.stats), part.list);
    root.replaceChildren(
      node("div", { class: "explorer-controls" }, ...controls),
      node("p", { id: "explorer-help", class: "explorer-note" }, help, node("span", { text: finger })),
      node("div", { class: "explorer-main" }, map, detail),
      region,
      part.live,
    );
  }

  // ---- the map ----
  let svg, brush, brushing, points, width, height, still;

  /* Where every shown point lies, in pixels; panels stand side by side, or one below the other on a narrow page. */
  function lay() {
    width = Math.max(240, part.map.clientWidth);
    const together = state.map === "plane";
    const shown = state.map === "all" || together ? d3.range(names.length) : [Number(state.map)];
    const panels = together ? [shown] : shown.map((s) => [s]);
    const columns = panels.length > 1 && width >= 520 ? panels.length : 1;
    const wide = width / columns;
    const high = Math.min(panels.length > 1 ? 280 : 460, Math.max(220, 0.9 * wide));
    height = high * Math.ceil(panels.length / columns);
    points = [];
    const frames = panels.map((systems, index) => {
      const left = (index % columns) * wide;
      const top = Math.floor(index / columns) * high;
      const own = systems.flatMap((s) => {
        const [x, y] = together ? data.systems[s].turned : data.systems[s].own;
        return all.map((v) => ({ s, v, at: [x[v], y[v]] }));
      });
      const [spanX, spanY] = [0, 1].map((axis) => d3.extent(own, (point) => point.at[axis]));
      let scaleX = (wide - 2 * MARGIN) / (spanX[1] - spanX[0] || 1);
      let scaleY = (high - 2 * MARGIN - (together ? 0 : 14)) / (spanY[1] - spanY[0] || 1);
      if (together) scaleX = scaleY = Math.min(scaleX, scaleY); // what was turned may not be stretched
      const middle = [left + wide / 2, top + high / 2 + (together ? 0 : 7)];
      for (const point of own) {
        point.x = middle[0] + scaleX * (point.at[0] - d3.mean(spanX));
        point.y = middle[1] - scaleY * (point.at[1] - d3.mean(spanY));
        points.push(point);
      }
      return { left, top, wide, high, title: together ? "" : names[systems[0]] };
    });
    return frames;
  }

  function fill({ s, v }) {
    if (state.colour === "system") return data.systems[s].colour;
    return state.colour === "ef" ? colours.ef(data.listed[v]) : colours.error(error(s, v));
  }

  const many = () => state.map === "all" || state.map === "plane";
  const shape = ({ s }, area) => d3.symbol(MARKERS[data.systems[s].marker] || d3.symbolCircle, area)();
  const area = () => (many() || width < 420 ? 44 : 72);

  function draw() {
    const frames = lay();
    part.map.replaceChildren();
    svg = d3.select(part.map).append("svg");
    svg.attr("width", width).attr("height", height).attr("viewBox", `0 0 ${width} ${height}`).attr("aria-hidden", "true");
    const panel = svg.selectAll("g.explorer-panel").data(frames).join("g").attr("class", "explorer-panel");
    panel.append("rect").attr("x", (f) => f.left + 1).attr("y", (f) => f.top + 1);
    panel.select("rect").attr("width", (f) => f.wide - 2).attr("height", (f) => f.high - 2);
    panel.append("text").attr("x", (f) => f.left + 8).attr("y", (f) => f.top + 16).text((f) => f.title);
    const marks = svg.append("g").selectAll("path").data(points).join("path").attr("class", "explorer-point");
    marks.attr("data-system", (p) => p.s).attr("data-video", (p) => data.videos[p.v]);
    marks.attr("transform", (p) => `translate(${p.x},${p.y})`).attr("d", (p) => shape(p, area())).attr("fill", fill);
    brush = d3.brush().extent([[0, 0], [width, height]]).on("brush end", brushed);
    // The mouse events that follow a tap are no drag either.
    const drags = (event) => !event.ctrlKey && !event.button && (state.touch || state.pointer === "mouse");
    brush.filter(drags).touchable(() => state.touch);
    brushing = svg.append("g").attr("class", "explorer-brush").call(brush);
    const whose = many() ? "maps of all systems" : `map of ${names[Number(state.map)]}`;
    part.map.setAttribute("aria-label", `Embedding ${whose}: ${points.length} points`);
    state.inside = null;
    mark();
    legend();
    errors();
  }

  /* Shows which point is meant and which lie inside the region. */
  function mark() {
    const inside = state.inside && new Set(state.inside.map((point) => point.v));
    const own = state.inside && new Set(state.inside);
    const outside = (point) => Boolean(own) && !(own.has(point) || (state.map === "all" && inside.has(point.v)));
    const meant = (point) => Boolean(state.focus) && point.v === state.focus.v && point.s === state.focus.s;
    const twin = (point) => Boolean(state.focus) && many() && point.v === state.focus.v && !meant(point);
    const marks = svg.selectAll(".explorer-point");
    marks.classed("outside", outside).classed("focused", meant).classed("twin", twin);
    marks.attr("d", (point) => shape(point, meant(point) ? 2.6 * area() : twin(point) ? 1.6 * area() : area()));
    marks.filter((point) => meant(point) || twin(point)).raise();
    root.dataset.selected = state.inside ? String(state.inside.length) : "";
  }

  function legend() {
    part.legend.replaceChildren();
    const text = { ef: "listed EF (%)", error: "predicted minus listed EF (EF points)" }[state.colour];
    if (text) {
      const [low, high] = colours[state.colour].domain().slice(0, 1).concat(colours[state.colour].domain().slice(-1));
      const stops = d3.range(0, 1.01, 0.05).map((t) => colours[state.colour](low + t * (high - low)));
      const ramp = node("span", { class: "explorer-ramp", "aria-hidden": "true" });
      ramp.style.background = `linear-gradient(90deg, ${stops.join(",")})`;
      const write = state.colour === "ef" ? one : (value) => (value ? signed(value) : "0");
      const ends = [low, (low + high) / 2, high].map((value) => node("span", { text: write(value) }));
      if (state.colour === "error") {
        ends[0].textContent = `${ends[0].textContent} and below`;
        ends[2].textContent = `${ends[2].textContent} and above`;
      }
      const bar = node("div", { class: "explorer-bar" }, ramp, node("div", { class: "explorer-ends" }, ...ends));
      part.legend.append(bar, node("span", { text }));
    }
    if (many() || state.colour === "system") {
      const keys = node("div", { class: "explorer-keys" });
      data.systems.forEach((system, s) => {
        const key = node("span");
        const mark = d3.select(key).append("svg").attr("width", 16).attr("height", 16).attr("aria-hidden", "true");
        const drawn = mark.append("path").attr("transform", "translate(8,8)").attr("d", shape({ s }, 64));
        drawn.attr("class", "explorer-key").attr("fill", state.colour === "system" ? system.colour : "currentColor");
        key.append(document.createTextNode(system.name));
        keys.append(key);
      });
      part.legend.append(keys);
    }
    part.note.textContent =
      state.map === "plane"
        ? `Each map is centred, scaled to the same spread, and turned or mirrored onto ${names[0]}'s as near as it ` +
          "gets (Procrustes). Layouts have no common axes: that two systems' points lie together here shows little."
        : "A layout is a picture: its axes have no unit, and distances between far-apart points mean little.";
  }

  // ---- one point ----
  const pictures = new Map();
  function picture(name) {
    if (!pictures.has(name)) {
      const image = new Image();
      const loaded = new Promise((resolve) => image.addEventListener("load", () => resolve(image), { once: true }));
      image.src = data.base + name;
      pictures.set(name, loaded);
    }
    return pictures.get(name);
  }

  /* The planes of rows of a map that is written as two hexadecimal digits a cell. */
  function cells(text, [planes, rows, columns]) {
    let at = 0;
    const next = () => parseInt(text.slice(at, (at += 2)), 16) / 255;
    return d3.range(planes).map(() => d3.range(rows).map(() => d3.range(columns).map(next)));
  }

  function describe({ s, v }) {
    const truth = data.truth ? `, true EF ${one(data.truth[v])} %` : "";
    const answer = `${names[s]} predicts ${one(data.systems[s].predicted[v])} %, error ${signed(error(s, v))} points`;
    return `${data.videos[v]}: listed EF ${one(data.listed[v])} %${truth}; ${answer}`;
  }

  function show(point) {
    const { s, v } = point;
    state.focus = point;
    root.dataset.focused = data.videos[v];
    root.dataset.system = String(s);
    part.name.textContent = `Video ${data.videos[v]}`;
    const facts = [["Listed EF", `${one(data.listed[v])} %`]];
    if (data.truth) facts.push(["True EF (phantom)", `${one(data.truth[v])} %`]);
    part.facts.replaceChildren(
      ...facts.flatMap(([term, text]) => [node("dt", { text: term }), node("dd", { text })]),
    );
    const rows = names.map((name, number) => [
      name,
      one(data.systems[number].predicted[v]),
      signed(error(number, v)),
    ]);
    const heads = ["System", "EF (%)", "Error"];
    part.answers.replaceChildren(table("explorer-answers", "Predictions for this clip", heads, rows));
    part.answers.querySelectorAll("tbody tr")[s].classList.add("own");
    clip(point);
    mark();
  }

  function clip(point) {
    const { frames, size, fps, pictures: files, rows } = data.clip;
    const whose = part.saliency.value === "map" ? point.s : Number(part.saliency.value);
    const system = data.systems[whose];
    const map = cells(system.saliency[point.v], system.grid);
    const empty = !map.some((plane) => plane.some((row) => row.some((value) => value > 0)));
    const told = empty ? `, nothing raises ${system.name}'s prediction` : `, saliency of ${system.name}`;
    const label = `Clip of ${data.videos[point.v]}, listed EF ${one(data.listed[point.v])} %${told}`;
    const source = { x: 0, y: (point.v % rows) * size, size, frames, fps, label, cell: system.cell };
    picture(files[Math.floor(point.v / rows)]).then((image) => {
      if (state.focus !== point) return; // another point was meant meanwhile
      customElements.whenDefined("echo-clip").then(() => part.clip.show({ ...source, image, saliency: empty ? null : map }));
    });
  }

  function say(text) {
    part.live.textContent = text;
  }

  function visit(point) {
    if (!point) return;
    show(point);
    say(describe(point));
  }

  const point = (s, v) => points.find((each) => each.s === s && each.v === v);

  /* The nearest point that lies more ahead than aside; else any that lies ahead. */
  function ahead(from, [right, down]) {
    let best = null;
    for (const narrow of [true, false]) {
      for (const each of points) {
        const along = (each.x - from.x) * right + (each.y - from.y) * down;
        const aside = Math.abs((each.x - from.x) * down) + Math.abs((each.y - from.y) * right);
        if (each === from || along <= 0.01 || (narrow && aside > along)) continue;
        const cost = along + 2 * aside;
        if (!best || cost < best.cost) best = { each, cost };
      }
      if (best) return best.each;
    }
    return null;
  }

  function nearest([x, y]) {
    const best = d3.least(points, (each) => Math.hypot(each.x - x, each.y - y));
    return best && Math.hypot(best.x - x, best.y - y) <= NEAR ? best : null;
  }

  // ---- a region ----
  /* Whether a finger selects a region or, as everywhere, scrolls the page: d3's brush hears touches and keeps the page
     still only where it is told so when it is put on. */
  function select(touch) {
    state.touch = touch;
    part.touch.setAttribute("aria-pressed", String(touch));
    brushing.on(".brush", null).style("touch-action", null).call(brush);
    say(touch ? "A finger now selects a region." : "A finger now scrolls the page.");
  }

  function brushed({ selection }) {
    const within = ({ x, y }, [[left, top], [right, bottom]]) => x >= left && x <= right && y >= top && y <= bottom;
    state.inside = selection ? points.filter((each) => within(each, selection)) : null;
    mark();
    errors();
  }

  function grow([right, down]) {
    const now = d3.brushSelection(brushing.node());
    const from = state.focus;
    const [[left, top], [east, bottom]] = now || [[from.x - 12, from.y - 12], [from.x + 12, from.y + 12]];
    const limits = (value, most) => Math.min(Math.max(value, 0), most);
    brushing.call(brush.move, [
      [limits(left - (right < 0 ? STEP : 0), width), limits(top - (down < 0 ? STEP : 0), height)],
      [limits(east + (right > 0 ? STEP : 0), width), limits(bottom + (down > 0 ? STEP : 0), height)],
    ]);
    say(part.summary.textContent);
  }

  function clearRegion(text) {
    brushing.call(brush.move, null);
    if (text) say(text);
  }

  function measures(group) {
    const values = group.map(({ s, v }) => error(s, v));
    if (!values.length) return { n: 0, mae: "none", bias: "none", values };
    return { n: values.length, mae: d3.mean(values, Math.abs).toFixed(2), bias: signed2(d3.mean(values)), values };
  }

  const signed2 = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);

  function errors() {
    const inside = state.inside;
    // The others of the systems that have points inside: errors of another system are no comparison.
    const systems = new Set(inside && inside.length ? inside.map(({ s }) => s) : points.map(({ s }) => s));
    const held = new Set(inside);
    const rest = points.filter((each) => systems.has(each.s) && !held.has(each));
    const groups = inside ? [["inside", "Inside", measures(inside)]] : [];
    groups.push(["others", inside ? "All others" : "All points shown", measures(rest)]);
    const whose = [...systems].map((s) => names[s]).join(", ");
    const tell = ([, name, m]) => `${name}: ${m.n}${m.n ? `, with an MAE of ${m.mae} and a bias of ${m.bias}` : ""}`;
    const words = `${groups.map(tell).join(". ")} (${whose}; EF points)`;
    part.summary.textContent = `${inside ? "" : "No region is selected. "}${words}.`;
    part.clear.hidden = !inside;
    const rows = groups.map(([, name, m]) => [name, String(m.n), m.mae, m.bias]);
    part.stats.replaceChildren(table("explorer-stats", "Errors in EF points", ["Points", "n", "MAE", "Bias"], rows));
    histogram(groups, words);
    part.list.hidden = !(inside && inside.length);
    const lines = d3.sort(inside || [], ({ v }) => place.get(v)).map(({ s, v }) => {
      const truth = data.truth ? [one(data.truth[v])] : [];
      const answer = [one(data.systems[s].predicted[v]), signed(error(s, v))];
      return [data.videos[v], names[s], one(data.listed[v]), ...truth, ...answer];
    });
    const heads = ["Video", "System", "Listed EF (%)", ...(data.truth ? ["True EF (%)"] : []), "Predicted EF (%)", "Error"];
    part.list.replaceChildren(table("explorer-list", "Points inside the region", heads, lines));
  }

  function histogram(groups, words) {
    const wide = Math.max(240, Math.min(part.histogram.clientWidth || 400, 460));
    const [high, left, bottom, top] = [190, 40, 38, 10];
    const every = data.systems.flatMap((_, s) => all.map((v) => error(s, v)));
    const [low, most] = [Math.floor(d3.min(every) / BIN) * BIN, Math.ceil((d3.max(every) + 0.001) / BIN) * BIN];
    const bins = d3.bin().domain([low, most]).thresholds(d3.range(low + BIN, most, BIN));
    const shares = groups.map(([kind, , m]) => [kind, bins(m.values).map((bin) => (100 * bin.length) / (m.n || 1))]);
    const x = d3.scaleLinear([low, most], [left, wide - 8]);
    const y = d3.scaleLinear([0, d3.max(shares.flatMap(([, values]) => values)) || 1], [high - bottom, top]).nice(4);
    part.histogram.replaceChildren();
    const drawn = d3.select(part.histogram).append("svg").attr("id", "explorer-histogram").attr("role", "img");
    drawn.attr("aria-label", `Histogram of errors; ${words}`).attr("viewBox", `0 0 ${wide} ${high}`).attr("width", wide);
    const step = (x(BIN) - x(0)) / groups.length;
    shares.forEach(([kind, values], number) => {
      const bars = drawn.append("g").attr("class", `explorer-${kind}`).selectAll("rect").data(values).join("rect");
      bars.attr("x", (_, bin) => x(low + bin * BIN) + number * step + 0.5).attr("width", Math.max(1, step - 1));
      bars.attr("y", (value) => y(value)).attr("height", (value) => y(0) - y(value));
    });
    drawn.append("line").attr("class", "explorer-zero").attr("x1", x(0)).attr("x2", x(0)).attr("y1", top).attr("y2", y(0));
    drawn.append("g").attr("transform", `translate(0,${high - bottom})`).call(d3.axisBottom(x).ticks(7));
    drawn.append("g").attr("transform", `translate(${left},0)`).call(d3.axisLeft(y).ticks(4));
    const axis = "error: predicted minus listed EF (points)";
    drawn.append("text").attr("x", (left + wide) / 2).attr("y", high - 6).attr("text-anchor", "middle").text(axis);
    const turn = `translate(11,${(top + high - bottom) / 2}) rotate(-90)`;
    drawn.append("text").attr("transform", turn).attr("text-anchor", "middle").text("share of points (%)");
    const key = node("div", { class: "explorer-keys" });
    for (const [kind, name] of groups) {
      key.append(node("span", {}, node("i", { class: `explorer-${kind}` }), document.createTextNode(name)));
    }
    part.histogram.append(key);
  }

  // ---- what readers do ----
  function choose(name, value) {
    redraw(name, value);
    const chosen = (kind) => root.querySelector(`#explorer-${kind}-${state[kind]}`).parentNode.textContent;
    say(`Map: ${chosen("map")}; colour: ${chosen("colour")}.`);
  }

  function redraw(name, value) {
    state[name] = value;
    // A system's colour tells nothing on its own map.
    if (name === "colour" && value === "system" && !many()) state.map = "plane";
    if (name === "map" && !many() && state.colour === "system") state.colour = "ef";
    root.dataset.map = state.map;
    root.dataset.colour = state.colour;
    for (const kind of ["map", "colour"]) root.querySelector(`#explorer-${kind}-${state[kind]}`).checked = true;
    draw();
    const { s, v } = state.focus || { s: 0, v: byEf[Math.floor(count / 2)] };
    show(point(s, v) || point(Number(state.map), v));
  }

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  function pressed(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { s, v } = state.focus;
    const beside = { PageUp: place.get(v) + 1, PageDown: place.get(v) - 1, Home: 0, End: count - 1 }[event.key];
    if (ARROWS[event.key] && event.shiftKey) grow(ARROWS[event.key]);
    else if (ARROWS[event.key]) visit(ahead(state.focus, ARROWS[event.key]));
    else if (beside !== undefined) visit(point(s, byEf[Math.min(Math.max(beside, 0), count - 1)]));
    else if (event.key === "Escape") clearRegion("The region is cleared.");
    else if (event.key === " ") part.clip.wanted ? part.clip.pause() : part.clip.play();
    else return;
    event.preventDefault();
  }

  function listen() {
    part.map.addEventListener("keydown", pressed);
    part.map.addEventListener("focus", () => state.focus && say(describe(state.focus)));
    part.map.addEventListener("pointermove", (event) => {
      if (event.pointerType === "touch" || event.buttons) return;
      const meant = nearest(d3.pointer(event, svg.node()));
      if (meant && meant !== state.focus) show(meant);
    });
    // Before the brush, which keeps what it hears to itself: a touch or click that does not move means a point.
    part.map.addEventListener("pointerdown", (event) => {
      still = [event.clientX, event.clientY];
      state.pointer = event.pointerType;
    }, true);
    part.map.addEventListener("pointerup", (event) => {
      if (!still || Math.hypot(event.clientX - still[0], event.clientY - still[1]) > 6) return;
      const meant = nearest(d3.pointer(event, svg.node()));
      if (meant) visit(meant);
    }, true);
    let before = part.map.clientWidth;
    const fit = () => {
      if (Math.abs(part.map.clientWidth - before) < 2) return;
      before = part.map.clientWidth;
      redraw("map", state.map);
    };
    if ("ResizeObserver" in window) new ResizeObserver(fit).observe(part.map);
    else window.addEventListener("resize", fit);
  }

  build();
  redraw("map", state.map);
  listen();
  root.dataset.ready = "true";
})();
