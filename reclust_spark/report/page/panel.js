// The panel: all that is known of the cluster on view, in sections.

const MANY_CHILDREN = 12;

const panel = {
  element: byId("panel"),

  show(cluster) {
    plots.forget(this.element);
    const sections = this.sections(cluster).filter((section) => section.parts.length);
    this.element.replaceChildren(
      sizeSection(cluster),
      make("nav", { class: "jumps", "aria-label": "Sections" }, ...sections.map(({ id, title }) =>
        button("jump", () => this.jump(id), title))),
      ...sections.map(({ id, title, parts }) =>
        make("section", { class: "section", "aria-labelledby": id },
          make("h2", { id, tabindex: -1 }, title), ...parts)));
  },

  sections(cluster) {
    const isRoot = cluster.path === ROOT;
    return [
      { id: "inside", title: "Inside", parts: this.inside(cluster) },
      { id: "notes", title: "Notes", parts: cluster.notes.map(noteItem) },
      {
        id: "apart",
        title: "What sets it apart",
        parts: isRoot ? [] : [answersSection(cluster),
          ...(cluster.swarms.length ? [swarmSection(cluster)] : [])],
      },
      {
        id: "sure",
        title: "How sure it is",
        parts: [
          trustSection(cluster),
          ...(isRoot ? [] : [
            make("h3", null, "Of its people, the models place"), siblingSection(cluster),
            make("h3", null, "Its model"), modelSection(cluster)]),
        ],
      },
      { id: "outside", title: "Outside questions", parts: [outside.section(cluster)] },
    ];
  },

  inside(cluster) {
    const isRoot = cluster.path === ROOT;
    const below = childrenOf.get(cluster.path);
    const picture = cluster.picture ? [pictureSection(cluster)] : [];
    if (!below.length) {
      const why = words.stop[cluster.stop] ?? "why is not known";
      return [...picture, make("p", null, `It is not split further: ${why}.`)];
    }
    const noise = cluster.n_noise
      ? `${plural(cluster.n_noise, "person fits", "people fit")} none of them ` +
        `(${percent(cluster.n_noise / cluster.n)}).`
      : "Everyone fits one of them.";
    return [
      ...picture,
      make("p", null, `${plural(below.length, "cluster", "clusters")}, with their shares of ${isRoot ? "everyone" : "this one"}. ${noise}`),
      make("ul", { class: below.length > MANY_CHILDREN ? "children many" : "children" }, ...below.map((child) => make("li", null, childButton(child)))),
    ];
  },

  jump(id) {
    const head = byId(id);
    head.scrollIntoView();
    head.focus({ preventScroll: true });
  },
};

// A child as a button that zooms into it, and shows where it is while it is pointed at.
function childButton(child) {
  const element = button("child", () => address.go(child.path),
    chip(child),
    smallPicture(child),
    short(child.label, "span", "child-label"),
    make("span", { class: "number" }, percent(child.parent_share ?? child.share)),
    bar(child.parent_share ?? child.share, child.colour));
  for (const name of ["pointerenter", "focus"]) {
    element.addEventListener(name, () => map.emphasise(child.path));
  }
  for (const name of ["pointerleave", "blur"]) {
    element.addEventListener(name, () => map.emphasise(null));
  }
  return element;
}

function noteItem(note) {
  const author = text(note.author);
  return make("blockquote", { class: "note" },
    long(text(note.text), "p"),
    make("footer", null, author ? foreign(author) : "an analyst", `, ${date(note.at)}`));
}
