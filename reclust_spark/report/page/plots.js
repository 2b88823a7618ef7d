// What all plots have in common: their look, their words, and when they are drawn.

const hasWebGL = (() => {
  const context = document.createElement("canvas").getContext("webgl");
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return context !== null;
})();

const PLOT_OPTIONS = { displayModeBar: false, responsive: true, showTips: false, doubleClick: false };

// plotly reads a little HTML in its texts: here it finds none. An isolate keeps the direction of a
// text from what stands beside it.
function plotText(said) {
  const clean = said.replace(/[\u0000-\u001f\u007f]+/g, " ");
  const escaped = clean.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  return `\u2068${escaped}\u2069`;
}

function wrapped(said, length = 46, lines = 4) {
  const found = [""];
  for (const word of shortened(said, length * lines).split(/\s+/)) {
    for (let rest = word; rest; rest = rest.slice(length)) {
      const part = rest.slice(0, length);
      const last = found.length - 1;
      if (found[last] && found[last].length + part.length >= length) found.push(part);
      else found[last] += (found[last] ? " " : "") + part;
    }
  }
  return found.map(plotText).join("<br>");
}

function plotLayout(more) {
  const ink = theme.colour("ink");
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: theme.colour("font"), size: 13, color: ink },
    hoverlabel: {
      bgcolor: theme.colour("paper"),
      bordercolor: theme.colour("edge"),
      font: { family: theme.colour("font"), size: 13, color: ink },
      align: "left",
    },
    showlegend: false,
    dragmode: false,
    hovermode: "closest",
    margin: { l: 0, r: 0, t: 0, b: 0 },
    ...more,
  };
}

const NO_AXIS = { visible: false, fixedrange: true };

// Plots of the panel are drawn when they come near the screen, and let go of when it changes.
const plots = {
  waiting: new Map(),
  drawn: new Map(),

  whenSeen(element, draw) {
    this.waiting.set(element, draw);
    this.observer.observe(element);
  },

  observer: new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) plots.draw(entry.target);
  }, { rootMargin: "300px" }),

  draw(element) {
    const draw = this.waiting.get(element);
    if (draw === undefined) return;
    this.waiting.delete(element);
    this.observer.unobserve(element);
    this.drawn.set(element, draw);
    draw();
  },

  drawAll() {
    for (const element of [...this.waiting.keys()]) this.draw(element);
  },

  redraw() {
    for (const draw of this.drawn.values()) draw();
  },

  // Forgets the plots within an element that goes.
  forget(within) {
    for (const element of [...this.waiting.keys()]) {
      if (!within.contains(element)) continue;
      this.observer.unobserve(element);
      this.waiting.delete(element);
    }
    for (const element of [...this.drawn.keys()]) {
      if (within.contains(element)) this.drawn.delete(element);
    }
    for (const plot of within.querySelectorAll(".js-plotly-plot")) Plotly.purge(plot);
  },
};
