/* Which pages come first in the search: those that answer a question before those that mention it. */
var Scorer = {
  score: (result) => {
    const [page, , , , score] = result;
    const folder = page.split("/")[0];
    const before = { howto: 12, findings: 8, from: 4, reference: 6, gallery: 3 };
    const after = { benchmarks: -8, changes: -12, adding: -6 };
    return score + (before[folder] || 0) + (after[folder] || 0) - (page.endsWith("/index") ? 6 : 0);
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
