// Charts (archaeology/chart.py) drawn with Plotly. What stands for a network is linked to all other figures by its
// number: what the filter hides is left out, what is chosen is drawn again on top.

const INK = "#1f2430";
const CHOSEN = ["#1f2430", "#cc79a7", "#0072b2", "#d55e00"];
const SYMBOLS = { dot: "circle", open: "circle", ring: "circle-open", square: "square", hollow: "square" };

function at(values, index) {
  return values.length === 1 ? values[0] : values[index];
}

function kept(mark, visible) {
  const networks = mark.networks ?? [];
  const all = [...(mark.x ?? mark.at).keys()];
  return networks.length ? all.filter((i) => networks[i] === null || visible(networks[i])) : all;
}

const MOST_ENDS = 300;

function pointTraces(mark, view) {
  const indices = kept(mark, view.visible);
  const pick = (values) => indices.map((i) => values[i]);
  const colours = mark.colours ?? ["#6b7280"];
  const shape = mark.shape ?? "dot";
  const colour = colours.length === 1 ? colours[0] : indices.map((i) => at(colours, i)); // one for all is drawn faster
  const traces = [];
  const whiskers = indices.filter((i) => mark.low?.[i] !== null && mark.low?.[i] !== undefined);
  if (whiskers.length) {
    const along = whiskers.flatMap((i) => [mark.low[i], mark.high[i], null]);
    const across = whiskers.flatMap((i) => (mark.lying ? [mark.y[i], mark.y[i], null] : [mark.x[i], mark.x[i], null]));
    traces.push({
      // of many whiskers only the lines, as one path: ends are two elements more for each network
      type: "scatter", mode: whiskers.length > MOST_ENDS ? "lines" : "lines+markers", hoverinfo: "skip", showlegend: false, opacity: 0.6,
      x: mark.lying ? along : across, y: mark.lying ? across : along,
      line: { color: "#6b7280", width: 1.2 },
      marker: { symbol: mark.lying ? "line-ns-open" : "line-ew-open", size: 7, color: "#6b7280" },
    });
  }
  const open = shape === "open" || shape === "hollow";
  traces.push({
    type: "scatter", mode: "markers", name: plain(short(mark.label ?? "")), showlegend: Boolean(mark.label), opacity: mark.strength ?? 1,
    x: pick(mark.x), y: pick(mark.y), customdata: mark.networks?.length ? pick(mark.networks) : undefined,
    text: indices.map((i) => view.about(mark.networks?.[i], mark.text?.[i])),
    hovertemplate: "%{text}<extra></extra>",
    hoverinfo: shape === "ring" ? "skip" : undefined,
    marker: {
      symbol: SYMBOLS[shape], size: mark.size ?? 9, color: open ? "#ffffff" : colour,
      line: { color: open || shape === "ring" ? colour : "#ffffff", width: open || shape === "ring" ? 2 : 1 },
    },
  });
  if (shape === "ring") delete traces.at(-1).hovertemplate;
  view.chosen.forEach((number, rank) => {
    const marked = indices.filter((i) => mark.networks?.[i] === number);
    if (!marked.length || shape === "ring") return;
    traces.push({
      type: "scatter", mode: "markers", hoverinfo: "skip", showlegend: false,
      x: marked.map((i) => mark.x[i]), y: marked.map((i) => mark.y[i]),
      marker: { symbol: rank ? "diamond-open" : "square-open", size: (mark.size ?? 9) + 13, color: CHOSEN[rank], line: { width: 2.5 } },
    });
  });
  return traces;
}

function lineStyle(mark) {
  return { color: mark.colour ?? "#6b7280", width: mark.width ?? 1.5, dash: mark.dash ?? "solid", shape: mark.step ? "hv" : "linear" };
}

// lines of the same look are one trace, or a thousand curves would be a thousand traces
function lineTraces(marks, view) {
  const groups = new Map();
  const traces = [];
  for (const mark of marks) {
    if (mark.network !== undefined && !view.visible(mark.network)) continue;
    const style = lineStyle(mark);
    const key = JSON.stringify([style, mark.strength ?? 1, mark.label ?? ""]);
    if (!groups.has(key)) {
      const trace = {
        type: "scatter", mode: "lines", line: style, opacity: mark.strength ?? 1, x: [], y: [], text: [], customdata: [],
        name: plain(short(mark.label ?? "")), showlegend: Boolean(mark.label), connectgaps: false,
        hovertemplate: "%{text}<br>%{x}: %{y:.2f}<extra></extra>",
      };
      groups.set(key, trace);
      traces.push(trace);
    }
    const trace = groups.get(key);
    const words = plain(mark.network === undefined || mark.text ? short(mark.text ?? "") : "network " + mark.network);
    mark.x.forEach((x, i) => {
      trace.x.push(x);
      trace.y.push(mark.y[i]);
      trace.text.push(words);
      trace.customdata.push(mark.network ?? null);
    });
    trace.x.push(null);
    trace.y.push(null);
    trace.text.push("");
    trace.customdata.push(null);
  }
  view.chosen.forEach((number, rank) => {
    for (const mark of marks.filter((one) => one.network === number && view.visible(number))) {
      const line = { ...lineStyle(mark), color: CHOSEN[rank], width: 4 };
      traces.push({ type: "scatter", mode: "lines", x: mark.x, y: mark.y, line, hoverinfo: "skip", showlegend: false });
    }
  });
  return traces;
}

function linkTrace(mark, view) {
  const trace = { type: "scatter", mode: "lines", x: [], y: [], hoverinfo: "skip", showlegend: false, opacity: mark.strength ?? 1,
    line: { color: mark.colour ?? "#8a8f98", width: mark.width ?? 1 } };
  mark.pairs.forEach(([one, other], i) => {
    if (!view.visible(one) || !view.visible(other)) return;
    trace.x.push(...mark.x[i], null);
    trace.y.push(...mark.y[i], null);
  });
  return trace;
}

function stepped(x, y) {
  return x.flatMap((value, i) => (i ? [[value, y[i - 1]], [value, y[i]]] : [[value, y[i]]]));
}

function bandTrace(mark, view) {
  if (mark.network !== undefined && mark.network !== null && !view.visible(mark.network)) return null;
  const pairs = (y) => (mark.step ? stepped(mark.x, y) : mark.x.map((x, i) => [x, y[i]]));
  const outline = [...pairs(mark.high), ...pairs(mark.low).reverse()];
  const strength = mark.strength ?? 1;
  return {
    type: "scatter", mode: "lines", fill: "toself", fillcolor: rgba(mark.colour ?? "#6b7280", strength),
    line: { color: strength > 0.5 ? "#ffffff" : "rgba(0,0,0,0)", width: 1 }, x: outline.map((p) => p[0]), y: outline.map((p) => p[1]),
    hoveron: "fills", hoverinfo: mark.text ? "text" : "skip", text: plain(mark.text ?? ""),
    name: plain(short(mark.label ?? "")), showlegend: Boolean(mark.label),
  };
}

function rgba(colour, opacity) {
  const part = (start) => parseInt(colour.slice(start, start + 2), 16);
  return `rgba(${part(1)},${part(3)},${part(5)},${opacity})`;
}

function barTraces(mark, view) {
  const indices = kept(mark, view.visible);
  const pick = (values) => indices.map((i) => values[i]);
  const length = indices.map((i) => mark.end[i] - mark.start[i]);
  const colour = indices.map((i) => at(mark.colours ?? ["#6b7280"], i));
  const chosen = indices.map((i) => view.chosen.includes(mark.networks?.[i]));
  return [{
    type: "bar", orientation: mark.standing ? "v" : "h", base: pick(mark.start), name: plain(short(mark.label ?? "")),
    x: mark.standing ? pick(mark.at) : length, y: mark.standing ? length : pick(mark.at), showlegend: Boolean(mark.label),
    customdata: mark.networks?.length ? pick(mark.networks) : undefined, opacity: mark.strength ?? 1,
    text: indices.map((i) => view.about(mark.networks?.[i], mark.text?.[i])), textposition: "none",
    hovertemplate: "%{text}<extra></extra>",
    marker: {
      color: mark.hatched ? "#ffffff" : colour,
      pattern: mark.hatched ? { shape: "/", fgcolor: colour, bgcolor: "#ffffff", size: 7 } : undefined,
      line: { color: chosen.map((yes, i) => (yes ? INK : mark.hatched ? colour[i] : "#ffffff")), width: chosen.map((yes) => (yes ? 3 : 0.6)) },
    },
  }];
}

function cellTrace(mark) {
  return {
    type: "heatmap", x: mark.x, y: mark.y, z: mark.values, zmin: mark.low, zmax: mark.high, xgap: 1, ygap: 1,
    colorscale: mark.colours.map((colour, i) => [i / (mark.colours.length - 1), colour]),
    colorbar: { title: { text: plain(mark.unit), side: "right" }, thickness: 14 },
    text: (mark.text ?? []).map((row) => row.map(plain)), hovertemplate: "%{text}<br>%{z:.3f}<extra></extra>", hoverongaps: false,
  };
}

function scaleTrace(scale) {
  return {
    type: "scatter", mode: "markers", x: [null], y: [null], hoverinfo: "skip", showlegend: false,
    marker: {
      color: [scale.low], cmin: scale.low, cmax: scale.high, showscale: true,
      colorscale: scale.colours.map((colour, i) => [i / (scale.colours.length - 1), colour]),
      colorbar: { title: { text: plain(scale.label), side: "right" }, thickness: 14, tickformat: scale.whole ? "d" : "",
        dtick: scale.whole ? Math.max(1, Math.ceil((scale.high - scale.low) / 8)) : undefined },
    },
  };
}

function axisLayout(axis, names, extent) {
  const made = { title: { text: plain(axis.label), standoff: 8 }, automargin: true, gridcolor: "#e6e8ec", zeroline: false };
  if (axis.scale === "log") {
    made.type = "log";
    made.tickformat = "~g";
  }
  if (axis.scale === "category") {
    Object.assign(made, { type: "category", categoryorder: "array", categoryarray: names, tickmode: "array", tickvals: names, tickfont: { size: 11 } });
    made.ticktext = names.map((name) => plain(short(name, 36)));
    if (names.length) made.range = axis.reverse ? [names.length - 0.3, -0.7] : [-0.7, names.length - 0.3];
  } else if (axis.range) made.range = axis.scale === "log" ? axis.range.map(Math.log10) : axis.range;
  else if (axis.reverse) made.autorange = "reversed";
  if (axis.whole) {
    made.tickformat = "d";
    const values = axis.range ?? [Math.min(...extent), Math.max(...extent)];
    if (extent.length && values[1] - values[0] <= 12) made.dtick = 1; // else Plotly would name halves, too
  }
  if (axis.hidden) Object.assign(made, { showticklabels: false, showgrid: false, ticks: "" });
  return made;
}

// the least and the greatest number that a chart has along an axis
function extent(chart, along) {
  const values = chart.marks.flatMap((mark) => (Array.isArray(mark[along]) ? mark[along].flat() : [])).filter((one) => typeof one === "number");
  return values.length ? [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))] : [];
}

function levelShapes(levels) {
  return {
    shapes: levels.map((level) => ({
      type: "line", layer: "below", line: { color: level.colour ?? "#8a8f98", width: 1.2, dash: "dot" },
      ...(level.axis === "x" ? { x0: level.value, x1: level.value, y0: 0, y1: 1, yref: "paper" } : { y0: level.value, y1: level.value, x0: 0, x1: 1, xref: "paper" }),
    })),
    annotations: levels.map((level) => ({
      text: plain(short(level.words)), showarrow: false, font: { size: 12, color: "#555b66" },
      ...(level.axis === "x" ? { x: level.value, y: 1, yref: "paper", yanchor: "bottom" } : { x: 1, xref: "paper", xanchor: "right", y: level.value, yanchor: "bottom" }),
    })),
  };
}

function figure(chart, view, room) {
  const traces = [];
  const lines = chart.marks.filter((mark) => mark.kind === "line");
  let drawn = false;
  for (const mark of chart.marks) {
    if (mark.kind === "points") traces.push(...pointTraces(mark, view));
    else if (mark.kind === "links") traces.push(linkTrace(mark, view));
    else if (mark.kind === "band") traces.push(bandTrace(mark, view));
    else if (mark.kind === "bars") traces.push(...barTraces(mark, view));
    else if (mark.kind === "cells") traces.push(cellTrace(mark));
    else if (mark.kind === "line" && !drawn) {
      drawn = true;
      traces.push(...lineTraces(lines, view));
    }
  }
  if (chart.scale) traces.push(scaleTrace(chart.scale));
  const used = new Set(chart.marks.flatMap((mark) => (mark.at || mark.y ? kept(mark, view.visible).map((i) => (mark.at ?? mark.y)[i]) : [])));
  const names = (chart.y.names ?? []).filter((name) => used.has(name));
  const height = chart.y.names ? Math.max(180, Math.min(chart.height ?? 420, 130 + 20 * names.length)) : (chart.height ?? 420);
  return {
    data: traces.filter(Boolean),
    layout: {
      title: { text: plain(short(chart.title, Math.max(20, Math.floor(room / 10)))), x: 0, xref: "container", font: { size: 16 } }, height, autosize: true,
      xaxis: axisLayout(chart.x, [], extent(chart, "x")), yaxis: axisLayout(chart.y, names, extent(chart, "y")), barmode: "overlay", bargap: 0.25,
      margin: { l: 60, r: 15, t: 40, b: traces.some((trace) => trace?.showlegend) ? 80 : 50 }, hovermode: "closest", font: { family: "system-ui, DejaVu Sans, sans-serif", size: 13, color: INK },
      legend: { orientation: "h", yref: "container", y: 0.01, yanchor: "bottom", x: 0 }, width: chart.square ? Math.min(height + 130, room) : undefined, paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff",
      hoverlabel: { align: "left", bgcolor: "#ffffff", font: { color: INK } }, uirevision: "kept",
      ...levelShapes(chart.marks.filter((mark) => mark.kind === "level")),
    },
  };
}

function drawChart(holder, chart, view, choose) {
  const { data, layout } = figure(chart, view, holder.clientWidth || 800);
  const config = { displaylogo: false, responsive: true, toImageButtonOptions: { format: "svg", filename: chart.name } };
  Plotly.react(holder, data, layout, config);
  if (holder.dataset.linked) return;
  holder.dataset.linked = "yes";
  holder.on("plotly_click", (event) => {
    const found = event.points.map((point) => point.customdata).find((one) => typeof one === "number");
    if (found !== undefined) choose(found, event.event?.shiftKey ?? false);
  });
}
