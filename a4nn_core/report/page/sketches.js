// Architectures (archaeology/sketch.py) and small charts, drawn as SVG.

const STEP = 52;
const BASE = 14;

function arcHeight(link) {
  return link[1] - link[0] === 1 ? 0 : 10 + 9 * (link[1] - link[0]);
}

function drawSketch(sketch, colours, label) {
  const { nodes, links } = sketch;
  const tallest = Math.max(0, ...links.map(arcHeight));
  const y = BASE + tallest * 0.75 + 14;
  const x = (index) => STEP * index + 30;
  const width = STEP * nodes.length + 20;
  const height = y + 62;
  const made = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const phases = [...new Set(nodes.map((node) => node[1]).filter((phase) => phase !== null))];
  for (const phase of phases) {
    const inside = nodes.flatMap((node, i) => (node[1] === phase ? [i] : []));
    const left = x(Math.min(...inside)) - STEP / 2 + 2;
    const right = x(Math.max(...inside)) + STEP / 2 - 2;
    made.append(svg("rect", { x: left, y: 2, width: right - left, height: height - 4, fill: "#f4f5f7", rx: 5 }));
    const words = svg("text", { x: (left + right) / 2, y: height - 7, "text-anchor": "middle", "font-size": 11, fill: "#555b66" });
    words.textContent = "phase " + (phase + 1);
    made.append(words);
  }
  const ordered = [...links].sort((a, b) => (a[2] !== "kept") - (b[2] !== "kept"));
  for (const link of ordered) {
    const [source, target, state] = link;
    const rise = arcHeight(link);
    const start = x(source) + (rise ? 8 : 16);
    const end = x(target) - (rise ? 8 : 16);
    const path = rise
      ? `M ${start} ${y - 13} C ${start + 6} ${y - 13 - rise}, ${end - 6} ${y - 13 - rise}, ${end} ${y - 15}`
      : `M ${start} ${y} L ${end} ${y}`;
    made.append(svg("path", {
      d: path, fill: "none", stroke: colours[state], "stroke-width": state === "kept" ? 1.3 : 2.4,
      "stroke-dasharray": state === "removed" ? "5 3" : "none",
    }));
    const tip = rise ? [end, y - 13, 4] : [end + 1, y, 0];
    made.append(svg("path", {
      d: tip[2] ? `M ${tip[0]} ${tip[1]} l -4.5 -5.5 l 7 -1 z` : `M ${tip[0]} ${tip[1]} l -7 -3.5 l 0 7 z`, fill: colours[state],
    }));
  }
  nodes.forEach((node, i) => made.append(drawNode(node, x(i), y, colours)));
  return made;
}

function drawNode([title, , size, round, state, flops, parameters], x, y, colours) {
  const gone = state === "removed";
  const colour = colours[state];
  const look = { stroke: round && !gone ? "#ffffff" : colour, fill: round && !gone ? colour : "#ffffff", "stroke-width": 1.6, "stroke-dasharray": gone ? "4 3" : "none" };
  const shape = round
    ? svg("circle", { cx: x, cy: y, r: 14, ...look })
    : svg("rect", { x: x - 22, y: y - 11, width: 44, height: 22, rx: 4, ...look });
  const words = svg("text", {
    x, y: y + 4, "text-anchor": "middle", "font-size": round ? 13 : 10, fill: round && !gone ? "#ffffff" : colour,
    "font-weight": state === "kept" ? 400 : 700,
  });
  words.textContent = short(title, round ? 4 : 9);
  const tip = svg("title");
  tip.textContent = `${title}: ${state}\n${number(flops / 1e6)} million multiply-adds, ${number(parameters)} parameters`;
  const group = svg("g", {}, tip, shape, words);
  size.split("\n").forEach((line, i) => {
    const below = svg("text", { x, y: y + 27 + 11 * i, "text-anchor": "middle", "font-size": 9, fill: "#555b66" });
    below.textContent = line;
    group.append(below);
  });
  return group;
}

function stateKey(colours, states) {
  const words = { first: "from the first parent alone", second: "from the second parent alone", removed: "removed (dashed)" };
  const entries = states.map((state) => {
    const line = el("span");
    line.style.borderTopColor = colours[state];
    if (state === "removed") line.style.borderTopStyle = "dashed";
    return el("li", {}, line, words[state] ?? state);
  });
  return el("ul", { className: "key" }, ...entries);
}

// a chart with lines, bands and points alone, too small for Plotly and there by the dozen
function drawSmall(chart, unit) {
  const width = 300;
  const height = 150;
  const left = unit === "%" ? 34 : 44;
  const bottom = height - 22;
  if (!chart.marks.length) return el("p", { className: "empty" }, chart.empty ?? "nothing to draw");
  const [x0, x1] = chart.x.range;
  const [y0, y1] = chart.y.range;
  const px = (x) => left + ((x - x0) / (x1 - x0)) * (width - left - 6);
  const py = (y) => bottom - ((y - y0) / (y1 - y0)) * (bottom - 8);
  const made = svg("svg", { viewBox: `0 0 ${width} ${height}`, width: "100%", role: "img", "aria-label": chart.title });
  const path = (x, y) => x.map((value, i) => `${i ? "L" : "M"} ${px(value).toFixed(1)} ${py(y[i]).toFixed(1)}`).join(" ");
  const text = (words, x, y, anchor) => {
    const label = svg("text", { x, y, "text-anchor": anchor, "font-size": 10, fill: "#555b66" });
    label.textContent = words;
    made.append(label);
  };
  made.append(svg("path", { d: `M ${left} 6 L ${left} ${bottom} L ${width - 4} ${bottom}`, fill: "none", stroke: "#8a8f98" }));
  const digits = unit === "%" ? 0 : 1; // a few decibels are the whole height
  text(`${y1.toFixed(digits)} ${unit}`, left - 3, 14, "end");
  text(`${y0.toFixed(digits)} ${unit}`, left - 3, bottom, "end");
  text("epoch 1", left + 4, height - 8, "start");
  text(String(Math.floor(x1)), width - 6, height - 8, "end");
  for (const mark of chart.marks) {
    if (mark.kind === "level") {
      made.append(svg("path", { d: `M ${left} ${py(mark.value)} L ${width - 4} ${py(mark.value)}`, stroke: mark.colour ?? "#8a8f98", "stroke-dasharray": "2 3" }));
      text(mark.words, width - 6, py(mark.value) - 3, "end");
    } else if (mark.kind === "band") {
      const back = path([...mark.x].reverse(), [...mark.low].reverse()).replace("M", "L");
      made.append(svg("path", { d: `${path(mark.x, mark.high)} ${back} Z`, fill: mark.colour, opacity: mark.strength ?? 1 }));
    } else if (mark.kind === "line") {
      const dash = { dot: "2 3", dash: "5 3" }[mark.dash] ?? "none";
      made.append(svg("path", { d: path(mark.x, mark.y), fill: "none", stroke: mark.colour, "stroke-width": mark.width ?? 1.5, "stroke-dasharray": dash }));
    } else if (mark.kind === "points") {
      mark.x.forEach((x, i) => {
        const colour = mark.colours.length === 1 ? mark.colours[0] : mark.colours[i];
        const open = mark.shape === "open";
        made.append(svg("circle", { cx: px(x), cy: py(mark.y[i]), r: (mark.size ?? 8) / 2, fill: open ? "#ffffff" : colour, stroke: colour, "stroke-width": 2 }));
      });
    }
  }
  return made;
}
