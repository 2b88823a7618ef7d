// All clusters as rings by share, to jump.

const sunburst = {
  plot: byId("sunburst"),

  show(path) {
    this.path = path;
    this.plot.hidden = clusters.size === 1;
    this.mark();
  },

  draw() {
    if (clusters.size === 1) return;
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
      marker: {
        colors: all.map((cluster) => cluster.colour),
        line: { color: theme.colour("ground"), width: 1 },
      },
      insidetextfont: { color: all.map((cluster) => cluster.ink), size: 11 },
      outsidetextfont: { color: root.ink, size: 12 }, // so plotly calls the text in the middle
      leaf: { opacity: 1 },
    };
    const layout = plotLayout({
      margin: { l: 2, r: 2, t: 2, b: 2 },
      uniformtext: { minsize: 9, mode: "hide" },
    });
    Plotly.react(this.plot, [trace], layout, PLOT_OPTIONS);
    this.mark();
    if (this.listens) return;
    this.listens = true;
    this.plot.on("plotly_sunburstclick", ({ points }) => {
      address.go(points[0].id);
      return false; // the rings stay as they are
    });
  },

  // Marks the cluster on view, before its neighbours, which would cover its line: plotly would
  // draw all slices again.
  mark() {
    for (const slice of this.plot.querySelectorAll(".slice.marked")) slice.classList.remove("marked");
    const slices = [...this.plot.querySelectorAll(".slice")];
    const marked = slices.find((slice) => slice.__data__.data.id === this.path);
    marked?.classList.add("marked");
    marked?.parentNode.append(marked);
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
