// Outside questions: what is chosen, and the cluster's answers as dots with intervals and as a table.

const OUTSIDE_ROW = { label: 22, band: 20 };

const outside = {
  choice: { question: asked[0]?.question, by: "", among: 0, line: 0 },

  section(cluster) {
    if (!asked.length) {
      return make("p", { class: "unknown" }, "No outside questions were crossed with the tree.");
    }
    const body = make("div", null);
    const choices = make("div", { class: "choices" });
    const update = () => {
      plots.forget(body);
      const one = this.chosen();
      choices.replaceChildren(...this.selects(one, update));
      body.replaceChildren(...this.parts(one, cluster));
    };
    update();
    return make("div", null, choices, body, outsideRemarks());
  },

  // The question on view; the choice is mended where it does not fit the question.
  chosen() {
    const { choice } = this;
    const same = asked.filter((one) => one.question === choice.question);
    const one = same.find((other) => other.byQuestion === choice.by) ?? same[0];
    choice.by = one.byQuestion;
    if (choice.among >= Math.max(1, one.byLevels.length)) choice.among = 0;
    if (choice.line >= linesOf(one).length) choice.line = 0;
    return one;
  },

  selects(one, update) {
    const { choice } = this;
    const firsts = new Map(asked.map((other) => [other.question, other.text]));
    const seconds = asked.filter((other) => other.question === choice.question);
    const chosen = (key, read) => (value) => {
      choice[key] = read(value);
      update();
      byId(`outside-${key}`).focus();
    };
    return [
      select("outside-question", "Question", [...firsts], choice.question,
        chosen("question", String)),
      select("outside-by", "Second question",
        seconds.map((other) => [other.byQuestion, other.byText || "none"]), choice.by,
        chosen("by", String)),
      one.byQuestion === "" ? null : select("outside-among", "Among",
        one.byLevels.map((level, i) => [i, level]), choice.among, chosen("among", Number)),
    ].filter(Boolean);
  },

  parts(one, cluster) {
    const { among } = this.choice;
    const lines = linesOf(one).map((name, line) => ({
      name: foreign(name),
      said: name,
      colour: cluster.colour,
      cell: cellOf(one, cluster.path, among, line),
    }));
    const whose = cluster.path === ROOT ? "Everyone" : `Cluster ${cluster.name}`;
    const who = one.byQuestion === "" ? whose : `${whose} among ${one.byLevels[among]}`;
    return [
      long(one.text, "p", "question"),
      one.byQuestion === "" ? null : long(`Among: ${one.byText}, ${one.byLevels[among]}`, "p", "hint"),
      legend(one),
      ...intervals(one, lines, who),
      ...this.comparisons(one, cluster),
    ].filter(Boolean);
  },

  // One answer across clusters, and across the second question's answers.
  comparisons(one, cluster) {
    const { among, line } = this.choice;
    const names = linesOf(one);
    const below = childrenOf.get(cluster.path);
    const up = clusters.get(parentOf(cluster.path));
    const others = below.length ? below : up ? childrenOf.get(up.path) : [];
    if (!others.length && one.byQuestion === "") return [];
    const head = make("div", { class: "choices" }, names.length < 2
      ? null
      : select("outside-line", one.isShare ? "Answer to compare" : "Figure to compare",
        names.map((name, i) => [i, name]), line, (value) => {
          this.choice.line = Number(value);
          fill();
        }));
    const body = make("div", null);
    const fill = () => {
      plots.forget(body);
      body.replaceChildren(
        ...this.acrossClusters(one, cluster, others, below.length > 0),
        ...this.acrossSecond(one, cluster));
    };
    fill();
    return [head, body];
  },

  acrossClusters(one, cluster, others, areBelow) {
    if (!others.length) return [];
    const { among, line } = this.choice;
    const rows = (areBelow ? [cluster, ...others] : others).map((other) => ({
      name: make("span", { class: "cluster-link" }, chip(other), short(other.label, "span", "", 60)),
      said: other.name,
      colour: other.colour,
      cell: cellOf(one, other.path, among, line),
    }));
    const title = areBelow ? "The same in its clusters" : "The same in its siblings";
    return [make("h3", null, title), ...intervals(one, rows, title)];
  },

  acrossSecond(one, cluster) {
    if (one.byQuestion === "") return [];
    const rows = one.byLevels.map((level, by) => ({
      name: foreign(level),
      said: level,
      colour: cluster.colour,
      cell: cellOf(one, cluster.path, by, this.choice.line),
    }));
    return [make("h3", null, "The same by ", short(one.byText)), ...intervals(one, rows, one.byText)];
  },
};

function select(id, label, options, value, onchange) {
  const element = make("select", { id, dir: "auto" }, ...options.map(([key, said]) => {
    const option = make("option", { value: key, selected: key === value });
    option.textContent = shortened(said, 90);
    return option;
  }));
  element.addEventListener("change", () => onchange(element.value));
  return make("label", { class: "choice", for: id }, make("span", null, label), element);
}

function legend(one) {
  const everyone = one.byQuestion === "" ? "everyone" : "everyone of the same second answer";
  const mark = (name, said) => make("span", null, make("i", { class: `mark ${name}` }), said);
  return make("p", { class: "legend" },
    mark("filled", "differs from the rest (q ≤ .05)"), mark("open", "does not"), mark("diamond", everyone),
    make("span", null, `line: ${one.confidence} interval`));
}

// Rows of cells as a plot, and the same as a table.
function intervals(one, rows, who) {
  const frame = rowsPlot(rows.map((row) => intervalLabel(one, row)), OUTSIDE_ROW,
    `${who}: values with ${one.confidence} intervals; the table below says the same.`);
  plots.whenSeen(frame.element, () => drawIntervals(frame, one, rows));
  return [frame.element, make("details", { class: "as-table" },
    make("summary", null, "As a table"), cellTable(one, rows, who))];
}

const unknownCell = (cell) => (cell.isCrossed ? "no answers" : "not crossed");
const asValue = (one, value) => (one.isShare ? percent(value) : quantity(value));

function intervalLabel(one, { name, cell }) {
  const said = cell.isShown ? asValue(one, cell.value) : cell.isHidden ? "hidden" : unknownCell(cell);
  return make("div", { class: "interval-label" },
    name.cloneNode(true), make("span", { class: cell.isShown ? "number" : "unknown" }, said));
}

function drawIntervals(frame, one, rows) {
  const scale = one.isShare ? 100 : 1;
  const shown = rows.map((row, i) => ({ ...row, y: frame.middle(i) })).filter(({ cell }) => cell.isShown);
  const of = (name) => shown.map(({ cell }) => scale * cell[name]);
  const [values, lows, highs] = [of("value"), of("low"), of("high")];
  const edges = values.map((value, i) => ({
    below: Number.isNaN(lows[i]) ? 0 : value - lows[i],
    above: Number.isNaN(highs[i]) ? 0 : highs[i] - value,
  }));
  const ink = theme.colour("ink");
  const paper = theme.colour("paper");
  const known = rows.map((row, i) => ({ y: frame.middle(i), value: scale * row.cell.everyone }))
    .filter(({ value }) => !Number.isNaN(value));
  const traces = [
    {
      type: "scatter", mode: "markers", hoverinfo: "text",
      x: known.map(({ value }) => value), y: known.map(({ y }) => y),
      hovertext: known.map(({ value }) => `everyone: ${asValue(one, value / scale)}`),
      marker: { symbol: "diamond-open", size: 10, color: theme.colour("muted"), line: { width: 1.5 } },
    },
    {
      type: "scatter", mode: "markers", hoverinfo: "text",
      x: values, y: shown.map(({ y }) => y),
      error_x: {
        type: "data", symmetric: false, width: 0, thickness: 2, color: ink,
        array: edges.map(({ above }) => above), arrayminus: edges.map(({ below }) => below),
      },
      hovertext: shown.map(({ said, cell }) =>
        `${wrapped(said)}<br>${asValue(one, cell.value)} (${intervalOf(one, cell)})`),
      marker: {
        size: 11, line: { color: ink, width: 1.5 },
        color: shown.map(({ cell, colour }) => (cell.isDifferent ? colour : paper)),
      },
    },
  ];
  const layout = frame.layout({ range: one.isShare ? shareRange(highs, values, known) : undefined,
    ticksuffix: one.isShare ? "%" : "" });
  Plotly.react(frame.plot, traces, layout, PLOT_OPTIONS);
}

// Shares from zero: a length is then what it says.
function shareRange(highs, values, known) {
  const all = [...highs, ...values, ...known.map(({ value }) => value)].filter((v) => !Number.isNaN(v));
  const most = Math.max(5, ...all);
  return [-0.02 * most, Math.min(102, 1.06 * most)];
}

function intervalOf(one, cell) {
  if (Number.isNaN(cell.low) || Number.isNaN(cell.high)) return "interval not known";
  return `${asValue(one, cell.low).replace("%", "")}–${asValue(one, cell.high)}`;
}

function cellTable(one, rows, who) {
  const heads = ["", "here", `${one.confidence} interval`, "everyone", "index", "people (effective)", "differs"];
  const body = rows.map(({ name, cell }) => {
    const head = make("th", { scope: "row" }, name.cloneNode(true));
    if (!cell.isShown) {
      const said = cell.isHidden ? "hidden: too few people" : unknownCell(cell);
      return make("tr", null, head, make("td", { colspan: 6, class: "unknown" }, said));
    }
    const known = !Number.isNaN(cell.everyone);
    const q = Number.isNaN(cell.q) ? "not tested" : `q ${cell.q < 0.001 ? "< .001" : fixed(cell.q, 3)}`;
    return make("tr", null, head, ...[
      asValue(one, cell.value),
      intervalOf(one, cell),
      known ? asValue(one, cell.everyone) : "not known",
      known && cell.everyone ? fixed((100 * cell.value) / cell.everyone, 0) : "",
      `${count(cell.n)} (${count(cell.nEff)})`,
      cell.isDifferent ? `yes, ${q}` : q,
    ].map((said) => make("td", null, said)));
  });
  return make("div", { class: "table-box", tabindex: 0, role: "region", "aria-label": `${who}, table` },
    make("table", null,
      make("thead", null, make("tr", null, ...heads.map((said) => make("th", { scope: "col" }, said)))),
      make("tbody", null, ...body)));
}

function outsideRemarks() {
  const sources = [...new Set(asked.map((one) => one.source).filter(Boolean))];
  const left = report.left_out.map(([first, second]) =>
    shortened(text(second) ? `${text(first)} by ${text(second)}` : text(first)));
  return make("div", { class: "remarks" },
    ...[words.hidden, words.discovery, words.conditional].map((said) => make("p", null, said)),
    sources.length ? foreign(`Answers from: ${shortened(sources.join(", "), 300)}.`, "p") : null,
    left.length
      ? foreign(`Left out of this page for its size, and in the workbook: ${left.join("; ")}.`, "p")
      : null);
}
