// Finding clusters by label, path and answers, and questions by their words.

const MOST_FOUND = 40;

const find = {
  // Each cluster and question with what it is found by; made at the first search.
  index() {
    if (this.made === undefined) {
      const leads = new Map();
      const found = [...clusters.values()].map((cluster) => {
        const answers = answersOf(cluster);
        answers.forEach((answer, i) => {
          if (!leads.has(answer.column)) leads.set(answer.column, []);
          leads.get(answer.column).push({ cluster, rank: i + 1, here: answer.here });
        });
        const names = `${cluster.name} ${cluster.path}`;
        return {
          cluster,
          names,
          label: plain(cluster.label),
          rest: answers.map((answer) => ({ said: answer, plain: plain(answer.here) })),
        };
      });
      const questions = report.questions.map((question) => ({
        question: text(question.text),
        plain: plain(`${text(question.text)} ${text(question.column)}`),
        leads: (leads.get(text(question.column)) ?? []).sort((a, b) => a.rank - b.rank),
      }));
      this.made = { clusters: found, questions };
    }
    return this.made;
  },

  // What is found for some words: clusters, the best first, then questions.
  all(query) {
    const wanted = plain(query).split(/\s+/).filter(Boolean);
    if (!wanted.length) return { clusters: [], questions: [] };
    const { clusters: known, questions } = this.index();
    const hits = known
      .map((one) => ({ ...one, ...scored(one, wanted) }))
      .filter(({ score }) => score > 0)
      .sort((a, b) => b.score - a.score);
    return {
      clusters: hits.slice(0, MOST_FOUND),
      questions: questions.filter((one) => wanted.every((word) => one.plain.includes(word)))
        .sort((a, b) => (b.leads.length > 0) - (a.leads.length > 0))
        .slice(0, MOST_FOUND),
    };
  },
};

// Letters without case and accents.
function plain(said) {
  return said.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

// A path or number is best, then a label, then an answer; every word must be found.
function scored(one, wanted) {
  const names = one.names.split(" ");
  if (wanted.length === 1 && names.includes(wanted[0])) return { score: 4 };
  if (wanted.every((word) => one.label.includes(word))) {
    return { score: one.label.startsWith(wanted[0]) ? 3 : 2 };
  }
  const answer = one.rest.find(({ plain: said }) => wanted.every((word) => said.includes(word)));
  return answer ? { score: 1, answer: answer.said } : { score: 0 };
}
