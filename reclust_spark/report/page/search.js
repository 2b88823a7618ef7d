// The search box: a combobox with a list of clusters and questions; a question opens into the
// clusters that it leads in, by rank.

const search = {
  input: byId("search-input"),
  box: byId("search-found"),
  list: byId("search-list"),
  head: byId("search-head"),
  options: [],
  at: -1,

  start() {
    this.input.addEventListener("input", () => this.update());
    this.input.addEventListener("focus", () => this.update());
    this.input.addEventListener("keydown", (event) => this.pressed(event));
    this.list.addEventListener("pointerdown", (event) => {
      event.preventDefault(); // the input keeps the focus
      const option = event.target.closest("[role=option]");
      if (option) this.choose(this.options.indexOf(option));
    });
    byId("search").addEventListener("focusout", (event) => {
      if (!byId("search").contains(event.relatedTarget)) this.close();
    });
    document.addEventListener("keydown", (event) => {
      const isTyping = event.target.closest("input, select, textarea");
      if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.input.focus();
      this.input.select();
    });
  },

  update() {
    const query = this.input.value.trim();
    if (query === "") {
      this.close();
      return;
    }
    const found = find.all(query);
    this.fill([
      ...found.clusters.map((hit) => this.clusterOption(hit.cluster, hit.answer && answerFound(hit.answer))),
      ...found.questions.map((question) => this.questionOption(question)),
    ], `${plural(found.clusters.length, "cluster", "clusters")}, ` +
      `${plural(found.questions.length, "question", "questions")}`);
  },

  fill(options, said) {
    this.options = options;
    this.list.replaceChildren(...options);
    options.forEach((option, i) => (option.id = `search-option-${i}`));
    this.head.textContent = options.length ? said : "Nothing found";
    this.box.hidden = false;
    this.input.setAttribute("aria-expanded", options.length > 0);
    this.mark(-1);
    announce(options.length ? said : "Nothing found");
  },

  clusterOption(cluster, why) {
    const option = make("li", { role: "option", "aria-selected": "false" },
      chip(cluster), short(cluster.label, "span", "found-label"),
      make("span", { class: "number" }, percent(cluster.share)),
      why ? make("span", { class: "why" }, ...why) : null);
    option.act = () => {
      this.input.value = "";
      this.close();
      address.go(cluster.path);
    };
    return option;
  },

  questionOption(question) {
    const n = question.leads.length;
    const where = n ? `leads in ${plural(n, "cluster", "clusters")}` : "leads in no cluster";
    const option = make("li", { role: "option", "aria-selected": "false", class: "is-question" },
      make("span", { class: "kind" }, "question"),
      short(question.question, "span", "found-label"), make("span", { class: "why" }, where));
    option.act = () => this.openQuestion(question);
    return option;
  },

  openQuestion({ question, leads }) {
    const options = leads.map(({ cluster, rank, here }) =>
      this.clusterOption(cluster, [`${ordinal(rank)} question: `, short(here || "no answer", "span", "", 60)]));
    this.fill(options, "");
    const said = leads.length
      ? `Leads in ${plural(leads.length, "cluster", "clusters")}, by rank: `
      : "Leads in no cluster: ";
    this.head.replaceChildren(said, short(question));
    announce(said);
  },

  pressed(event) {
    const last = this.options.length - 1;
    const to = {
      ArrowDown: this.at >= last ? 0 : this.at + 1,
      ArrowUp: this.at <= 0 ? last : this.at - 1,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      if (this.box.hidden) this.update();
      else this.mark(to);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!this.box.hidden && this.options.length) this.choose(Math.max(0, this.at));
    } else if (event.key === "Escape") {
      if (this.box.hidden) this.input.value = "";
      this.close();
    }
  },

  mark(at) {
    this.options[this.at]?.setAttribute("aria-selected", "false");
    this.at = this.options.length ? at : -1;
    const option = this.options[this.at];
    if (option === undefined) {
      this.input.removeAttribute("aria-activedescendant");
      return;
    }
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", option.id);
  },

  choose(at) {
    this.options[at].act();
  },

  close() {
    this.box.hidden = true;
    this.options = [];
    this.list.replaceChildren();
    this.input.setAttribute("aria-expanded", false);
    this.input.removeAttribute("aria-activedescendant");
    this.at = -1;
  },
};

function answerFound({ question, here }) {
  return [short(question, "span", "", 60), ": ", short(here, "span", "", 60)];
}

function ordinal(rank) {
  return { 1: "1st", 2: "2nd", 3: "3rd" }[rank] ?? `${rank}th`;
}
