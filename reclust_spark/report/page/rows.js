// A plot of rows under each other, each with its words above it: these are text of the page, which
// wraps, can be marked, and knows its direction.

const ROW_AXIS = 44;

// `labels` are elements, `label` pixels high; `band` is the height under each. The middle of row i is at
// `middle(i)` on the vertical axis, which counts pixels downwards.
function rowsPlot(labels, { label, band }, described) {
  const row = label + band;
  const height = labels.length * row + ROW_AXIS;
  const plot = make("div", { class: "rows-plot", role: "img", "aria-label": described });
  const sizes = { "--height": `${height}px`, "--label": `${label}px` };
  const element = make("div", { class: "rows", vars: sizes }, plot);
  labels.forEach((one, i) => {
    one.classList.add("rows-label");
    setVariables(one, { "--top": `${i * row}px` });
    element.append(one);
  });
  return {
    element,
    plot,
    height,
    middle: (i) => i * row + label + band / 2,
    layout(xaxis, more) {
      return plotLayout({
        height,
        margin: { l: 10, r: 10, t: 0, b: ROW_AXIS },
        xaxis: {
          fixedrange: true,
          gridcolor: theme.colour("line"),
          zeroline: false,
          tickfont: { size: 12, color: theme.colour("muted") },
          nticks: 6,
          ...xaxis,
        },
        yaxis: { ...NO_AXIS, range: [height - ROW_AXIS, 0] },
        ...more,
      });
    },
  };
}
