// The page: runs, networks and their front, the selection, a comparison, SQL. All views show one state.

const MOST_RUNS_SHOWN = 100;
const LOOK_MILLISECONDS = 2000;

function start() {
  const main = document.getElementById("main");
  const message = document.getElementById("message");
  let known = null; // the list of runs and measures
  let dragging = "zoom";
  const state = makeState(() => refresh());
  const measure = (name) => known?.measures.find((one) => one.name === name);
  const label = (name) => measure(name)?.label ?? name;

  function fail(words) {
    message.textContent = words;
    message.hidden = !words;
  }

  function section(id, title, ...inner) {
    return el("section", { id, "aria-labelledby": "head-" + id }, el("h2", { id: "head-" + id }, title), ...inner);
  }

  const button = (id, words, onclick) => el("button", { type: "button", id, onclick }, words);

  // tools ------------------------------------------------------------------------------------------------------------
  const tools = document.getElementById("tools");
  tools.onsubmit = (event) => event.preventDefault();
  const axis = (id) => el("select", { id, onchange: (event) => state.set({ [id]: event.target.value, window: null, area: null, wish: [null, null] }) });
  const [xAxis, yAxis] = [axis("x"), axis("y")];
  const show = el("select", { id: "show", onchange: () => state.set({ show: show.value }) },
    ...Object.entries(NETWORK_STATUS).map(([value, words]) => el("option", { value }, words)));
  const dominated = el("input", { type: "checkbox", id: "dominated", onchange: () => state.set({ dominated: dominated.checked }) });
  const bounded = el("select", { id: "add-bound", onchange: () => {
    const name = bounded.value;
    bounded.value = "";
    if (name) {
      state.set({ bounds: [...state.values.bounds, { measure: name, least: null, most: null }] });
      setTimeout(() => bounds.querySelector(".bound:last-child input")?.focus(), 50); // once it is there
    }
  } });
  const bounds = el("div", { id: "bounds", className: "controls" });
  const over = button("reset", "Start over", () => state.set({ runs: [], words: "", state: "", data: "", show: "", x: null, y: null, bounds: [], dominated: true, wish: [null, null], window: null, area: null, picked: [], curves: MOST_CURVES[0], sort: null, descending: false }));
  const shown = el("p", { id: "shown", role: "status" });
  tools.append(el("label", {}, "Across", xAxis), el("label", {}, "Upwards", yAxis), el("label", {}, "Networks", show),
    el("label", {}, "Constraint on", bounded), el("label", { className: "tick" }, dominated, "Show dominated"), over, bounds, shown);

  function drawTools() {
    const { x, y, bounds: kept } = state.values;
    const options = (chosen, empty) => [
      ...(empty ? [el("option", { value: "" }, empty)] : []),
      ...known.measures.filter((one) => one.networks || one.name === chosen).map((one) => el("option", { value: one.name }, one.label)),
    ];
    xAxis.replaceChildren(...options(x));
    yAxis.replaceChildren(...options(y));
    [xAxis.value, yAxis.value, show.value, dominated.checked] = [x ?? "", y ?? "", state.values.show, state.values.dominated];
    bounded.replaceChildren(...options(null, "add one…"));
    const key = JSON.stringify(kept.map((one) => one.measure));
    if (bounds.dataset.key !== key) {
      bounds.dataset.key = key;
      bounds.replaceChildren(...kept.map((one, place) => {
        const end = (which, words) => el("label", {}, words, el("input", { type: "number", step: "any", id: `bound-${place}-${which}`, onchange: (event) => {
          const value = event.target.value === "" ? null : Number(event.target.value);
          state.set({ bounds: state.values.bounds.map((two, at) => (at === place ? { ...two, [which]: value } : two)) });
        } }));
        return el("div", { className: "bound", role: "group", "aria-label": label(one.measure) }, el("span", { className: "hint" }, label(one.measure)), end("least", "at least"), end("most", "at most"),
          el("button", { type: "button", "aria-label": `remove the constraint on ${label(one.measure)}`, onclick: () => state.set({ bounds: state.values.bounds.filter((_, at) => at !== place) }) }, "×"));
      }));
    }
    kept.forEach((one, place) => {
      for (const which of ["least", "most"]) {
        const input = document.getElementById(`bound-${place}-${which}`);
        if (input !== document.activeElement) input.value = one[which] ?? "";
      }
    });
  }

  // runs -------------------------------------------------------------------------------------------------------------
  const words = el("input", { type: "search", id: "words", oninput: () => state.set({ words: words.value }, false) });
  const status = el("select", { id: "run-status", onchange: () => state.set({ state: status.value }) });
  const data = el("select", { id: "data", onchange: () => state.set({ data: data.value }) });
  const runsTable = el("div", { className: "scroll short", id: "runs-table" });
  const runsShown = el("p", { className: "hint", id: "runs-shown", role: "status" });
  const runs = section("runs", "Runs",
    el("div", { className: "controls" }, el("label", {}, "Text", words), el("label", {}, "Status", status), el("label", {}, "Data set", data),
      button("choose-shown", "Choose these", () => state.set({ runs: filteredRuns().map((one) => one.run), picked: [], area: null })),
      button("choose-all", "Choose all runs", () => state.set({ runs: [] }))),
    runsShown, runsTable);

  function filteredRuns() {
    const { words: text, state: wanted, data: set } = state.values;
    const parts = text.toLowerCase().split(/\s+/).filter(Boolean);
    return known.runs.filter((one) => {
      const all = [one.run, one.experiment, one.strategy, one.dataset].join(" ").toLowerCase();
      return (!wanted || one.status === wanted) && (!set || one.dataset === set) && parts.every((part) => all.includes(part));
    });
  }

  function runRow(one, chosen) {
    const box = el("input", { type: "checkbox", "aria-label": `look at run ${one.run}` });
    box.checked = chosen.has(one.run);
    box.disabled = Boolean(one.status === "unreadable");
    box.addEventListener("change", () => {
      const next = box.checked ? [...state.values.runs, one.run] : state.values.runs.filter((name) => name !== one.run);
      state.set({ runs: next });
    });
    const cell = (value, number = false) => el("td", number ? { className: "number" } : {}, value);
    if (one.status === "unreadable") {
      return el("tr", { tabindex: "0" }, cell(box), cell(one.run), cell(el("span", { className: "badge unreadable" }, "unreadable")), el("td", { colspan: "8" }, one.trouble));
    }
    const going = [one.training ? `${one.training} in training` : "", one.waiting ? `${one.waiting} waiting` : ""].filter(Boolean).join(", ");
    return el("tr", { tabindex: "0", "data-run": one.run, className: chosen.has(one.run) ? "chosen" : "" }, cell(box),
      cell(el("a", { href: `/report/${encodeURIComponent(one.run)}`, target: "_blank", rel: "noopener", title: "its report, in a new tab" }, one.run)),
      cell(el("span", { className: "badge " + one.status }, one.status)), cell([one.experiment, one.strategy].filter((text) => text && text !== "unknown").join(", ")), cell(one.dataset ?? NONE),
      cell(number(one.networks) + (one.budget ? ` of ${number(one.budget)}` : "") + (going ? ` (${going})` : ""), true), cell(number(one.front), true),
      cell(score(one.best, one.best_error, "%"), true), cell(one.saved === null ? NONE : one.saved.toFixed(1) + " %", true), cell(one.started ?? NONE), cell(one.trouble ? el("span", { className: "trouble" }, one.trouble) : ""));
  }

  const RUN_COLUMNS = [["", 0], ["run and report", 0], ["status", 0], ["experiment", 0], ["data set", 0], ["networks", 1], ["on the front", 1], ["best validation accuracy", 1], ["epochs saved", 1], ["started (UTC)", 0], ["", 0]];

  let runsDrawn = null;

  function drawRuns() {
    const { words: text, state: wanted, data: set, runs: looked } = state.values;
    const key = JSON.stringify([known.version, text, wanted, set, looked]);
    if (key === runsDrawn) return;
    runsDrawn = key;
    const list = (select, empty, values, chosen) => select.replaceChildren(el("option", { value: "" }, empty),
      ...[...new Set([...values, ...(chosen ? [chosen] : [])])].sort().map((value) => el("option", { value }, short(value))));
    list(status, "any", known.runs.map((one) => one.status), state.values.state);
    list(data, "any", known.runs.map((one) => one.dataset).filter(Boolean), state.values.data);
    [status.value, data.value] = [state.values.state, state.values.data];
    if (words !== document.activeElement) words.value = state.values.words;
    const found = filteredRuns();
    const chosen = new Set(state.values.runs);
    const ordered = [...found].sort((a, b) => chosen.has(b.run) - chosen.has(a.run));
    const place = runsTable.scrollTop;
    const focused = runsTable.contains(document.activeElement) ? document.activeElement.closest("tr")?.dataset.run : null;
    runsTable.replaceChildren(known.runs.length
      ? rowsTable(RUN_COLUMNS.map(([text, isNumber]) => ({ label: text, number: Boolean(isNumber) })), ordered.slice(0, MOST_RUNS_SHOWN).map((one) => runRow(one, chosen)))
      : el("p", { className: "empty" }, "There is no run in this commons yet."));
    runsTable.scrollTop = place;
    if (focused) [...runsTable.querySelectorAll("tr")].find((row) => row.dataset.run === focused)?.querySelector("input")?.focus();
    const unknown = state.values.runs.filter((run) => !known.runs.some((one) => one.run === run));
    runsShown.textContent = [
      `${number(found.length)} of ${counted(known.runs.length, "run")}` + (found.length > MOST_RUNS_SHOWN ? `, of which the first ${MOST_RUNS_SHOWN} are listed` : ""),
      chosen.size ? `${number(chosen.size)} chosen` : "all are looked at, as none is chosen",
      unknown.length ? `not in this commons: ${unknown.slice(0, 5).map((run) => short(run, 40)).join(", ")}` : "",
    ].filter(Boolean).join("; ") + ".";
  }

  // networks and their front -----------------------------------------------------------------------------------------
  const plot = el("div", { className: "chart", id: "chart-networks" });
  const plotEmpty = el("p", { className: "empty", hidden: true });
  const plotWords = el("div", { id: "networks-words" });
  const drag = (how, text) => el("button", { type: "button", id: "drag-" + how, "aria-pressed": String(dragging === how), onclick: () => {
    dragging = how;
    for (const one of ["zoom", "select"]) document.getElementById("drag-" + one).setAttribute("aria-pressed", String(one === how));
    if (plot.dataset.linked) Plotly.relayout(plot, { dragmode: how });
  } }, text);
  const wish = ["x", "y"].map((which, place) => el("input", { type: "number", step: "any", id: "wish-" + which, onchange: (event) => {
    const value = event.target.value === "" ? null : Number(event.target.value);
    state.set({ wish: state.values.wish.map((old, at) => (at === place ? value : old)) });
  } }));
  const wishWords = ["x", "y"].map(() => el("span"));
  const front = el("div", { id: "front" });
  const networks = section("networks", "Networks and their front",
    el("div", { className: "wide" },
      el("div", {}, el("div", { className: "controls" }, drag("zoom", "Dragging zooms"), drag("select", "Dragging selects"),
        button("whole", "See all", () => state.set({ window: null }))), plotEmpty, plot, plotWords),
      el("div", {}, el("div", { className: "controls", role: "group", "aria-label": "A wish" },
        ...wish.map((input, place) => el("label", {}, wishWords[place], input)),
        button("pick-front", "Pick the front", () => lastScatter && state.set({ picked: lastScatter.front.slice(0, MOST_PICKED).map(({ run, network }) => ({ run, network })), area: null })),
        button("pick-nearest", "Pick the nearest", () => {
          const one = lastScatter?.networks[lastScatter.nearest];
          if (one) state.pick(one.run, one.network, false);
        })), front)));

  let lastScatter = null;
  let drawings = 0; // a selection that was drawn becomes the area of the state, and is Plotly's no more

  function drawScatter(found) {
    lastScatter = found;
    const { x, y, area, window: seen, wish: wished } = state.values;
    shown.textContent = found ? `${counted(found.count, "network")}, ${number(found.members)} on the front` + (found.cells ? `; ${number(found.seen)} are counted in cells: zoom in to see them one by one` : "") : "";
    const empty = !found || (!found.chart.marks.length && !found.cells);
    plot.hidden = empty;
    plotEmpty.hidden = !empty;
    plotEmpty.textContent = !found ? "No network has been recorded yet." : found.chart.empty ?? "There is nothing to draw.";
    plotWords.replaceChildren(...(found?.words ?? []).map((text) => el("p", { className: "words" }, text)));
    wish.forEach((input, place) => {
      if (input !== document.activeElement) input.value = wished[place] ?? "";
    });
    wishWords.forEach((span, place) => (span.textContent = `Wished: ${short(label([x, y][place]), 40)}`));
    drawFront(found);
    if (empty) return;
    drawLinked(plot, found, state, (traces, layout) => {
      if (found.cells) traces.unshift(cellsTrace(found.cells));
      for (const one of [layout.xaxis, layout.yaxis]) if (one.type === "log") one.dtick = one.range && one.range[1] - one.range[0] > 5 ? 1 : "D2";
      Object.assign(layout, { dragmode: dragging, uirevision: JSON.stringify([x, y, seen]), selections: [], selectionrevision: String((drawings += 1)) });
      if (area) {
        const log = (value, chartAxis) => (chartAxis.scale === "log" ? Math.max(value, Number.MIN_VALUE) : value);
        layout.shapes = [...(layout.shapes ?? []), { type: "rect", x0: log(area[0], found.chart.x), x1: log(area[1], found.chart.x), y0: log(area[2], found.chart.y), y1: log(area[3], found.chart.y), line: { color: INK, width: 1.5, dash: "dash" }, fillcolor: "rgba(11,92,173,0.08)" }];
      }
    });
    if (plot.dataset.moved) return;
    plot.dataset.moved = "yes";
    plot.on("plotly_relayout", (event) => {
      const ends = ["xaxis", "yaxis"].map((name) => {
        const low = event[`${name}.range[0]`] ?? event[`${name}.range`]?.[0];
        const high = event[`${name}.range[1]`] ?? event[`${name}.range`]?.[1];
        const kept = plot.layout[name].range;
        const pair = low === undefined ? kept : [low, high];
        return plot.layout[name].type === "log" ? pair.map((value) => 10 ** value) : pair;
      });
      const moved = Object.keys(event).some((key) => /^[xy]axis\.range/.test(key));
      if (Object.keys(event).some((key) => /autorange/.test(key))) state.set({ window: null, page: state.values.page });
      else if (moved) state.set({ window: [...ends[0], ...ends[1]].map((value) => Number(value.toPrecision(7))), page: state.values.page });
    });
    plot.on("plotly_selected", (event) => {
      if (!event?.range) return;
      const sorted = (pair) => [...pair].sort((a, b) => a - b).map((value) => Number(value.toPrecision(7)));
      state.set({ area: [...sorted(event.range.x), ...sorted(event.range.y)], picked: [] });
    });
  }

  function drawFront(found) {
    if (!found?.front.length) {
      front.replaceChildren(el("p", { className: "empty" }, found?.count ? "No network is on a front of these two measures." : "There is no front yet."));
      return;
    }
    const { x, y } = state.values;
    const marked = found.front.some((one) => one.alike);
    const columns = [{ label: "" }, { label: "run" }, { label: "network", number: true }, { label: label(y), number: true }, { label: label(x), number: true }, { label: "from the wish", number: true }, ...(marked ? [{ label: "cannot be told apart from the cheaper" }] : [])];
    const rows = found.front.map((one) => networkRow(state, one, [
      el("td", {}, short(one.run, 40)), numberCell(one.network), numberCell(one.y, one.y_error), numberCell(one.x, one.x_error),
      el("td", { className: "number" }, one.key === found.nearest ? "nearest" : one.distance.toFixed(2)),
      ...(marked ? [el("td", {}, one.alike ? (one.alike.run === one.run ? "" : short(one.alike.run, 30) + ", ") + "network " + one.alike.network : "")] : []),
    ], one.key === found.nearest ? "nearest" : ""));
    const note = marked ? "Open circles: a cheaper member of the front has an accuracy that the images it was measured on cannot tell from theirs (95 %)." : null;
    front.replaceChildren(el("div", { className: "scroll short" }, rowsTable(columns, rows)), ...(note ? [el("p", { className: "words" }, note)] : []));
  }

  // the selection ----------------------------------------------------------------------------------------------------
  const chosenWords = el("p", { id: "chosen", role: "status" });
  const saved = el("span", { className: "hint", role: "status", id: "saved" });
  const exporting = (format) => button("export-" + format, `Save as ${{ csv: "CSV", parquet: "Parquet", json: "JSON" }[format]}`, () => {
    saved.textContent = "Saving…";
    saved.className = "hint";
    download("/api/export", { ...state.chosen(), format }).then(() => (saved.textContent = "Saved."), (error) => {
      saved.textContent = error.message;
      saved.className = "trouble";
    });
  });
  const queryText = el("pre", { id: "selection-query" });
  const queryHolder = el("details", {}, el("summary", {}, "Its query"), el("p", { className: "hint" }, "For the box below, or a4nn sql:"), queryText);
  const table = el("div", { id: "networks-table" });
  const curvesPlot = el("div", { className: "chart", id: "chart-curves" });
  const curvesEmpty = el("p", { className: "empty", hidden: true });
  const curvesWords = el("div");
  const most = el("select", { id: "curves", onchange: () => state.set({ curves: Number(most.value), page: state.values.page }) },
    ...MOST_CURVES.map((value) => el("option", { value: String(value) }, number(value))));
  const curvesHolder = el("div", {}, el("div", { className: "controls" }, el("label", {}, "Curves at most", most)), curvesEmpty, curvesPlot, curvesWords);
  const selection = section("selection", "The selection", chosenWords,
    el("div", { className: "controls" }, button("clear", "Select all that is shown", () => state.set({ picked: [], area: null })), exporting("csv"), exporting("parquet"), exporting("json"), saved),
    queryHolder, el("div", { className: "wide" }, table, curvesHolder));
  queryHolder.addEventListener("toggle", () => refresh());

  const COLUMNS = ["best_accuracy_percent", "mflops", "parameters", "epochs_trained", "test_accuracy_percent", "generation"];

  function columnsOf() {
    const { x, y, sort } = state.values;
    const usual = COLUMNS.filter((name) => measure(name)?.networks);
    return [...new Set([y, x, ...usual, ...(sort && measure(sort) ? [sort] : [])])].filter((name) => name && name !== "network");
  }

  function drawTable(found) {
    const { picked, area, sort, descending } = state.values;
    const kind = picked.length ? `${number(picked.length)} networks were picked` : area ? `${number(found.count)} networks in the area` : `All ${number(found.count)} networks that the filter leaves`;
    const gone = Math.max(0, picked.length - found.count);
    const lost = gone ? `; ${number(gone)} of them ${gone === 1 ? "is" : "are"} not in this commons` : "";
    chosenWords.textContent = (picked.length === 1 ? "1 network was picked" : kind) + lost + ". Click a point or a row to pick a network; with shift, or by its box, beside others.";
    if (!found.count) {
      table.replaceChildren(el("p", { className: "empty" }, "No network is selected."));
      return;
    }
    const names = columnsOf();
    const columns = [{ label: "" }, { label: "run", name: "run" }, { label: "network", number: true, name: "network" }, { label: "status" }, ...names.map((name) => ({ label: label(name), number: true, name }))];
    const rows = found.rows.map((one) => networkRow(state, one, [el("td", {}, short(one.run, 40)), numberCell(one.network), el("td", {}, one.status ?? NONE),
      ...one.values.map((value, i) => numberCell(value, one.errors[i]))]));
    const onsort = (name) => {
      const best = measure(name)?.direction === "maximise";
      state.set({ sort: name, descending: sort === name ? !descending : best });
    };
    const turn = (id, text, to) => {
      const made = button(id, text, () => state.set({ page: to }));
      made.disabled = to < 0 || to >= found.pages;
      return made;
    };
    const paged = el("div", { className: "controls" }, turn("page-back", "◀ before", found.page - 1), el("span", { className: "hint" }, `page ${number(found.page + 1)} of ${number(found.pages)}`), turn("page-on", "next ▶", found.page + 1));
    const focused = table.contains(document.activeElement) ? document.activeElement.closest("tr")?.dataset.network : null;
    table.replaceChildren(el("div", { className: "scroll" }, rowsTable(columns, rows, { sort: { name: sort ?? "run", descending }, onsort })), paged);
    if (focused) [...table.querySelectorAll("tr")].find((row) => row.dataset.network === focused)?.focus();
  }

  function drawCurves(found) {
    const empty = !found.chart.marks.length;
    curvesPlot.hidden = empty;
    curvesEmpty.hidden = !empty;
    curvesEmpty.textContent = found.chart.empty ?? "";
    curvesWords.replaceChildren(...found.words.map((text) => el("p", { className: "words" }, text)));
    most.value = String(state.values.curves);
    curvesPlot.dataset.curves = String(found.drawn);
    if (!empty) drawLinked(curvesPlot, found, state);
  }

  // a comparison -----------------------------------------------------------------------------------------------------
  const compareHolder = el("div", { id: "compared" });
  const compare = section("compare", "Networks side by side", compareHolder);

  function drawCompared(found) {
    if (!found || !found.networks.length) {
      compareHolder.replaceChildren(el("p", { className: "empty" }, found?.missing.length ? `Not in this commons: ${found.missing.join("; ")}.` : "Pick one network to see it, and two to four to compare them."));
      return;
    }
    const sides = found.networks;
    const names = [...new Set(sides.flatMap((one) => one.facts.map(([name]) => name)))];
    const facts = sides.map((one) => new Map(one.facts));
    const name = (one) => `${short(one.run, 40)}, network ${one.network}`;
    // in the colour that it has in the figures
    const marked = (text, place) => {
      const line = el("span", { className: "swatch" });
      line.style.backgroundColor = CHOSEN[state.values.picked.findIndex((two) => two.run === sides[place].run && two.network === sides[place].network)] ?? "transparent";
      return el("span", {}, line, text);
    };
    const rows = names.map((fact) => el("tr", {}, el("th", { scope: "row" }, fact), ...facts.map((of) => el("td", {}, of.get(fact) ?? NONE))));
    const strips = sides.map((one, place) => el("div", { className: "strip own" }, el("h3", {}, name(one), el("span", {}, place ? ` against the first: ${one.words}` : one.words ? `: ${one.words}` : "")),
      one.sketch ? drawSketch(one.sketch, found.colours, name(one)) : null));
    compareHolder.replaceChildren(...[
      el("div", { className: "scroll" }, rowsTable([{ label: "" }, ...sides.map((one, place) => ({ label: marked(name(one), place) }))], rows)),
      found.left_out ? el("p", { className: "hint" }, `The first four of ${found.left_out + 4} picked networks.`) : null,
      found.missing.length ? el("p", { className: "hint" }, `Not in this commons: ${found.missing.join("; ")}.`) : null,
      sides.length > 1 && sides.some((one) => one.sketch) ? stateKey(found.colours, ["kept", "removed", "added", "changed"]) : null,
      ...strips,
    ].filter(Boolean));
  }

  // SQL --------------------------------------------------------------------------------------------------------------
  const sqlText = el("textarea", { id: "sql-text", spellcheck: "false", "aria-label": "One SELECT over the commons" });
  sqlText.value = "select run, count(*) as networks, max(best_accuracy_percent) as best\nfrom networks group by run order by best desc";
  const sqlState = el("p", { id: "sql-state", role: "status", className: "hint" });
  const sqlTable = el("div", { id: "sql-table" });
  let asking = null;
  const run = button("sql-run", "Ask", () => askSql());
  const cancel = button("sql-cancel", "Cancel", () => asking?.abort());
  cancel.disabled = true;
  const saving = (format) => button("sql-" + format, `Save all as ${{ csv: "CSV", parquet: "Parquet", json: "JSON" }[format]}`, () => askSql(format));
  const pickAnswer = button("sql-pick", "Pick these networks", () => state.set({ picked: answered.slice(0, MOST_PICKED), area: null }));
  pickAnswer.hidden = true;
  let answered = [];
  sqlText.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) askSql();
  });
  const sql = section("sql", "SQL", el("p", { className: "words" }, "One SELECT over runs, networks, epochs, predictions, considered, events, layers, edges, lineage, wiring and front; it reaches nothing else, and changes nothing."),
    sqlText, el("div", { className: "controls" }, run, cancel, saving("csv"), saving("parquet"), saving("json"), pickAnswer), sqlState, sqlTable);

  async function askSql(format) {
    if (asking) return;
    asking = new AbortController();
    cancel.disabled = false;
    run.disabled = true;
    sqlState.className = "hint";
    sqlState.textContent = "Asking…";
    const mine = asking;
    const over = (words, className = "hint") => {
      sqlState.className = className;
      sqlState.textContent = words;
    };
    try {
      const found = await answer("/api/sql", format ? { query: sqlText.value, format } : { query: sqlText.value }, mine.signal);
      if (format) {
        el("a", { href: found.file, download: found.name }).click();
        over("Saved.");
      } else {
        const places = ["run", "network"].map((name) => found.columns.indexOf(name));
        const fits = places.every((place) => place >= 0);
        answered = fits ? found.rows.map((row) => ({ run: row[places[0]], network: Number(row[places[1]]) })).filter((one) => one.run && Number.isInteger(one.network) && one.network >= 0) : [];
        pickAnswer.hidden = !answered.length;
        const rows = found.rows.map((row) => el("tr", { tabindex: "0" }, ...row.map((value, i) => el("td", found.numbers[i] ? { className: "number" } : {}, short(value, 500)))));
        sqlTable.replaceChildren(el("div", { className: "scroll" }, rowsTable(found.columns.map((text, i) => ({ label: short(text), number: found.numbers[i] })), rows)));
        over(`${number(found.rows.length)} rows` + (found.more ? ", and there are more: save them all, or ask for fewer" : "") + ` in ${found.seconds.toFixed(2)} s.`);
      }
    } catch (error) {
      over(error.name === "AbortError" ? "Cancelled." : error.message, error.name === "AbortError" ? "hint" : "trouble");
    } finally {
      asking = null;
      cancel.disabled = true;
      run.disabled = false;
    }
  }

  // all together -----------------------------------------------------------------------------------------------------
  main.replaceChildren(runs, networks, selection, compare, sql);
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address holds what is seen
    main.focus();
  });

  const scatterOf = () => {
    const { x, y, window: seen, dominated: also, wish: wished, picked } = state.values;
    if (!x || !y) return null;
    return { filter: state.filter(), x, y, window: seen, dominated: also, wish: wished, ...(picked.length ? { picked } : {}) };
  };
  const views = [
    makeView(networks, "/api/scatter", scatterOf, drawScatter, () => JSON.stringify(state.values.area)),
    makeView(table.parentElement, "/api/networks", () => ({ ...state.chosen(), sort: state.values.sort ?? "run", descending: state.values.descending, page: state.values.page, columns: columnsOf() }), drawTable),
    makeView(curvesHolder, "/api/curves", () => ({ ...state.chosen(), most: state.values.curves }), drawCurves),
    makeView(compareHolder.parentElement, "/api/compare", () => (state.values.picked.length ? { picked: state.values.picked.slice(0, 5) } : null), drawCompared),
    makeView(queryHolder, "/api/query", () => (queryHolder.open ? state.chosen() : null), (found) => (queryText.textContent = found?.query ?? "")),
  ];

  function usualAxes() {
    const { x, y } = state.values;
    const there = (name) => Boolean(measure(name)?.networks);
    const first = (names) => names.find(there) ?? known.measures.find((one) => one.networks)?.name ?? null;
    state.usual = { x: first(["mflops", "parameters", "seconds", "network"]), y: first(["best_accuracy_percent", "test_accuracy_percent", "last_accuracy_percent"]) };
    if (!x || !measure(x)) state.values.x = state.usual.x;
    if (!y || !measure(y)) state.values.y = state.usual.y;
  }

  function refresh() {
    if (!known) return;
    const begin = performance.now();
    usualAxes();
    drawTools();
    drawRuns();
    Promise.all(views.map((view) => view(known.networks))).then(() => {
      document.body.dataset.took = String(Math.round(performance.now() - begin));
      document.body.dataset.drawn = String(Number(document.body.dataset.drawn ?? 0) + 1);
    });
  }

  async function load() {
    known = await answer("/api/runs");
    const going = known.runs.filter((one) => one.status === "running").length;
    const total = known.runs.reduce((sum, one) => sum + (one.networks ?? 0), 0);
    document.getElementById("summary").textContent = `${counted(known.runs.length, "run")}, ${counted(total, "network")}` + (going ? `; ${number(going)} running: new networks appear by themselves` : "");
    refresh();
  }

  async function look() {
    try {
      if (!document.hidden) {
        const { version } = known ? await answer("/api/changes") : {};
        const back = !message.hidden;
        fail("");
        if (!known || version !== known.version) await load();
        else if (back) refresh();
      }
    } catch (error) {
      fail(error.message);
    }
    setTimeout(look, LOOK_MILLISECONDS);
  }

  if (typeof Plotly === "undefined") fail("The figures cannot be drawn in this browser; all tables are below.");
  look();
}

start();
