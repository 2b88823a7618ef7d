// The report: the tree, its texts, and columns of numbers that are decoded when they are shown.

const ROOT = "/";
const report = JSON.parse(byId("report").textContent);
const { colours, words } = report;
const text = (place) => report.texts[place];

const clusters = new Map();
const childrenOf = new Map();
for (const cluster of report.clusters) {
  cluster.label = text(cluster.label);
  cluster.name = nameOf(cluster.path);
  clusters.set(cluster.path, cluster);
  childrenOf.set(cluster.path, []);
  if (cluster.path !== ROOT) childrenOf.get(parentOf(cluster.path)).push(cluster);
}
const root = clusters.get(ROOT);
if (root.label === "everyone") root.label = "Everyone";

function parentOf(path) {
  return path === ROOT ? null : path.slice(0, path.slice(0, -1).lastIndexOf("/") + 1);
}

// From the root down to a cluster, itself included.
function lineOf(path) {
  const line = [];
  for (let at = path; at !== null; at = parentOf(at)) line.unshift(clusters.get(at));
  return line;
}

function childPath(path, number) {
  return `${path}${String(number).padStart(3, "0")}/`;
}

function answersOf(cluster) {
  return cluster.answers.map((answer) => ({
    column: text(answer.column),
    question: text(answer.question),
    direction: text(answer.direction),
    here: text(answer.here),
    parent: text(answer.parent),
    everyone: text(answer.everyone),
    lift: answer.lift,
    shap: answer.shap,
  }));
}

// ---- packed columns: base64 of little-endian arrays

const NO_SHORT = 0xffff;
const NO_BYTE = 0xff;
// they are read as they lie: every machine that a browser of today runs on is little-endian

function bytes(packed) {
  const raw = atob(packed);
  const found = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) found[i] = raw.charCodeAt(i);
  return found;
}

const indexes = (packed) => new Uint16Array(bytes(packed).buffer);
const integers = (packed) => new Uint32Array(bytes(packed).buffer);
const floats = (packed) => new Float32Array(bytes(packed).buffer);

// Numbers stored as steps from the lowest to the highest.
function steps({ low, high, steps: packed }) {
  const scale = (high - low) / (NO_SHORT - 1);
  return Float32Array.from(indexes(packed), (step) =>
    step === NO_SHORT ? NaN : low + step * scale);
}
