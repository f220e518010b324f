// Asking the server, and drawing what it answers.

let waiting = 0;

function busy(more) {
  waiting += more;
  document.body.dataset.waiting = String(waiting);
}

async function answer(path, body, signal) {
  busy(1);
  try {
    const given = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    let response;
    try {
      response = await fetch(path, { ...given, signal });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The server does not answer; is a4nn explore still running?");
    }
    const text = await response.text();
    if (response.status === 401) throw new Error(text);
    const found = JSON.parse(text);
    if (!response.ok) throw new Error(found.error ?? `The server answers ${response.status}.`);
    return found;
  } finally {
    busy(-1);
  }
}

// A part of the page that shows one answer. It asks again only if what it asks for, or the records, have changed; an
// answer that nobody waits for any more is called off. What it draws can also depend on lookOf(). What is out of sight
// waits until it comes into sight, so that a choice costs as much as what is seen.
const sight = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    entry.target.inSight = entry.isIntersecting;
    if (entry.isIntersecting) entry.target.seen();
  }
}, { rootMargin: "60px" });

function makeView(holder, path, bodyOf, draw, lookOf = () => "") {
  let asked = null;
  let looked = null;
  let last = null;
  let controller = null;
  const trouble = el("p", { className: "trouble", role: "alert", hidden: true });
  holder.prepend(trouble);
  let current = null;
  holder.seen = () => current !== null && show(current);
  sight.observe(holder);
  async function show(version) {
    current = version;
    if (!holder.inSight) return;
    const body = bodyOf();
    const key = JSON.stringify([body, version]);
    const look = lookOf();
    const sameLook = look === looked;
    looked = look;
    if (key === asked) {
      if (!sameLook && !holder.hasAttribute("aria-busy")) draw(last);
      return;
    }
    asked = key;
    controller?.abort();
    controller = new AbortController();
    const mine = controller;
    holder.setAttribute("aria-busy", "true");
    try {
      const found = body === null ? null : await answer(path, body, mine.signal);
      if (mine !== controller) return;
      trouble.hidden = true;
      last = found;
      draw(found);
      holder.removeAttribute("aria-busy");
    } catch (error) {
      if (mine !== controller) return;
      holder.removeAttribute("aria-busy");
      if (error.name === "AbortError") return;
      asked = null;
      trouble.textContent = error.message;
      trouble.hidden = false;
    }
  }
  return show;
}

async function download(path, body) {
  const made = await answer(path, body);
  el("a", { href: made.file, download: made.name }).click();
}

// a table whose rows can be walked through with the arrows
function rowsTable(columns, rows, { sort, onsort, caption } = {}) {
  const head = columns.map(({ label, number, name }) => {
    const attributes = { scope: "col", className: number ? "number" : "" };
    if (!onsort || !name) return el("th", attributes, label);
    if (sort?.name === name) attributes["aria-sort"] = sort.descending ? "descending" : "ascending";
    const arrow = sort?.name === name ? (sort.descending ? " ▼" : " ▲") : "";
    return el("th", attributes, el("button", { type: "button", onclick: () => onsort(name) }, label + arrow));
  });
  const body = el("tbody", {}, ...rows);
  body.addEventListener("keydown", (event) => {
    const row = event.target.closest("tr");
    const next = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (!next || !row || event.target.tagName === "INPUT") return;
    if (row[next]) row[next].focus();
    event.preventDefault();
  });
  return el("table", {}, caption ? el("caption", { className: "hint" }, caption) : null, el("thead", {}, el("tr", {}, ...head)), body);
}

// a row that stands for a network: a click picks it, with shift (or by its box) beside others
function networkRow(state, { run, network }, cells, className = "") {
  const picked = state.isPicked(run, network);
  const box = el("input", { type: "checkbox", "aria-label": `pick network ${network} of ${run}` });
  box.checked = picked;
  box.addEventListener("click", (event) => {
    event.stopPropagation();
    state.pick(run, network, true);
  });
  const row = el("tr", { tabindex: "0", className: (picked ? "chosen " : "") + className, "data-network": `${run}/${network}`, "aria-selected": String(picked) },
    el("td", {}, box), ...cells);
  row.addEventListener("click", (event) => state.pick(run, network, event.shiftKey));
  row.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target === row) state.pick(run, network, event.shiftKey);
  });
  return row;
}

function counted(count, word) {
  return `${number(count)} ${word}${count === 1 ? "" : "s"}`;
}

function numberCell(value, error) {
  const text = error === null || error === undefined || value === null ? number(value, 5) : `${value.toFixed(2)} ± ${error.toFixed(2)}`;
  return el("td", { className: "number" }, text);
}

const DENSITY = ["#e4ecf4", "#9ebcda", "#4a7fb0", "#0b3c6f"];

function cellsTrace({ x, y, counts }) {
  const most = counts.reduce((top, row) => row.reduce((a, b) => Math.max(a, b), top), 1);
  const shown = counts.map((row) => row.map((one) => (one ? Math.log10(one) : null)));
  const ticks = [1, 10, 100, 1000, 10000, 100000, 1000000].filter((one) => one <= most);
  if (ticks.length < 2) ticks.push(most);
  return {
    type: "heatmap", x, y, z: shown, customdata: counts, zmin: 0, zmax: Math.max(Math.log10(most), 0.3), hoverongaps: false,
    colorscale: DENSITY.map((colour, i) => [i / (DENSITY.length - 1), colour]),
    colorbar: { title: { text: "networks in a cell", side: "right" }, thickness: 14, tickvals: ticks.map(Math.log10), ticktext: ticks.map((one) => number(one)) },
    hovertemplate: "%{customdata} networks here; zoom in to see them one by one<extra></extra>",
  };
}

const PLOTLY = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["lasso2d", "autoScale2d"] };

// A chart of the server with what it knows of networks by key; returns the element of the figure.
function drawLinked(holder, found, state, more = () => {}) {
  const known = found.networks;
  const keyed = new Map(Object.entries(known).map(([key, one]) => [Number(key), one]));
  const at = new Map();
  for (const mark of found.chart.marks) {
    if (mark.kind === "points") (mark.networks ?? []).forEach((key, i) => at.set(key, [mark.x[i], mark.y[i]]));
  }
  const chosen = state.values.picked.slice(0, 4).map(({ run, network }) => [...keyed].find(([, one]) => one.run === run && one.network === network)?.[0]).filter((key) => key !== undefined);
  const view = {
    visible: () => true,
    chosen,
    about: (key, words) => {
      const one = keyed.get(key);
      if (!one) return plain(words ?? "");
      const [x, y] = at.get(key) ?? [];
      return plain(`${short(one.run, 50)}, network ${one.network}` + (x === undefined ? "" : `\n${number(y, 5)} by ${number(x, 5)}`));
    },
  };
  const { data, layout } = figure(found.chart, view, holder.clientWidth || 800);
  more(data, layout);
  Plotly.react(holder, data, layout, { ...PLOTLY, toImageButtonOptions: { format: "svg", filename: found.chart.name } });
  holder.keyed = keyed;
  holder.dataset.state = "drawn";
  if (holder.dataset.linked) return;
  holder.dataset.linked = "yes";
  holder.on("plotly_click", (event) => {
    const key = event.points.map((point) => point.customdata).find((one) => typeof one === "number" && holder.keyed.has(one));
    if (key === undefined) return;
    const { run, network } = holder.keyed.get(key);
    state.pick(run, network, event.event?.shiftKey ?? false);
  });
}
