// The leading questions of a cluster: typical answers here, in its parent and among everyone.

const FIRST_ANSWERS = 5;
const DIRECTIONS = {
  higher: "higher",
  lower: "lower",
  middle: "towards the middle",
  extremes: "towards the extremes",
};

function answersSection(cluster) {
  const answers = answersOf(cluster);
  if (!answers.length) {
    return make("p", { class: "unknown" }, cluster.path === ROOT
      ? "Everyone is the whole that clusters are told from. Choose a cluster to see what sets it apart."
      : "This cluster has not been explained: its leading questions are not known.");
  }
  const most = Math.max(...answers.map((answer) => answer.shap)) || 1;
  const items = answers.map((answer) => answerItem(answer, most, cluster));
  const first = make("ol", { class: "answers" }, ...items.slice(0, FIRST_ANSWERS));
  const hint = make("p", { class: "hint" },
    "The strongest first: how much it moves the cluster's model (mean |SHAP|, log odds), which " +
    "answers are more frequent than in the parent, and how many times.");
  if (items.length <= FIRST_ANSWERS) return make("div", null, hint, first);
  const rest = plural(items.length - FIRST_ANSWERS, "more question", "more questions");
  return make("div", null, hint, first, make("details", { class: "more-answers" },
    make("summary", null, rest),
    make("ol", { class: "answers", start: FIRST_ANSWERS + 1 }, ...items.slice(FIRST_ANSWERS))));
}

function answerItem(answer, most, cluster) {
  const typical = (said, where, name) => make("div", { class: name },
    make("dt", null, where),
    said === "" ? make("dd", { class: "unknown" }, "no answer") : long(said, "dd"));
  return make("li", null,
    long(answer.question, "p", "question"),
    make("p", { class: "strength" },
      bar(answer.shap / most, cluster.colour),
      make("span", { class: "number", title: "mean |SHAP|, log odds" }, fixed(answer.shap, 2)),
      direction(answer),
      answer.lift === null ? null : make("span", { class: "lift" }, `× ${fixed(answer.lift, 1)}`)),
    make("dl", { class: "typical" },
      typical(answer.here, "here", "here"),
      typical(answer.parent, "in its parent", ""),
      typical(answer.everyone, "everyone", "")));
}

// Which answers are more frequent than in the parent; the lift that follows says by how much.
function direction({ direction: said }) {
  if (said === "") return null;
  const known = DIRECTIONS[said];
  if (known !== undefined) return make("span", { class: "direction" }, known);
  return make("span", { class: "direction" }, "more ", short(said, "q", "", 40));
}
