// Which layer of one architecture stands for which layer of another, and what so became of each: archaeology/matching.py,
// isomorphism.py and difference.py once more, so that a page can compare any two of its networks. Whoever changes one
// changes the other: a test compares them. Numbers are multiples of GRID, so sums are exact in any order.

const GAIN = { equal: 1.5, resized: 1.0, reset: 0.5, replaced: -0.5 };
const SURROUNDINGS = 0.3;
const ROUNDS = 16;
const STEPS = 30;
const PASSES = 20;
const TRIES = 50;
const GRID = 2 ** -16;
const WORK = 6e6;

const byValue = (a, b) => a - b;
const byPair = (a, b) => a[0] - b[0] || a[1] - b[1];
const rounded = (value) => Math.floor(value / GRID + 0.5) * GRID;

// A graph of the document with what is asked of it: layers [kind, operation, cost, rows of its output, ...] of the
// document's table, edges as pairs, layers before and after each layer (archaeology/graphs.py).
function graphOf(doc, recorded) {
  const edges = recorded.edges.flatMap((_, i, all) => (i % 2 ? [] : [[all[i], all[i + 1]]]));
  const neighbours = recorded.layers.map(() => [[], []]);
  for (const [source, target] of edges) {
    neighbours[source][1].push(target);
    neighbours[target][0].push(source);
  }
  const once = [...new Map(edges.map((edge) => [edge.join(), edge])).values()].sort(byPair);
  const [hash, order] = doc.order[recorded.number];
  return { hash, order, layers: recorded.layers.map((layer) => doc.layers[layer]), groups: recorded.groups, edges, once, neighbours };
}

function numbered(values) {
  const numbers = new Map();
  return values.map((value) => {
    if (!numbers.has(value)) numbers.set(value, numbers.size);
    return numbers.get(value);
  });
}

function counted(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

function push(groups, key, value) {
  if (!groups.has(key)) groups.set(key, []);
  groups.get(key).push(value);
}

const sameCounts = (one, other) => one.size === other.size && [...one].every(([value, count]) => other.get(value) === count);

// two graphs as one, so that colours of the first and of the second can be compared
function bothOf(old, fresh) {
  const size = old.layers.length;
  const neighbours = [...old.neighbours, ...fresh.neighbours.map((sides) => sides.map((side) => side.map((j) => size + j)))];
  const around = (colours, layer, before = true, after = true) => {
    const [sources, targets] = neighbours[layer].map((side) => side.map((j) => colours[j]).sort(byValue).join());
    return `${before ? sources : ""}|${after ? targets : ""}`;
  };
  const both = { size, neighbours };
  both.kinds = () => numbered([...old.layers, ...fresh.layers].map((layer) => layer[0]));
  both.step = (colours, before = true, after = true) =>
    numbered(colours.map((own, layer) => `${own}|${around(colours, layer, before, after)}`));
  both.refined = (given) => {
    let colours = given;
    for (let classes = 0; new Set(colours).size > classes; ) {
      classes = new Set(colours).size;
      colours = both.step(colours);
    }
    return colours;
  };
  both.paired = (given, i, j) => {
    const colours = [...given];
    const members = new Map();
    colours.forEach((colour, layer) => push(members, colour, layer));
    let unused = Math.max(...colours) + 1;
    const pair = [i, size + j];
    members.set(colours[i], members.get(colours[i]).filter((layer) => !pair.includes(layer)));
    members.set(unused, pair);
    for (const layer of pair) colours[layer] = unused;
    let moved = pair;
    while (moved.length) {
      const beside = [...new Set(moved.flatMap((layer) => neighbours[layer].flat().map((k) => colours[k])))].sort(byValue);
      moved = [];
      for (const colour of beside) {
        const groups = new Map();
        for (const layer of members.get(colour)) push(groups, around(colours, layer), layer);
        for (const group of [...groups.values()].slice(1)) {
          if (2 * group.filter((layer) => layer < size).length !== group.length) return null;
          unused += 1;
          members.set(unused, group);
          const gone = new Set(group);
          members.set(colour, members.get(colour).filter((layer) => !gone.has(layer)));
          for (const layer of group) colours[layer] = unused;
          moved.push(...group);
        }
      }
    }
    return colours;
  };
  return both;
}

function isomorphism(old, fresh) {
  const both = bothOf(old, fresh);
  let colours = both.refined(both.kinds());
  while (colours) {
    const [first, second] = [colours.slice(0, both.size), colours.slice(both.size)];
    const counts = counted(first);
    if (!sameCounts(counts, counted(second))) return null;
    const shared = [...counts].filter(([, count]) => count > 1).map(([colour, count]) => [count, colour]).sort(byPair);
    if (!shared.length) {
      const place = new Map(second.map((colour, j) => [colour, j]));
      const moved = first.map((colour) => place.get(colour));
      const same = sameCounts(counted(old.edges.map(([s, t]) => `${moved[s]},${moved[t]}`)), counted(fresh.edges.map(String)));
      return same ? moved.map((j, i) => [i, j]) : null;
    }
    const [, colour] = shared[0];
    const i = first.indexOf(colour);
    const candidates = second.flatMap((its, j) => (its === colour ? [j] : [])).slice(0, TRIES);
    const given = colours;
    colours = null;
    for (const j of candidates) {
      colours = both.paired(given, i, j);
      if (colours) break;
    }
  }
  return null;
}

// The assignment of rows to columns with the least cost, for each row its column; no more rows than columns. Shortest
// augmenting paths, with ties as in SciPy's linear_sum_assignment (Crouse, IEEE Transactions on Aerospace and Electronic
// Systems 52, 2016).
function leastCost(rows, columns, cost) {
  const u = new Float64Array(rows);
  const v = new Float64Array(columns);
  const ofRow = new Int32Array(rows).fill(-1);
  const ofColumn = new Int32Array(columns).fill(-1);
  const path = new Int32Array(columns).fill(-1);
  for (let row = 0; row < rows; row += 1) {
    const shortest = new Float64Array(columns).fill(Infinity);
    const [rowsSeen, columnsSeen] = [new Uint8Array(rows), new Uint8Array(columns)];
    const left = Int32Array.from({ length: columns }, (_, at) => columns - at - 1);
    let [count, least, sink, i] = [columns, 0, -1, row];
    while (sink < 0) {
      let [index, lowest] = [-1, Infinity];
      rowsSeen[i] = 1;
      for (let at = 0; at < count; at += 1) {
        const j = left[at];
        const reached = least + cost[i * columns + j] - u[i] - v[j];
        if (reached < shortest[j]) {
          path[j] = i;
          shortest[j] = reached;
        }
        if (shortest[j] < lowest || (shortest[j] === lowest && ofColumn[j] < 0)) {
          lowest = shortest[j];
          index = at;
        }
      }
      least = lowest;
      const j = left[index];
      if (ofColumn[j] < 0) sink = j;
      else i = ofColumn[j];
      columnsSeen[j] = 1;
      count -= 1;
      left[index] = left[count];
    }
    u[row] += least;
    for (let one = 0; one < rows; one += 1) if (rowsSeen[one] && one !== row) u[one] += least - shortest[ofRow[one]];
    for (let j = 0; j < columns; j += 1) if (columnsSeen[j]) v[j] -= least - shortest[j];
    for (let j = sink, at = -1; at !== row; ) {
      at = path[j];
      ofColumn[j] = at;
      [ofRow[at], j] = [j, ofRow[at]];
    }
  }
  return ofRow;
}

// how far each layer is from the input and from the scores, and its size, each from 0 to 1
function placesOf(graph) {
  const count = graph.layers.length;
  const [down, up] = [new Array(count).fill(0), new Array(count).fill(0)];
  for (let i = 0; i < count; i += 1) for (const j of graph.neighbours[i][0]) down[i] = Math.max(down[i], down[j] + 1);
  for (let i = count - 1; i >= 0; i -= 1) for (const j of graph.neighbours[i][1]) up[i] = Math.max(up[i], up[j] + 1);
  const sides = graph.layers.map((layer) => Math.log2(Math.max(layer[3], 1)));
  const most = [down, up, sides].map((values) => Math.max(1, ...values));
  return graph.layers.map((_, i) => [down[i] / most[0], up[i] / most[1], sides[i] / most[2]]);
}

function assignment(old, fresh) {
  const [n, m] = [old.layers.length, fresh.layers.length];
  const near = new Float64Array(n * m);
  const both = bothOf(old, fresh);
  for (const [before, after] of [[true, true], [true, false], [false, true]]) {
    let colours = both.kinds();
    for (let round = 0; round < ROUNDS; round += 1) {
      for (let i = 0; i < n; i += 1) for (let j = 0; j < m; j += 1) if (colours[i] === colours[n + j]) near[i * m + j] += 1;
      colours = both.step(colours, before, after);
    }
  }
  const [places, theirs] = [placesOf(old), placesOf(fresh)];
  const gain = new Float64Array(n * m);
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j < m; j += 1) {
      const at = i * m + j;
      const away = (Math.abs(places[i][0] - theirs[j][0]) + Math.abs(places[i][1] - theirs[j][1]) + Math.abs(places[i][2] - theirs[j][2])) / 3;
      near[at] = rounded((0.5 * near[at]) / (3 * ROUNDS) + 0.5 * (1 - Math.min(away, 1)));
      const [one, other] = [old.layers[i], fresh.layers[j]];
      if (one[0] === other[0]) gain[at] = one[2] === other[2] ? GAIN.equal : GAIN.resized;
      else gain[at] = one[1] === other[1] ? GAIN.reset : GAIN.replaced;
    }
  }
  for (const last of [false, true]) {
    const [i, j] = last ? [n - 1, m - 1] : [0, 0];
    for (let other = 0; other < m; other += 1) gain[i * m + other] = GAIN.replaced - 10;
    for (let other = 0; other < n; other += 1) gain[other * m + j] = GAIN.replaced - 10;
    gain[i * m + j] = GAIN.equal + 10;
  }
  for (let at = 0; at < n * m; at += 1) gain[at] += rounded(SURROUNDINGS * near[at]);

  // what each pair gains from connections to the pairs of a match
  const kept = (match) => {
    const found = new Float64Array(n * m);
    for (const [from, to] of [[0, 1], [1, 0]]) {
      const along = new Float64Array(n * m);
      for (const edge of fresh.once) for (let i = 0; i < n; i += 1) along[i * m + edge[from]] += match[i * m + edge[to]];
      for (const edge of old.once) for (let j = 0; j < m; j += 1) found[edge[from] * m + j] += along[edge[to] * m + j];
    }
    return found;
  };
  const chosen = (gains) => {
    const wide = n <= m;
    const cost = new Float64Array(n * m);
    for (let i = 0; i < n; i += 1) for (let j = 0; j < m; j += 1) cost[wide ? i * m + j : j * n + i] = -Math.max(gains[i * m + j], 0);
    const found = new Float64Array(n * m);
    leastCost(Math.min(n, m), Math.max(n, m), cost).forEach((column, row) => {
      const at = wide ? row * m + column : column * m + row;
      if (gains[at] > 0) found[at] = 1;
    });
    return found;
  };
  const pairsOf = (match) => [...match.keys()].filter((at) => match[at] > 0).map((at) => [Math.floor(at / m), at % m]);
  const scored = (match) => {
    const whole = match.map((value) => (value > 0.5 ? value : 0));
    const gained = kept(whole);
    return [whole.reduce((sum, value, at) => sum + (gain[at] + gained[at] / 2) * value, 0), whole];
  };
  const steps = Math.trunc(Math.min(Math.max(WORK / Math.max(n * m, 1), 3), STEPS));
  const best = (start) => {
    let match = start;
    let found = scored(match);
    for (let step = 0; step < steps; step += 1) {
      const slope = kept(match).map((value, at) => gain[at] + value);
      const towards = chosen(slope);
      const next = scored(towards);
      if (next[0] > found[0]) found = next;
      for (let at = 0; at < n * m; at += 1) towards[at] -= match[at];
      const linear = slope.reduce((sum, value, at) => sum + value * towards[at], 0);
      if (linear < 1e-9) break;
      const quadratic = kept(towards).reduce((sum, value, at) => sum + value * towards[at], 0) / 2;
      const length = quadratic >= 0 ? 1 : Math.min(1, -linear / (2 * quadratic));
      match = match.map((value, at) => rounded(value + towards[at] * length));
    }
    return pairsOf(found[1]);
  };
  const worthIt = (given) => {
    let pairs = given;
    const match = new Float64Array(n * m);
    for (const [i, j] of pairs) match[i * m + j] = 1;
    for (;;) {
      const gained = kept(match);
      const worth = ([i, j]) => gain[i * m + j] + gained[i * m + j];
      const worst = pairs.reduce((least, pair) => (least === null || worth(pair) < worth(least) ? pair : least), null);
      if (worst === null || worth(worst) > 0) return [...pairs].sort(byPair);
      pairs = pairs.filter((pair) => pair !== worst);
      match[worst[0] * m + worst[1]] = 0;
    }
  };
  const polished = [chosen(gain.map((value, at) => value + near[at])), new Float64Array(n * m)]
    .map((start) => polish(old, fresh, gain, best(start)));
  return worthIt(polished[1].score > polished[0].score ? polished[1].pairs : polished[0].pairs);
}

// a match made better by exchanging the partners of two layers, as long as that helps
function polish(old, fresh, gain, pairs) {
  const [n, m] = [old.layers.length, fresh.layers.length];
  const there = new Int32Array(n).fill(-1);
  const back = new Int32Array(m).fill(-1);
  for (const [i, j] of pairs) [there[i], back[j]] = [j, i];
  const edges = new Set(fresh.once.map(([s, t]) => s * m + t));
  const joined = (s, t) => there[s] >= 0 && there[t] >= 0 && edges.has(there[s] * m + there[t]);
  const value = (layers) => {
    const touched = new Set();
    for (const layer of layers) {
      for (const s of old.neighbours[layer][0]) touched.add(s * n + layer);
      for (const t of old.neighbours[layer][1]) touched.add(layer * n + t);
    }
    let sum = 0;
    for (const edge of touched) if (joined(Math.floor(edge / n), edge % n)) sum += 1;
    for (const layer of layers) if (there[layer] >= 0) sum += gain[layer * m + there[layer]];
    return sum;
  };
  const set = (layer, partner, other, former) => {
    for (const [one, its] of [[layer, partner], [other, former]]) {
      if (one >= 0 && its >= 0) [there[one], back[its]] = [its, one];
      else if (one >= 0) there[one] = -1;
      else if (its >= 0) back[its] = -1;
    }
  };
  const exchange = (layer, partner) => {
    const [other, former] = [back[partner], there[layer]];
    const touched = new Set(other < 0 ? [layer] : [layer, other]);
    const before = value(touched);
    set(layer, partner, other, former);
    if (value(touched) > before + 1e-9) return true;
    set(layer, former, other, partner);
    return false;
  };
  const along = ([source, target]) => {
    if (joined(source, target)) return false;
    const [from, to] = [there[source], there[target]];
    const after = from < 0 ? [] : fresh.neighbours[from][1].map((j) => [target, j]);
    const before = to < 0 ? [] : fresh.neighbours[to][0].map((j) => [source, j]);
    return [...after, ...before].some(([layer, j]) => exchange(layer, j));
  };
  for (let pass = 0; pass < PASSES; pass += 1) {
    let helped = 0;
    for (const edge of old.once) helped += along(edge);
    if (!helped) break;
  }
  const found = [...there.keys()].filter((i) => there[i] >= 0).map((i) => [i, there[i]]);
  return { pairs: found, score: value([...there.keys()]) };
}

// pairs [layer of the old graph, layer of the new one], sorted
function matchOf(old, fresh) {
  if (old.order > fresh.order) return matchOf(fresh, old).map(([i, j]) => [j, i]).sort(byPair);
  return (old.hash === fresh.hash ? isomorphism(old, fresh) : null) ?? assignment(old, fresh);
}

// What became of every layer and connection of both graphs ("kept", "changed", "removed", "added"), and the numbers of each.
function differenceOf(old, fresh) {
  const [layers, theirs] = [new Array(old.layers.length).fill("removed"), new Array(fresh.layers.length).fill("added")];
  const place = new Map();
  for (const [i, j] of matchOf(old, fresh)) {
    const [one, other] = [old.layers[i], fresh.layers[j]];
    layers[i] = theirs[j] = one[0] === other[0] && one[2] === other[2] ? "kept" : "changed";
    place.set(i, j);
  }
  const left = counted(fresh.edges.map(String));
  const kept = new Map();
  const edges = old.edges.map(([source, target]) => {
    const moved = `${place.get(source)},${place.get(target)}`;
    if (!left.get(moved)) return "removed";
    left.set(moved, left.get(moved) - 1);
    kept.set(moved, (kept.get(moved) ?? 0) + 1);
    return "kept";
  });
  const added = fresh.edges.map((edge) => {
    const held = kept.get(String(edge)) ?? 0;
    kept.set(String(edge), held - 1);
    return held > 0 ? "kept" : "added";
  });
  return { old: { layers, edges }, fresh: { layers: theirs, edges: added } };
}

// a difference in words, such as "+3 -1 ~2 layers, +4 -2 connections"
function inWords({ old, fresh }) {
  const count = (states, state) => states.filter((one) => one === state).length;
  const parts = [
    ["layers", [["+", count(fresh.layers, "added")], ["-", count(old.layers, "removed")], ["~", count(old.layers, "changed")]]],
    ["connections", [["+", count(fresh.edges, "added")], ["-", count(old.edges, "removed")]]],
  ].map(([word, signs]) => [word, signs.filter(([, one]) => one).map(([sign, one]) => sign + one).join(" ")]);
  const said = parts.filter(([, signs]) => signs).map(([word, signs]) => `${signs} ${word}`);
  return said.join(", ") || "the same network";
}

// a sketch with the states of its nodes and links, from those of layers and connections
function markedSketch(sketch, graph, states) {
  const together = (those) => (new Set(those).size === 1 ? those[0] : "changed");
  const nodes = sketch.nodes.map((node, at) => [...node.slice(0, 4), together(states.layers.filter((_, layer) => graph.groups[layer] === at)), ...node.slice(5)]);
  const fates = new Map(); // of several connections of the same two layers one is enough to keep it
  graph.edges.forEach((edge, i) => fates.get(String(edge)) === "kept" || fates.set(String(edge), states.edges[i]));
  const between = new Map();
  for (const [s, t] of graph.once) push(between, `${graph.groups[s]},${graph.groups[t]}`, fates.get(`${s},${t}`));
  return { nodes, links: sketch.links.map(([s, t]) => [s, t, together(between.get(`${s},${t}`))]) };
}
