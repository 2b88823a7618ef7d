// SHAP values of the leading questions: a swarm a question, shaded by the answer.

const SWARM_ROW = { label: 44, band: 42 };
const DOT = 6;

function swarmSection(cluster) {
  const swarms = cluster.swarms;
  const frame = rowsPlot(
    swarms.map(swarmLabel),
    SWARM_ROW,
    `SHAP values of ${swarms.length} leading questions; the list above says the same in words.`,
  );
  plots.whenSeen(frame.element, () => drawSwarms(frame, swarms));
  return make("div", null,
    make("h3", null, "How the answers speak for the cluster"),
    make("p", { class: "hint" },
      "Each dot is a person of this split. Dots at the right: the answer speaks for this cluster; " +
      "at the left, against it. Rings have not answered."),
    frame.element);
}

function swarmLabel(swarm) {
  const end = (colour, said) => make("span", { class: "end" },
    make("i", { class: "dot", vars: { "--c": colour } }), short(said, "span", "", 40));
  const question = short(text(swarm.question), "span", "swarm-question");
  question.title = shortened(text(swarm.question), 1500); // it ends where the row does
  return make("div", { class: "swarm-label" },
    question,
    make("span", { class: "ends" },
      end(colours.low, text(swarm.low)), end(colours.high, text(swarm.high))));
}

function drawSwarms(frame, swarms) {
  const columns = swarms.map((swarm) => ({
    shap: steps(swarm.shap),
    shade: bytes(swarm.shade),
    word: indexes(swarm.word),
    words: swarm.words.map(text),
  }));
  const low = Math.min(0, ...columns.map(({ shap }) => shap[0] ?? 0));
  const high = Math.max(0, ...columns.map(({ shap }) => shap.at(-1) ?? 0));
  const pad = 0.03 * (high - low || 1);
  const range = [low - pad, high + pad];
  const perPixel = (range[1] - range[0]) / Math.max(100, frame.plot.clientWidth - 20);
  const answered = { x: [], y: [], hovertext: [], shade: [] };
  const silent = { x: [], y: [], hovertext: [] };
  columns.forEach((column, row) => {
    const offsets = swarmOffsets(column.shap, DOT * perPixel);
    column.shap.forEach((shap, i) => {
      const into = column.shade[i] === NO_BYTE ? silent : answered;
      const word = column.word[i] === NO_SHORT ? "no answer" : column.words[column.word[i]];
      into.x.push(shap);
      into.y.push(frame.middle(row) + offsets[i]);
      into.hovertext.push(`${wrapped(word)}<br>${shap < 0 ? "−" : "+"}${fixed(Math.abs(shap), 2)} log odds`);
      into.shade?.push(column.shade[i] / (NO_BYTE - 1));
    });
  });
  const common = { type: "scatter", mode: "markers", hoverinfo: "text" };
  const line = { width: 0.5, color: theme.colour("dot") };
  const traces = [
    { ...common, ...silent, marker: { symbol: "circle-open", size: DOT - 1, color: colours.none } },
    {
      ...common,
      ...answered,
      marker: {
        size: DOT, color: answered.shade, cmin: 0, cmax: 1, line,
        colorscale: [[0, colours.low], [1, colours.high]],
      },
    },
  ];
  const layout = frame.layout(
    { range, title: { text: "← against · SHAP value, log odds · for →", font: { size: 12 }, standoff: 6 } },
    { shapes: [zeroLine(frame)] },
  );
  Plotly.react(frame.plot, traces, layout, PLOT_OPTIONS);
}

function zeroLine(frame) {
  return {
    type: "line", xref: "x", x0: 0, x1: 0, yref: "y", y0: 0, y1: frame.height - ROW_AXIS,
    layer: "below", line: { color: theme.colour("edge"), width: 1 },
  };
}

// How far each dot is put above or below its row's middle, in pixels, so that dots lie beside each
// other; values rise, `width` is a dot's in their units.
function swarmOffsets(values, width) {
  const step = DOT - 1;
  const lanes = 2 * Math.floor((SWARM_ROW.band - DOT) / 2 / step) + 1;
  const last = new Array(lanes).fill(-Infinity);
  return Array.from(values, (value) => {
    // the first lane with room, from the middle outwards; where there is none, the emptiest
    let lane = last.findIndex((end) => end + width <= value);
    if (lane < 0) lane = last.indexOf(Math.min(...last));
    last[lane] = value;
    return step * (lane % 2 ? (lane + 1) / 2 : -lane / 2);
  });
}
