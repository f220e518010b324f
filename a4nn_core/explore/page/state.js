// What is seen lives in the address, so that a copy of it shows the same, and "back" goes back one choice.

const NETWORK_STATUS = { "": "any status", completed: "trained to the end", stopped: "stopped early", failed: "failed", equal: "equal to another", infeasible: "outside the bounds", paused: "waiting" };
const MOST_PICKED = 1000;
const MOST_CURVES = [100, 300, 1000];

function makeState(changed) {
  const state = { values: {}, usual: { x: null, y: null } };

  const finite = (text) => (text !== null && text !== "" && Number.isFinite(Number(text)) ? Number(text) : null);
  const four = (text) => {
    const values = (text ?? "").split(",").map(finite);
    return values.length === 4 && values.every((one) => one !== null) && values[0] <= values[1] && values[2] <= values[3] ? values : null;
  };
  const bound = (text) => {
    let given;
    try {
      given = JSON.parse(text);
    } catch {
      return null;
    }
    const end = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);
    if (!Array.isArray(given) || typeof given[0] !== "string") return null;
    return { measure: given[0], least: end(given[1]), most: end(given[2]) };
  };
  const one = (text) => {
    const at = text.lastIndexOf("/");
    const digits = text.slice(at + 1);
    return at > 0 && /^\d{1,7}$/.test(digits) ? { run: text.slice(0, at), network: Number(digits) } : null;
  };

  state.read = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    const wish = (given.get("wish") ?? ",").split(",").map(finite);
    state.values = {
      runs: given.getAll("run"),
      words: given.get("words") ?? "",
      state: given.get("state") ?? "",
      data: given.get("data") ?? "",
      show: Object.hasOwn(NETWORK_STATUS, given.get("show") ?? "") ? (given.get("show") ?? "") : "",
      x: given.get("x") ?? state.usual.x,
      y: given.get("y") ?? state.usual.y,
      bounds: given.getAll("bound").map(bound).filter(Boolean).slice(0, 20),
      dominated: given.get("dominated") !== "hidden",
      wish: [wish[0] ?? null, wish[1] ?? null],
      window: four(given.get("window")),
      area: four(given.get("area")),
      picked: given.getAll("pick").map(one).filter(Boolean).slice(0, MOST_PICKED),
      curves: MOST_CURVES.find((most) => String(most) === given.get("curves")) ?? MOST_CURVES[0],
      sort: given.get("sort"),
      descending: given.get("order") === "down",
      page: /^\d{1,6}$/.test(given.get("page") ?? "") ? Number(given.get("page")) : 0,
    };
  };

  const written = (values) => {
    const found = new URLSearchParams();
    values.runs.forEach((run) => found.append("run", run));
    for (const key of ["words", "state", "data", "show", "x", "y", "sort"]) if (values[key] && values[key] !== state.usual[key]) found.set(key, values[key]);
    values.bounds.forEach(({ measure, least, most }) => found.append("bound", JSON.stringify([measure, least, most])));
    if (!values.dominated) found.set("dominated", "hidden");
    if (values.wish.some((value) => value !== null)) found.set("wish", values.wish.map((value) => value ?? "").join(","));
    if (values.window) found.set("window", values.window.join(","));
    if (values.area) found.set("area", values.area.join(","));
    values.picked.forEach(({ run, network }) => found.append("pick", `${run}/${network}`));
    if (values.curves !== MOST_CURVES[0]) found.set("curves", String(values.curves));
    if (values.descending) found.set("order", "down");
    if (values.page) found.set("page", String(values.page));
    return found.toString();
  };

  // lasting: whether "back" comes back to what was before
  state.set = (changes, lasting = true) => {
    const next = { ...state.values, ...changes };
    if (!Object.hasOwn(changes, "page")) next.page = 0;
    const hash = written(next);
    if (hash === written(state.values)) return;
    if (lasting) {
      location.hash = hash;
    } else {
      history.replaceState(null, "", "#" + hash);
      state.read();
      changed();
    }
  };

  // the filter as the server takes it
  state.filter = () => {
    const { runs, show, bounds } = state.values;
    return { runs, status: show || null, bounds: bounds.filter(({ least, most }) => least !== null || most !== null) };
  };

  // the selection as the server takes it: picked networks, or an area, or all that the filter leaves
  state.chosen = () => {
    const { picked, area, x, y } = state.values;
    if (picked.length) return { filter: state.filter(), picked };
    if (area && x && y) {
      return { filter: state.filter(), area: [{ measure: x, least: area[0], most: area[1] }, { measure: y, least: area[2], most: area[3] }] };
    }
    return { filter: state.filter() };
  };

  state.isPicked = (run, network) => state.values.picked.some((one) => one.run === run && one.network === network);

  state.pick = (run, network, more) => {
    const { picked } = state.values;
    const others = picked.filter((one) => one.run !== run || one.network !== network);
    if (!more) state.set({ picked: [{ run, network }], area: null, page: state.values.page });
    else if (others.length < picked.length) state.set({ picked: others, page: state.values.page });
    else if (picked.length < MOST_PICKED) state.set({ picked: [...picked, { run, network }], area: null, page: state.values.page });
  };

  window.addEventListener("hashchange", () => {
    state.read();
    changed();
  });
  state.read();
  return state;
}
