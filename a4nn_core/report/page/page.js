// The page: sections in the order in which people look, all showing one selection.

const AT_ONCE = 20000; // pairs of layers that are compared within a tenth of a second or two

function start() {
  const doc = JSON.parse(document.getElementById("document").textContent);
  const main = document.getElementById("main");
  const views = [];
  let plotly = false;

  const state = makeState(doc, () => refresh());
  const choose = (network, other = false) => state.set(other ? { other: network, otherRun: null } : { network });

  // what is said of a network wherever it is pointed at
  function about(run, number, more) {
    const network = run?.byNumber.get(number);
    if (!network) return plain(more ?? "");
    const lines = [
      `network ${number}` + (network.generation === null ? "" : `, generation ${network.generation}`),
      `validation ${score(network.best, network.best_se, run.unit)}` + (network.test === null ? "" : `, test ${score(network.test, network.test_se, run.unit)}`),
      `${number_of(network.mflops)} million multiply-adds, ${number_of(network.parameters)} parameters`,
      `${number_of(network.epochs)} of ${number_of(network.budget)} epochs, ${network.status ?? "state unknown"}`,
      ...(network.ending ? [short(network.ending, 110)] : []),
      ...(more ? [short(more, 110)] : []),
    ];
    return plain(lines.join("\n"));
  }
  const number_of = (value) => number(value);

  // charts are drawn when they come into sight, and again when the selection changes
  const sight = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      entry.target.inSight = entry.isIntersecting;
      if (entry.isIntersecting) entry.target.draw();
    }
  }, { rootMargin: "300px" });

  function chartView(chart, visible) {
    const holder = el("div", { className: "chart", id: "chart-" + chart.name });
    if (!chart.marks.length) {
      holder.append(el("h3", {}, chart.title), el("p", { className: "empty" }, chart.empty ?? "nothing to draw"));
      return holder;
    }
    holder.style.minHeight = (chart.height ?? 420) + "px";
    holder.dataset.state = "stale";
    holder.draw = (always = false) => {
      if (!plotly || holder.dataset.state === "drawn" || !(holder.inSight || always)) return;
      holder.dataset.state = "drawn";
      holder.style.minHeight = "";
      const { network, other, otherRun } = state.values;
      const view = {
        visible: visible ?? state.shown,
        chosen: [network, otherRun === null ? other : null].filter((one) => one !== null),
        about: (one, more) => about(state.run, one, more),
      };
      drawChart(holder, chart, view, choose);
    };
    sight.observe(holder);
    views.push(() => {
      holder.dataset.state = "stale";
      holder.draw();
    });
    return holder;
  }

  function dataTable(table) {
    const at = table.columns.indexOf("network");
    const isNumber = table.columns.map((_, i) => table.rows.some((row) => typeof row[i] === "number"));
    let rows = table.rows;
    let order = null;
    const body = el("tbody");
    const fill = () => {
      body.replaceChildren(...rows.slice(0, 5000).map((row) => {
        const cells = row.map((value, i) => el("td", isNumber[i] ? { className: "number" } : {}, number(value)));
        if (at < 0 || typeof row[at] !== "number") return el("tr", {}, ...cells);
        return el("tr", { "data-network": row[at], tabindex: "0" }, ...cells);
      }));
      mark();
    };
    const mark = () => {
      for (const row of body.querySelectorAll("tr[data-network]")) {
        const number = Number(row.dataset.network);
        row.hidden = !state.shown(number);
        row.classList.toggle("chosen", number === state.values.network);
        row.setAttribute("aria-selected", String(number === state.values.network));
      }
    };
    const sort = (i) => {
      order = order && order[0] === i ? [i, -order[1]] : [i, 1];
      const rank = (a, b) => (a === null) - (b === null) || (a < b ? -1 : a > b ? 1 : 0) * order[1];
      rows = [...table.rows].sort((a, b) => rank(a[i], b[i]));
      fill();
    };
    const head = table.columns.map((name, i) =>
      el("th", { scope: "col", className: isNumber[i] ? "number" : "" }, el("button", { type: "button", onclick: () => sort(i) }, name)));
    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-network]");
      if (row) choose(Number(row.dataset.network), event.shiftKey);
    });
    body.addEventListener("keydown", (event) => {
      const row = event.target.closest("tr");
      const next = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
      if (event.key === "Enter" && row?.dataset.network) choose(Number(row.dataset.network), event.shiftKey);
      if (!next || !row) return;
      let to = row[next];
      while (to && to.hidden) to = to[next];
      if (to) to.focus();
      event.preventDefault();
    });
    fill();
    views.push(mark);
    const note = table.left_out ? el("p", { className: "hint" }, `The first ${number(rows.length)} rows; the query returns all.`) : null;
    return el("div", {}, note, el("div", { className: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ...head)), body)));
  }

  function csv(table) {
    const cell = (value) => (value === null ? "" : /[",\n]/.test(String(value)) ? `"${String(value).replace(/"/g, '""')}"` : String(value));
    return [table.columns, ...table.rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
  }

  function numbersOf(exhibit) {
    if (!exhibit.table || !exhibit.table.rows.length) return null;
    const holder = el("details", {}, el("summary", {}, "As a table"));
    holder.addEventListener("toggle", () => {
      if (!holder.open || holder.childElementCount > 1) return;
      const save = el("button", { type: "button", onclick: () => {
        const address = URL.createObjectURL(new Blob([csv(exhibit.table)], { type: "text/csv" }));
        el("a", { href: address, download: exhibit.name + ".csv" }).click();
        URL.revokeObjectURL(address);
      } }, "Save as CSV");
      holder.append(save, dataTable(exhibit.table));
    });
    return holder;
  }

  function queryOf(exhibit) {
    if (!exhibit.query) return null;
    return el("details", {}, el("summary", {}, "Its query"), el("p", { className: "hint" }, "For a4nn sql, in the commons of the run:"), el("pre", {}, exhibit.query.trim()));
  }

  function section(exhibit, ...inner) {
    const words = exhibit.words.map((line) => el("p", { className: "words" }, line));
    return el("section", { id: exhibit.name, "aria-labelledby": "head-" + exhibit.name },
      el("h2", { id: "head-" + exhibit.name }, exhibit.title), ...words, ...inner, numbersOf(exhibit), queryOf(exhibit));
  }

  function chartsOf(exhibit, visible) {
    return exhibit.charts.length ? el("div", { className: "charts" }, ...exhibit.charts.map((chart) => chartView(chart, visible))) : null;
  }

  function live(update, className = "") {
    const holder = el("div", className ? { className } : {});
    const draw = () => holder.replaceChildren(...update());
    draw();
    views.push(draw);
    return holder;
  }

  function filmStrip() {
    const run = state.run;
    const steps = [];
    const seen = new Set();
    for (let number = state.values.network; number !== null && number !== undefined && !seen.has(number); ) {
      seen.add(number);
      const frame = run.frames[number];
      if (!frame) {
        if (run.sketches[number]) steps.unshift({ number, frame: { sketch: run.sketches[number], heading: `network ${number}`, cost: "", parents: [] } });
        break;
      }
      steps.unshift({ number, frame });
      number = frame.along;
    }
    if (!steps.length) return [el("p", { className: "empty" }, run.film_empty)];
    const strips = steps.flatMap(({ number, frame }) => [
      ...frame.parents.map((parent) => el("div", { className: "strip" },
        el("h3", {}, el("span", {}, `network ${parent.network}, what it alone hands on is coloured`)),
        drawSketch(parent.sketch, doc.colours, `network ${parent.network}`))),
      el("div", { className: "strip own", "data-step": number }, el("h3", {}, frame.heading), drawSketch(frame.sketch, doc.colours, frame.heading), el("div", { className: "cost" }, frame.cost)),
    ]);
    const note = steps[0].frame.heading.includes("founder") ? [] : [el("p", { className: "hint" }, "Earlier steps are not in this page, or were not recorded.")];
    return [stateKey(doc.colours, Object.keys(doc.colours)), ...note, ...strips];
  }

  function phaseCosts(sketch) {
    const sums = new Map();
    for (const [, phase, , , , flops, parameters] of sketch.nodes) {
      const key = phase === null ? "outside of phases" : "phase " + (phase + 1);
      const held = sums.get(key) ?? [0, 0];
      sums.set(key, [held[0] + flops, held[1] + parameters]);
    }
    return sums;
  }

  // both graphs with what became of their parts, kept for the next time that the same two are asked for
  const known = new Map();
  const keyOf = (one, other) => `${one.number}-${other.number}`;
  function differs(one, other) {
    const key = keyOf(one, other);
    if (!known.has(key)) {
      const [old, fresh] = [graphOf(doc, one), graphOf(doc, other)];
      known.set(key, { graphs: [old, fresh], ...differenceOf(old, fresh) });
    }
    return known.get(key);
  }

  function compared() {
    const { network, other, otherRun } = state.values;
    if (network === null || other === null) {
      return [el("p", { className: "empty" }, "Choose a second network to compare with: above, or with shift and a click on any point or row.")];
    }
    let sides = [[state.run, network], [state.otherRun(), other]];
    if (otherRun === null && other < network) sides = sides.reverse();
    if (sides.some(([run, one]) => !run.graphs[one])) return [el("p", { className: "empty" }, "The layers of these networks were not recorded, or are not in this page.")];
    const graphs = sides.map(([run, one]) => run.graphs[one]);
    if (!known.has(keyOf(...graphs)) && graphs[0].layers.length * graphs[1].layers.length > AT_ONCE) {
      setTimeout(() => { // so that the page says first what takes some seconds
        differs(...graphs);
        refresh();
      }, 50);
      return [el("p", { className: "empty", role: "status" }, "Comparing …")];
    }
    const found = differs(...graphs);
    const drawn = [found.old, found.fresh].map((states, i) => markedSketch(sides[i][0].sketches[sides[i][1]], found.graphs[i], states));
    const [old, fresh] = sides.map(([run, one]) => (otherRun === null ? String(one) : `${one} of ${run.run}`));
    const costs = drawn.map(phaseCosts);
    const rows = [...new Set(costs.flatMap((one) => [...one.keys()]))].map((name) => {
      const [a, b] = costs.map((one) => one.get(name) ?? [0, 0]);
      return [name, a[0] / 1e6, b[0] / 1e6, (b[0] - a[0]) / 1e6, a[1], b[1], b[1] - a[1]];
    });
    const columns = ["where", `multiply-adds of ${old} (millions)`, `of ${fresh}`, "difference", `parameters of ${old}`, `of ${fresh}`, "difference"];
    const same = otherRun === null && network === other;
    return [
      el("p", { id: "difference-words" }, same ? "This is the same network." : inWords(found)),
      stateKey(doc.colours, ["kept", "removed", "added", "changed"]),
      ...drawn.map((one, i) => {
        const name = `network ${[old, fresh][i]}`;
        return el("div", { className: "strip own" }, el("h3", {}, name), drawSketch(one, doc.colours, name));
      }),
      dataTable({ columns, rows }),
    ];
  }

  function gallery(run) {
    if (!run.stops.length) return null;
    const cards = run.stops.map((stop) => {
      const card = el("button", { type: "button", className: "card", "data-network": stop.network, onclick: (event) => choose(stop.network, event.shiftKey) },
        el("strong", {}, stop.chart.title), drawSmall(stop.chart, run.unit), el("small", {}, stop.words));
      views.push(() => {
        card.hidden = !state.shown(stop.network);
        card.classList.toggle("chosen", stop.network === state.values.network);
      });
      return card;
    });
    const left = run.stops_left_out ? el("p", { className: "hint" }, `${run.stops_left_out} more are in the table.`) : null;
    return el("div", {}, el("div", { className: "gallery" }, ...cards), left);
  }

  function familyControls() {
    const relatives = el("select", { id: "relatives", onchange: () => state.set({ relatives: relatives.value }) },
      ...Object.entries(RELATIVES).map(([value, words]) => el("option", { value }, words)));
    const into = el("button", { type: "button", id: "zoom-in", onclick: () => state.set({ focus: state.values.network }) }, "Zoom in to the descendants of the chosen one");
    const out = el("button", { type: "button", id: "zoom-out", onclick: () => {
      const parents = state.run.byNumber.get(state.values.focus)?.parents ?? [];
      state.set({ focus: parents.length ? parents[0] : null });
    } }, "Zoom out one step");
    const where = el("span", { className: "hint", role: "status" });
    views.push(() => {
      const { focus, network } = state.values;
      relatives.value = state.values.relatives;
      into.disabled = network === null || network === focus;
      out.disabled = focus === null;
      where.textContent = focus === null ? "the whole family" : `network ${focus} and its descendants`;
    });
    return el("div", { className: "controls" }, el("label", {}, "Draw", relatives), into, out, where);
  }

  function madeOf(run) {
    const facts = run.facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
    return el("section", { id: "made", "aria-labelledby": "head-made" }, el("h2", { id: "head-made" }, "How was this run made, and what did it cost?"),
      ...run.cost.map((line) => el("p", {}, line)), el("dl", {}, ...facts),
      run.experiment ? el("details", {}, el("summary", {}, "The whole experiment"), el("pre", {}, run.experiment)) : null,
      run.environment ? el("details", {}, el("summary", {}, "Versions and machine"), el("pre", {}, run.environment)) : null);
  }

  const special = {
    film: (exhibit) => section(exhibit, live(filmStrip)),
    difference: (exhibit) => section(exhibit, live(compared)),
    stopped: (exhibit) => section(exhibit, chartsOf(exhibit), gallery(state.run)),
    streams: (exhibit) => section(exhibit, chartsOf(exhibit, () => true)), // a stream is of all descendants of its founder
    family: (exhibit) => section(exhibit, familyControls(), chartsOf(exhibit, (number) => state.related()(number))),
  };

  function build() {
    sight.disconnect();
    views.length = 0;
    const run = state.run;
    document.getElementById("summary").textContent = run ? run.summary : "No run was given.";
    buildTools();
    if (!run) return;
    const exhibits = [...run.exhibits, ...doc.exhibits];
    const sections = exhibits.map((exhibit) => (special[exhibit.name] ?? ((one) => section(one, chartsOf(one))))(exhibit));
    main.replaceChildren(...sections, madeOf(run));
  }

  function buildTools() {
    const tools = document.getElementById("tools");
    const run = state.run;
    if (!run) return;
    const numbers = run.networks.map((network) => network.network);
    const options = (those) => those.map((one) => el("option", { value: String(one) }, `network ${one}`));
    const list = (id, empty, key) => el("select", { id, onchange: (event) => state.set({ [key]: event.target.value === "" ? null : Number(event.target.value) }) },
      el("option", { value: "" }, empty), ...options(numbers));
    const network = list("network", "none", "network");
    const other = list("other", "none", "other");
    const show = el("select", { id: "show", onchange: () => state.set({ show: show.value }) },
      ...Object.entries(SHOWN).map(([value, words]) => el("option", { value }, words)));
    const bound = (id) => el("input", { id, type: "number", min: "0", step: "1", onchange: (event) => state.set({ [id]: event.target.value === "" ? null : Number(event.target.value) }) });
    const from = bound("from");
    const to = bound("to");
    const move = (by) => {
      const shown = numbers.filter(state.shown);
      if (!shown.length) return;
      const place = shown.indexOf(state.values.network);
      choose(shown[(place + by + shown.length) % shown.length] ?? shown[0]);
    };
    const runs = doc.runs.length > 1
      ? el("label", {}, "Run", el("select", { id: "run", onchange: (event) => state.set({ run: event.target.value }) },
          ...doc.runs.map((one) => el("option", { value: one.run }, short(one.run, 50)))))
      : null;
    const otherRun = doc.runs.length > 1
      ? el("label", {}, "of run", el("select", { id: "other-run", onchange: (event) => state.set({ other: null, otherRun: event.target.value }) },
          ...doc.runs.map((one) => el("option", { value: one.run }, short(one.run, 50)))))
      : null;
    const shown = el("p", { id: "shown", role: "status" });
    const facts = el("p", { id: "about", "aria-live": "polite" });
    tools.replaceChildren(...[
      runs, el("label", {}, "Network", network),
      el("button", { type: "button", id: "previous", "aria-label": "previous network", onclick: () => move(-1) }, "◀"),
      el("button", { type: "button", id: "next", "aria-label": "next network", onclick: () => move(1) }, "▶"),
      el("label", {}, "Compare with", other), otherRun, el("label", {}, "Show", show),
      el("label", {}, "Generation from", from), el("label", {}, "to", to),
      el("button", { type: "button", id: "reset", onclick: () => state.set({ network: run.best, other: null, otherRun: null, show: "all", from: null, to: null, relatives: "all", focus: null }) }, "Start over"),
      shown, facts,
    ].filter(Boolean));
    tools.onsubmit = (event) => event.preventDefault();
    let listed = run;
    views.push(() => {
      const values = state.values;
      if (listed !== state.otherRun()) {
        listed = state.otherRun();
        other.replaceChildren(other.firstChild, ...options(listed.networks.map((one) => one.network)));
      }
      if (otherRun) otherRun.querySelector("select").value = listed.run;
      network.value = values.network === null ? "" : String(values.network);
      other.value = values.other === null ? "" : String(values.other);
      show.value = values.show;
      from.value = values.from ?? "";
      to.value = values.to ?? "";
      if (runs) runs.querySelector("select").value = values.run;
      const count = numbers.filter(state.shown).length;
      shown.textContent = `${number(count)} of ${number(numbers.length)} networks shown` + (run.left_out ? `; ${number(run.left_out)} more are in the commons, which a4nn explore shows whole` : "");
      const one = run.byNumber.get(values.network);
      facts.textContent = one
        ? [`network ${one.network}`, `validation ${score(one.best, one.best_se, run.unit)}`, `${number(one.mflops)} million multiply-adds`, `${number(one.epochs)} of ${number(one.budget)} epochs`,
            one.parents.length ? `${one.operator ?? "made"} of ${one.parents.join(" and ")}` : "", one.front ? "on the front" : "", one.ending || one.error || "", one.genome ? `genome ${short(one.genome, 120)}` : ""].filter(Boolean).join(" · ")
        : "Click a point or a row to choose a network; shift and a click choose one to compare it with.";
    });
  }

  let built = null;
  function refresh() {
    if (built !== state.run) {
      build();
      built = state.run;
    }
    for (const view of views) view();
  }

  function fail(words) {
    const message = document.getElementById("message");
    message.textContent = words;
    message.hidden = false;
  }

  async function loadPlotly() {
    if (typeof DecompressionStream === "undefined") {
      fail("This browser is too old to draw the figures with axes (it needs one of 2023 or newer); all tables are below.");
      return;
    }
    const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent.trim()), (one) => one.charCodeAt(0));
    const code = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
    const script = document.createElement("script");
    script.textContent = code;
    document.head.append(script);
    plotly = typeof Plotly !== "undefined";
    if (!plotly) fail("The figures with axes cannot be drawn in this browser; all tables are below.");
    refresh();
  }

  window.addEventListener("beforeprint", () => {
    for (const holder of document.querySelectorAll(".chart")) holder.draw?.(true);
  });
  refresh();
  loadPlotly().catch((error) => fail(`The figures with axes cannot be drawn (${error}); all tables are below.`));
}

start();
