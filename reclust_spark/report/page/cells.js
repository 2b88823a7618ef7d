// Outside questions as columns of numbers: a cell for each cluster, second answer, answer, statistic.

const SHOWN = 1;
const SUPPRESSED = 2;
const DIFFERENT = 4;

const asked = report.outside.map((packed) => ({
  packed,
  question: text(packed.question),
  text: text(packed.text),
  byQuestion: text(packed.by_question),
  byText: text(packed.by_text),
  isShare: packed.is_share,
  confidence: `${Number((100 * packed.confidence).toPrecision(3))} %`,
  statistics: packed.statistics,
  levels: packed.levels.map(text),
  byLevels: packed.by_levels.map(text),
  source: text(packed.source),
}));

// What is asked of a question: its answers, or mean and median.
const linesOf = (one) => (one.isShare ? one.levels : one.statistics);

function columnsOf(one) {
  if (one.columns === undefined) {
    const { packed } = one;
    const paths = [...clusters.keys()];
    one.columns = {
      places: new Map(packed.paths.map((i, place) => [paths[i], place])),
      ...Object.fromEntries(["value", "low", "high", "q", "everyone"].map((name) =>
        [name, floats(packed[name])])),
      n: integers(packed.n),
      nEff: integers(packed.n_eff),
      marks: bytes(packed.marks),
    };
  }
  return one.columns;
}

// The cell of a cluster: `by` and `line` count the second answers and the lines. A cluster that was
// not crossed has NaN for a place, and so no figures.
function cellOf(one, path, by, line) {
  const columns = columnsOf(one);
  const perBy = Math.max(1, one.levels.length) * one.statistics.length;
  const within = by * perBy + line;
  const at = columns.places.get(path) * Math.max(1, one.byLevels.length) * perBy + within;
  const mark = columns.marks[at];
  return {
    isCrossed: columns.places.has(path),
    isShown: Boolean(mark & SHOWN),
    isHidden: Boolean(mark & SUPPRESSED),
    isDifferent: Boolean(mark & DIFFERENT),
    value: columns.value[at],
    low: columns.low[at],
    high: columns.high[at],
    q: columns.q[at],
    n: columns.n[at],
    nEff: columns.nEff[at],
    everyone: columns.everyone[within],
  };
}
