// The one selection of the page. It lives in the address, so that a link shows what its sender saw, and "back"
// goes back one choice.

const SHOWN = { all: "all networks", front: "the front", completed: "trained to the end", stopped: "stopped early", other: "failed or not trained" };
const RELATIVES = { all: "everyone", ancestors: "only ancestors", descendants: "only descendants", both: "ancestors and descendants" };

function makeState(doc, changed) {
  const runs = new Map(doc.runs.map((run) => [run.run, run]));
  for (const run of doc.runs) {
    run.byNumber = new Map(run.networks.map((network) => [network.network, network]));
    run.children = new Map();
    for (const network of run.networks) {
      for (const parent of network.parents) {
        if (!run.children.has(parent)) run.children.set(parent, []);
        run.children.get(parent).push(network.network);
      }
    }
  }
  const state = { values: {} };

  const whole = (text) => (text !== null && /^\d+$/.test(text) ? Number(text) : null);
  const oneOf = (text, known, usual) => (text !== null && Object.hasOwn(known, text) ? text : usual);

  state.read = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    const run = runs.get(given.get("run")) ?? doc.runs[0];
    const known = (name, among = run) => (among?.byNumber.has(whole(given.get(name))) ? whole(given.get(name)) : null);
    const otherRun = runs.has(given.get("otherRun")) && given.get("otherRun") !== run.run ? given.get("otherRun") : null;
    state.run = run;
    state.values = {
      run: run ? run.run : "",
      network: known("network") ?? (run ? run.best : null),
      other: known("other", runs.get(otherRun) ?? run),
      otherRun,
      show: oneOf(given.get("show"), SHOWN, "all"),
      from: whole(given.get("from")),
      to: whole(given.get("to")),
      relatives: oneOf(given.get("relatives"), RELATIVES, "all"),
      focus: known("focus"),
    };
  };

  state.set = (changes) => {
    const next = { ...state.values, ...changes };
    if (changes.run !== undefined && changes.run !== state.values.run) {
      Object.assign(next, { network: null, other: null, otherRun: null, focus: null, ...changes });
    }
    const kept = Object.entries(next).filter(([key, value]) => {
      if (value === null || value === "" || value === "all") return false;
      return key !== "run" || doc.runs.length > 1;
    });
    location.hash = new URLSearchParams(kept).toString();
  };

  // the run of the network that the chosen one is compared with
  state.otherRun = () => runs.get(state.values.otherRun) ?? state.run;

  // what the filter leaves of a run: shown(number) says whether a network is among it
  state.shown = (number) => {
    const network = state.run.byNumber.get(number);
    if (!network) return true;
    const { show, from, to } = state.values;
    const generation = network.generation;
    if (from !== null && (generation === null || generation < from)) return false;
    if (to !== null && (generation === null || generation > to)) return false;
    if (show === "all") return true;
    if (show === "front") return network.front;
    if (show === "other") return network.status !== "completed" && network.status !== "stopped";
    return network.status === show;
  };

  const reach = (start, next) => {
    const found = new Set([start]);
    for (const number of found) for (const more of next(number)) found.add(more);
    return found;
  };
  state.ancestors = (number) => reach(number, (one) => state.run.byNumber.get(one)?.parents ?? []);
  state.descendants = (number) => reach(number, (one) => state.run.children.get(one) ?? []);

  // the part of the family that is drawn
  state.related = () => {
    const { relatives, network, focus } = state.values;
    const sets = [];
    if (focus !== null) sets.push(state.descendants(focus));
    if (network !== null && relatives === "ancestors") sets.push(state.ancestors(network));
    if (network !== null && relatives === "descendants") sets.push(state.descendants(network));
    if (network !== null && relatives === "both") sets.push(new Set([...state.ancestors(network), ...state.descendants(network)]));
    return (number) => state.shown(number) && sets.every((set) => set.has(number));
  };

  window.addEventListener("hashchange", () => {
    state.read();
    changed();
  });
  state.read();
  return state;
}
