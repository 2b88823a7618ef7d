// The tree of clusters, by the keyboard pattern of WAI-ARIA: arrows, Home, End, first letters.

const tree = {
  element: byId("tree"),
  items: new Map(),

  start() {
    this.element.append(this.item(root, 1, 1));
    this.element.addEventListener("click", (event) => this.clicked(event));
    this.element.addEventListener("keydown", (event) => this.pressed(event));
    this.element.addEventListener("pointerover", (event) => {
      const path = event.target.closest("[role=treeitem]")?.dataset.path;
      map.emphasise(map.paths?.includes(path) ? path : null);
    });
    this.element.addEventListener("pointerleave", () => map.emphasise(null));
    this.focusable = this.items.get(ROOT);
    this.focusable.tabIndex = 0;
  },

  item(cluster, size, place) {
    const below = childrenOf.get(cluster.path);
    const row = make("span", { class: "tree-row" },
      make("span", { class: "twist", "aria-hidden": true }),
      chip(cluster),
      short(cluster.label, "span", "tree-label", 90),
      make("span", { class: "tree-share" }, percent(cluster.share)));
    const item = make("li", {
      role: "treeitem",
      tabindex: -1,
      "data-path": cluster.path,
      "aria-level": numbersOf(cluster.path).length + 1,
      "aria-setsize": size,
      "aria-posinset": place,
      "aria-selected": "false",
      "aria-expanded": below.length ? "false" : undefined,
      "aria-label": `${cluster.name}, ${shortened(cluster.label, 60)}, ${percent(cluster.share)}`,
      vars: { "--level": numbersOf(cluster.path).length },
    }, row);
    this.items.set(cluster.path, item);
    if (below.length) {
      item.append(make("ul", { role: "group" },
        ...below.map((child, i) => this.item(child, below.length, i + 1))));
    }
    return item;
  },

  // Marks the cluster on view, and opens the tree down to its children.
  select(path) {
    for (const item of this.items.values()) item.setAttribute("aria-selected", "false");
    this.openTo(path);
    const item = this.items.get(path);
    item.setAttribute("aria-selected", "true");
    this.rove(item);
    const [row, box] = [item.firstChild.getBoundingClientRect(), this.element.getBoundingClientRect()];
    if (row.top < box.top) this.element.scrollTop += row.top - box.top;
    if (row.bottom > box.bottom) this.element.scrollTop += row.bottom - box.bottom;
  },

  openTo(path) {
    for (const cluster of lineOf(path)) this.open(this.items.get(cluster.path), true);
  },

  isOpen: (item) => item.getAttribute("aria-expanded") === "true",

  open(item, isOpen) {
    if (item.hasAttribute("aria-expanded")) item.setAttribute("aria-expanded", isOpen);
  },

  // The one item that Tab reaches.
  rove(item) {
    this.focusable.tabIndex = -1;
    this.focusable = item;
    item.tabIndex = 0;
  },

  visible() {
    return [...this.items.values()].filter((item) => {
      const up = this.up(item);
      return up === null || up.closest("[aria-expanded=false]") === null;
    });
  },

  up: (item) => item.parentElement.closest("[role=treeitem]"),

  clicked(event) {
    const item = event.target.closest("[role=treeitem]");
    if (item === null) return;
    if (event.target.closest(".twist") && item.hasAttribute("aria-expanded")) {
      this.open(item, !this.isOpen(item));
    } else address.go(item.dataset.path);
  },

  pressed(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const item = event.target.closest("[role=treeitem]");
    const to = this.destination(event.key, item);
    if (to === undefined) return;
    event.preventDefault();
    if (to === null) return;
    this.rove(to);
    to.focus();
  },

  // Where a key leads: an item; null where it does something else; undefined where it is not ours.
  destination(key, item) {
    const visible = this.visible();
    const at = visible.indexOf(item);
    switch (key) {
      case "ArrowDown": return visible[at + 1] ?? null;
      case "ArrowUp": return visible[at - 1] ?? null;
      case "Home": return visible[0];
      case "End": return visible.at(-1);
      case "ArrowRight":
        if (this.isOpen(item)) return visible[at + 1];
        this.open(item, true);
        return null;
      case "ArrowLeft":
        if (!this.isOpen(item)) return this.up(item);
        this.open(item, false);
        return null;
      case "*":
        for (const one of item.parentElement.children) this.open(one, true);
        return null;
      case "Enter":
      case " ":
        address.go(item.dataset.path);
        return null;
      default: return key.length === 1 ? this.startingWith(key, visible, at) : undefined;
    }
  },

  startingWith(letter, visible, at) {
    const order = [...visible.slice(at + 1), ...visible.slice(0, at + 1)];
    const lower = letter.toLowerCase();
    return order.find((item) => {
      const { label, name } = clusters.get(item.dataset.path);
      return label.toLowerCase().startsWith(lower) || name.startsWith(lower);
    });
  },
};

// A cluster's number on its colour.
function chip(cluster, name = "chip") {
  const said = cluster.path === ROOT ? "all" : cluster.name;
  return make("span", { class: name, vars: { "--c": cluster.colour, "--on": cluster.ink } }, said);
}
