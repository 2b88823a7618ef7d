// The map on view: a cluster's own, or that of its parent with the cluster alone in full colour.

const SVG_POINTS = 1500;
const FADED = 0.12;

const map = {
  plot: byId("map"),
  places: new Map(),
  shown: null,

  show(cluster) {
    const node = cluster.map ? cluster : clusters.get(parentOf(cluster.path));
    const hasMap = Boolean(node?.map);
    this.plot.hidden = !hasMap;
    byId("view").classList.toggle("no-map", !hasMap);
    this.shown = hasMap ? { node, only: node === cluster ? null : cluster.path } : null;
    byId("map-caption").replaceChildren(...this.caption(cluster));
    if (hasMap) this.draw();
  },

  draw() {
    if (this.shown === null) return;
    const { node, only } = this.shown;
    const groups = this.groups(node);
    this.paths = groups.map((group) => group.path);
    this.plot.setAttribute("role", "img");
    this.plot.setAttribute("aria-label", this.described(node, only));
    const traces = groups.map((group) => this.trace(group, only, node));
    const layout = plotLayout({
      annotations: this.labels(node, groups.filter((group) => group.path), only),
      xaxis: { ...NO_AXIS, ...padded(node.map.x) },
      yaxis: { ...NO_AXIS, ...padded(node.map.y), scaleanchor: "x" },
      margin: { l: 8, r: 8, t: 8, b: 8 },
    });
    Plotly.react(this.plot, traces, layout, PLOT_OPTIONS);
    if (!this.listens) this.listen();
  },

  // The points of each child, those of none first; decoded once.
  groups(node) {
    if (!this.places.has(node.path)) this.places.set(node.path, decodedGroups(node));
    return this.places.get(node.path);
  },

  trace(group, only, node) {
    const cluster = group.path && clusters.get(group.path);
    const faded = only !== null && group.path !== only;
    return {
      type: hasWebGL ? "scattergl" : "scatter",
      mode: "markers",
      x: group.x,
      y: group.y,
      marker: {
        color: cluster ? cluster.colour : colours.noise,
        size: pointSize(node.map.x.n) - (cluster ? 0 : 1),
        opacity: faded ? FADED : cluster ? 0.8 : 0.4,
        line: { width: 0 },
      },
      hoverinfo: cluster ? "text" : "skip",
      hovertext: cluster
        ? `<b>${cluster.name}</b> · ${percent(cluster.share)}<br>${wrapped(cluster.label)}`
        : undefined,
    };
  },

  // Each cluster's number at its median, or beside it with a line to it where they would overlap.
  labels(node, groups, only) {
    const side = Math.min(this.plot.clientWidth, this.plot.clientHeight);
    const span = Math.max(...[node.map.x, node.map.y].map(({ low, high }) => high - low)) || 1;
    const scale = side / (1.08 * span);
    const middles = groups.map(({ path, middle: [x, y] }) =>
      ({ x: x * scale, y: -y * scale, width: 14 + 8 * nameOf(path).length }));
    const moved = apart(middles);
    return groups.map((group, i) => {
      const { colour, ink, path } = clusters.get(group.path);
      const { ax, ay } = moved[i];
      return {
        x: group.middle[0],
        y: group.middle[1],
        ax,
        ay,
        showarrow: Math.hypot(ax, ay) > 2,
        arrowhead: 0,
        arrowwidth: 1.5,
        arrowcolor: colour,
        text: `<b>${nameOf(path)}</b>`,
        captureevents: true,
        font: { size: 13, color: ink },
        bgcolor: colour,
        bordercolor: theme.colour("paper"),
        borderwidth: 2,
        borderpad: 3,
        opacity: only !== null && path !== only ? 0.45 : 1,
      };
    });
  },

  // Shows one child's points in full, the others faded; null: all as they were.
  emphasise(path) {
    if (this.shown === null || this.shown.only !== null) return;
    const opacity = this.paths.map((one) =>
      path === null ? (one ? 0.8 : 0.4) : one === path ? 0.9 : FADED);
    Plotly.restyle(this.plot, { "marker.opacity": opacity });
  },

  listen() {
    this.listens = true;
    this.plot.on("plotly_click", ({ points }) => this.choose(this.paths[points[0].curveNumber]));
    this.plot.on("plotly_clickannotation", ({ index }) =>
      this.choose(this.paths.filter(Boolean)[index]));
    this.plot.on("plotly_hover", () => this.plot.classList.add("pointing"));
    this.plot.on("plotly_unhover", () => this.plot.classList.remove("pointing"));
  },

  choose(path) {
    if (path) address.go(path);
  },

  described(node, only) {
    const names = childrenOf.get(node.path).map((child) => child.name).join(", ");
    const said = `Map of ${node.name}, coloured by its clusters ${names}.`;
    return only === null ? said : `${said} ${nameOf(only)} is in full colour.`;
  },

  caption(cluster) {
    if (this.shown === null) return ["There is no map: this cluster has not been split."];
    const { node, only } = this.shown;
    const n = Math.min(node.map.x.n, hasWebGL ? Infinity : SVG_POINTS);
    const people = n < node.map.n_all
      ? `${count(n)} of ${plural(node.map.n_all, "person", "people")}`
      : plural(n, "person", "people");
    const whose = only === null ? "" : ` This is the map of its parent, ${node.name}.`;
    return [`${people}; near each other means alike in their answers, grey is in no cluster.${whose}`];
  },
};

function decodedGroups(node) {
  const [x, y, child] = [steps(node.map.x), steps(node.map.y), indexes(node.map.child)];
  // without WebGL every k-th point: a map's points are in no order
  const stride = hasWebGL ? 1 : Math.ceil(x.length / SVG_POINTS);
  const numbers = [0, ...childrenOf.get(node.path).map((one) => numbersOf(one.path).at(-1))];
  const found = new Map(numbers.map((number) => [number, { x: [], y: [] }]));
  for (let i = 0; i < x.length; i += stride) {
    const group = found.get(child[i]);
    group.x.push(x[i]);
    group.y.push(y[i]);
  }
  return [...found].filter(([, group]) => group.x.length).map(([number, group]) => ({
    path: number ? childPath(node.path, number) : null,
    ...group,
    middle: [median(group.x), median(group.y)],
  }));
}

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

// How far each label is moved, in pixels, so that none covers another: where two overlap, both go
// half of the shorter way out.
function apart(middles, height = 26) {
  const at = middles.map((one) => ({ ...one }));
  for (let round = 0, moves = true; moves && round < 200; round++) {
    moves = false;
    for (let i = 0; i < at.length; i++) {
      for (let j = 0; j < i; j++) {
        const [dx, dy] = [at[i].x - at[j].x, at[i].y - at[j].y];
        const width = (at[i].width + at[j].width) / 2;
        const [overX, overY] = [width - Math.abs(dx), height - Math.abs(dy)];
        if (overX <= 0.5 || overY <= 0.5) continue;
        moves = true;
        const [axis, over, way] = overX < overY ? ["x", overX, dx] : ["y", overY, dy];
        const step = (way < 0 ? -1 : 1) * over / 2;
        at[i][axis] += step;
        at[j][axis] -= step;
      }
    }
  }
  return at.map(({ x, y }, i) => ({ ax: x - middles[i].x, ay: y - middles[i].y }));
}

function padded({ low, high }) {
  const pad = 0.04 * (high - low || 1);
  return { range: [low - pad, high + pad] };
}

function pointSize(n) {
  return n > 4000 ? 3.5 : n > 1200 ? 4.5 : 6;
}
