// All clusters as rings by share, to jump.

const sunburst = {
  plot: byId("sunburst"),

  show(path) {
    this.path = path;
    if (clusters.size === 1) {
      this.plot.hidden = true;
      return;
    }
    // drawn once; then only the mark moves
    if (this.plot.data === undefined) this.draw();
    else Plotly.restyle(this.plot, { "marker.line": [this.marks()] });
  },

  draw() {
    if (this.path === undefined || clusters.size === 1) return;
    const all = [...clusters.values()];
    const trace = {
      type: "sunburst",
      ids: all.map((cluster) => cluster.path),
      labels: all.map((cluster) => (cluster.path === ROOT ? "all" : cluster.name)),
      parents: all.map((cluster) => parentOf(cluster.path) ?? ""),
      values: all.map((cluster) => ringShares.get(cluster.path)),
      branchvalues: "total",
      sort: false,
      textinfo: "label",
      insidetextorientation: "horizontal",
      hoverinfo: "text",
      hovertext: all.map((cluster) =>
        `<b>${cluster.name}</b> · ${percent(cluster.share)}<br>${wrapped(cluster.label, 30)}`),
      marker: { colors: all.map((cluster) => cluster.colour), line: this.marks() },
      insidetextfont: { color: all.map((cluster) => cluster.ink), size: 11 },
      leaf: { opacity: 1 },
    };
    const layout = plotLayout({
      margin: { l: 2, r: 2, t: 2, b: 2 },
      uniformtext: { minsize: 9, mode: "hide" },
    });
    Plotly.react(this.plot, [trace], layout, PLOT_OPTIONS);
    if (this.listens) return;
    this.listens = true;
    this.plot.on("plotly_sunburstclick", ({ points }) => {
      address.go(points[0].id);
      return false; // the rings stay as they are
    });
  },

  marks() {
    const all = [...clusters.keys()];
    const [paper, ink] = [theme.colour("ground"), theme.colour("ink")];
    return {
      color: all.map((path) => (path === this.path ? ink : paper)),
      width: all.map((path) => (path === this.path ? 2.5 : 1)),
    };
  },
};

// Shares, where children never add up to more than their parent: roundings would leave it undrawn.
const ringShares = (() => {
  const shares = new Map();
  for (const path of [...clusters.keys()].reverse()) {
    const below = childrenOf.get(path).reduce((sum, child) => sum + shares.get(child.path), 0);
    shares.set(path, Math.max(clusters.get(path).share, below));
  }
  return shares;
})();
