// How large a cluster is and how far it can be trusted; what is not known is said to be so.

function sizeSection(cluster) {
  const figure = (value, said) =>
    make("div", { class: "figure" }, make("dt", null, said), make("dd", null, value));
  const weighted = report.weighted ? ", weighted" : "";
  const depth = numbersOf(cluster.path).length;
  return make("dl", { class: "figures" },
    figure(count(cluster.n), cluster.n === 1 ? "person" : "people"),
    depth > 0 ? figure(percent(cluster.share), `of everyone${weighted}`) : null,
    depth > 1 ? figure(percent(cluster.parent_share), `of its parent${weighted}`) : null);
}

const OF_THE_CLUSTER = [
  ["stability", "Stability",
    "How far the same people come together again when others are drawn: 1 is always, 0 never."],
  ["persistence", "Persistence",
    "How long it holds together as more density is asked for. Higher is firmer."],
];
const OF_ITS_SPLIT = [
  ["trustworthiness", "Trustworthiness of its map",
    "How far neighbours on its map are neighbours in their answers: 1 is wholly."],
  ["fidelity", "Fidelity of its split",
    "Where only a sample was mapped and models placed the rest: the share of held-out people whom " +
    "they put where the map did."],
  ["agreement", "Agreement of its models",
    "The share of people whom its clusters' models had not seen and put where the map did."],
];

function trustSection(cluster) {
  const isSplit = childrenOf.get(cluster.path).length > 0;
  return make("dl", { class: "measures" },
    ...(cluster.path === ROOT
      ? missing(OF_THE_CLUSTER, "everyone is not a cluster of any split")
      : OF_THE_CLUSTER.flatMap(([key, name, said]) => measure(name, cluster[key], said))),
    ...(isSplit
      ? OF_ITS_SPLIT.flatMap(([key, name, said]) => measure(name, cluster[key], said))
      : missing(OF_ITS_SPLIT, "it is not split, so there is nothing to measure")));
}

// Figures that there cannot be, and why.
function missing(figures, why) {
  const names = figures.map(([, name], i) => (i ? name.toLowerCase() : name)).join(", ");
  const said = make("span", { class: "unknown" }, `not known: ${why}`);
  return [make("dt", null, names), make("dd", null, said)];
}

// A figure from 0 to 1 with a line that says what it is.
function measure(name, value, said, digits = 2, hasBar = true) {
  const isKnown = value !== null && value !== undefined;
  return [
    make("dt", null, name),
    make("dd", null,
      isKnown ? make("b", null, fixed(value, digits)) : make("span", { class: "unknown" }, "not known"),
      isKnown && hasBar ? bar(value) : null,
      make("span", { class: "hint" }, isKnown ? said : `${said} It was not measured.`)),
  ];
}

// How wide a part of the whole is; its number stands beside it.
function bar(share, colour) {
  const width = `${100 * Math.min(1, Math.max(0, share))}%`;
  return make("span", { class: "bar", "aria-hidden": true, vars: { "--w": width, "--c": colour } });
}

function modelSection(cluster) {
  const { certainty } = cluster;
  if (certainty === null) {
    return make("p", { class: "unknown" }, cluster.path === ROOT
      ? "Everyone has no model: there is nobody to be told from."
      : "It has no model: this cluster has not been explained.");
  }
  return make("div", null,
    make("dl", { class: "measures" },
      ...measure("AUC", certainty.auc,
        "How often its model ranks a person of the cluster above one who is not: .5 is by chance.", 3),
      ...measure("F1", certainty.f1,
        "How complete and how clean the group is that the model would pick out."),
      ...measure("Calibration error", certainty.calibration_error,
        "How far its probabilities are from the shares that come true: 0 is best.", 3, false)),
    make("p", { class: "hint" },
      `Measured on ${plural(certainty.n_test, "person", "people")} that the model had not seen; a ` +
      `person belongs from a probability of ${fixed(certainty.threshold, 2)}.`),
    make("p", { class: "caution" }, words.caution));
}

// Where the models put the cluster's own people.
function siblingSection(cluster) {
  if (!cluster.siblings.length) {
    return make("p", { class: "unknown" }, "Whom it is confused with is not known.");
  }
  const up = parentOf(cluster.path);
  return make("ul", { class: "confused" }, ...cluster.siblings.map(([path, share]) => {
    const other = clusters.get(path);
    const who = path === cluster.path
      ? "here"
      : path === up || other === undefined
        ? "in none"
        : clusterLink(other);
    return make("li", null,
      make("span", { class: "number" }, percent(share)), bar(share, other?.colour), make("span", null, who));
  }));
}

function clusterLink(cluster) {
  return make("a", { href: address.of(cluster.path), class: "cluster-link" },
    chip(cluster), short(cluster.label, "span", "", 60));
}
