// The address says which cluster is on view, as #/003/001/; so does a shorter form, #/3/1.

const address = {
  // The path that is asked for; null where it is none.
  path() {
    const asked = this.asked();
    if (asked === "") return ROOT;
    const parts = asked.split(/[/.]/).filter(Boolean);
    if (!parts.every((part) => /^\d{1,6}$/.test(part))) return null;
    return parts.reduce((path, part) => childPath(path, Number(part)), ROOT);
  },

  asked() {
    const hash = location.hash.slice(1);
    try {
      return decodeURIComponent(hash);
    } catch (error) {
      if (error instanceof URIError) return hash;
      throw error;
    }
  },

  of: (path) => `#${path}`,

  go(path) {
    if (location.hash === this.of(path)) main.show(true);
    else location.hash = this.of(path);
  },

  // Writes a path in full, in place of a shorter form of it.
  settle(path) {
    if (location.hash !== "" && location.hash !== this.of(path)) {
      history.replaceState(null, "", this.of(path));
    }
  },

  // The deepest cluster there is on the way to a path.
  nearest(path) {
    let at = path ?? ROOT;
    while (!clusters.has(at)) at = parentOf(at);
    return clusters.get(at);
  },
};
