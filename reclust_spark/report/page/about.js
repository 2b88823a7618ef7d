// What of the method and its caveats depends on this report.

const about = {
  start() {
    const facts = [
      ["Survey", report.source],
      ["People", count(report.n)],
      ["Shares", report.weighted ? "weighted" : "unweighted"],
      ["Clusters", count(clusters.size - 1)],
      ["Tree", `version ${report.tree_version}, ${date(report.made_at)}`],
      ...Object.entries(report.method),
    ];
    byId("about-facts").replaceChildren(...facts.flatMap(([name, value]) =>
      [make("dt", null, name.replaceAll("_", " ")), long(value, "dd")]));
    byId("about-caveats").replaceChildren(...this.caveats().map((said) => make("li", null, said)));
    byId("about-agreement").replaceChildren(...this.agreement());
    byId("to-about").addEventListener("click", () => panel.jump("about-head"));
  },

  caveats() {
    const n = [...clusters.values()].reduce((sum, cluster) => sum + cluster.n_noise, 0);
    const unknown = [...clusters.values()].some((one) => one.path !== ROOT && one.stability === null);
    return [
      `Whoever fits no cluster of a split stays with the split cluster, as noise: ` +
        `${count(n)} of ${count(report.n)} people, on all levels. They are in no colour, and no ` +
        "cluster was made of the rest.",
      "A cluster that other samples would not have found is a description of these people, not a " +
        "type of person: see its stability" +
        (unknown ? ", which has not been measured for all clusters here." : "."),
      words.caution,
      report.weighted
        ? "Clusters were found among the people of the sample, each counted once; shares, typical " +
          "answers and outside questions are weighted. A group that the sample missed is not here."
        : "Clusters were found among the people of the sample, and shares are theirs: they are those " +
          "of a population only as far as the sample is like it.",
      words.conditional,
      words.discovery,
      words.hidden,
    ];
  },

  agreement() {
    if (!report.agreement.length) return [];
    return [
      make("h3", null, "Where the models put people as the maps did"),
      make("p", { class: "hint" },
        "Of people that no model had seen, walked down the tree by the models alone: the share at " +
        "the same place, by depth."),
      make("ul", { class: "confused" }, ...report.agreement.map(([depth, share]) => make("li", null,
        make("span", { class: "number" }, percent(share)), bar(share), make("span", null, `depth ${depth}`)))),
    ];
  },
};
