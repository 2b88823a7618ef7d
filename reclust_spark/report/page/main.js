// What is on view follows the address; everything else follows what is on view.

const main = {
  start() {
    byId("title").textContent = shortened(report.title, 90);
    theme.start(() => this.redraw());
    tree.start();
    search.start();
    about.start();
    byId("skip").addEventListener("click", (event) => {
      event.preventDefault(); // the address is the cluster's
      this.focus();
    });
    byId("side-toggle").addEventListener("click", () => this.openSide(!this.isSideOpen()));
    if (!hasWebGL) {
      byId("svg-notice").textContent =
        `This browser has no WebGL: maps show at most ${count(SVG_POINTS)} people each.`;
      byId("svg-notice").hidden = false;
    }
    addEventListener("hashchange", () => this.show(true));
    addEventListener("beforeprint", () => {
      plots.drawAll();
      for (const details of document.querySelectorAll("details")) details.open = true;
    });
    this.show(false);
    // the map first
    requestAnimationFrame(() => setTimeout(() => sunburst.draw()));
  },

  // Shows what the address asks for; `moves` takes the focus along.
  show(moves) {
    const path = address.path();
    const cluster = clusters.get(path);
    byId("unknown").hidden = cluster !== undefined;
    byId("view").hidden = cluster === undefined;
    this.openSide(false);
    if (cluster === undefined) this.showUnknown(path);
    else this.showCluster(cluster);
    if (moves) this.focus();
  },

  showCluster(cluster) {
    address.settle(cluster.path);
    this.crumbs(cluster);
    this.head(cluster);
    map.show(cluster);
    panel.show(cluster);
    tree.select(cluster.path);
    sunburst.show(cluster.path);
    const label = shortened(cluster.label, 90);
    const name = cluster.path === ROOT ? label : `${cluster.name} ${label}`;
    document.title = `${name} · ${shortened(report.title, 60)}`;
    const below = childrenOf.get(cluster.path).length;
    announce(`${name}: ${count(cluster.n)} people, ${percent(cluster.share)} of everyone, ` +
      (below ? `split into ${plural(below, "cluster", "clusters")}` : "not split further"));
  },

  showUnknown(path) {
    const near = address.nearest(path);
    tree.openTo(near.path);
    const asked = shortened(address.asked(), 60);
    byId("unknown-head").replaceChildren("There is no cluster ",
      foreign(path === null ? `“${asked}”` : nameOf(path)));
    byId("unknown-said").replaceChildren("The address asks for ", foreign(asked, "code"),
      ", which this tree does not have.");
    byId("unknown-near").replaceChildren("The nearest is ", clusterLink(near));
    document.title = `No such cluster · ${shortened(report.title, 60)}`;
    announce(`There is no such cluster. The nearest is ${near.name}.`);
  },

  crumbs(cluster) {
    byId("crumbs").replaceChildren(...lineOf(cluster.path).map((one) => {
      const isHere = one === cluster;
      const said = one.path === ROOT ? "Everyone" : one.name;
      return make("li", null, isHere
        ? make("span", { "aria-current": "page" }, said)
        : make("a", { href: address.of(one.path) }, said));
    }));
  },

  head(cluster) {
    const heading = make("h1", { tabindex: -1, id: "heading" },
      cluster.path === ROOT ? null : chip(cluster, "chip large"), long(cluster.label));
    byId("head").replaceChildren(heading, ...(cluster.by_analyst
      ? [make("p", { class: "by-analyst" }, "named by an analyst")]
      : []));
  },

  focus() {
    scrollTo(0, 0);
    const heading = byId("unknown").hidden ? byId("heading") : byId("unknown-head");
    heading.focus({ preventScroll: true });
  },

  isSideOpen: () => byId("side-toggle").getAttribute("aria-expanded") === "true",

  openSide(isOpen) {
    byId("side-toggle").setAttribute("aria-expanded", isOpen);
    byId("side").classList.toggle("open", isOpen);
  },

  redraw() {
    map.draw();
    sunburst.draw();
    plots.redraw();
  },
};

main.start();
