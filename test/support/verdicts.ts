import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';

export interface Failure {
  case: string;
  what: string;
}

/** A case that the corpus's author and we write down differently: it was compared through a rule that the test's header states. */
export interface Settled {
  case: string;
  rule: string;
}

const folder = path.resolve(import.meta.dirname, '../vectors/mime');

/** Of a corpus at most that share may be listed instead of passed. */
const listedShareMax = 0.02;

/** Adds up the reports of one corpus that has several kinds of cases. */
export class Tally {
  #corpus: string;
  #total = 0;
  #listed = 0;
  #settled = 0;

  constructor(corpus: string) {
    this.#corpus = corpus;
  }

  add(total: number, listed: number, settled: number): void {
    this.#total += total;
    this.#listed += listed;
    this.#settled += settled;
  }

  /** Fails where more than one case in fifty is listed. */
  check(t: TestContext): void {
    const share = this.#listed / this.#total;
    t.diagnostic(
      `${this.#corpus}, the whole folder: ${this.#total - this.#listed} of ${this.#total} passed, ` +
        `${this.#settled} of them by a stated rule; ${this.#listed} listed (${(100 * share).toFixed(2)} %)`,
    );
    assert.ok(share <= listedShareMax, `${this.#corpus}: ${this.#listed} of ${this.#total} are listed`);
  }
}

/**
 * Says "N of M" for a third-party corpus and fails where a case that did not pass is not in the corpus's verdict list
 * `test/vectors/mime/NAME.verdicts.tsv` (case, reason), or where the list names a case that does pass.
 */
export const report = (
  t: TestContext,
  corpus: string,
  total: number,
  failures: readonly Failure[],
  { settled = [], tally }: { settled?: readonly Settled[]; tally?: Tally } = {},
): void => {
  const file = path.join(folder, `${corpus}.verdicts.tsv`);
  const lines = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n') : [];
  const verdicts = new Map<string, string>();
  for (const line of lines) {
    if (line === '' || line.startsWith('#')) continue;
    const [name = '', reason = ''] = line.split('\t');
    assert.ok(reason.length > 10, `${file}: ${name} has no reason`);
    verdicts.set(name, reason);
  }
  const failed = new Set(failures.map((failure) => failure.case));
  const rules = new Map<string, number>();
  for (const { rule } of settled) rules.set(rule, (rules.get(rule) ?? 0) + 1);
  const byRule = [...rules].map(([rule, count]) => `${count} ${rule}`).join(', ');
  t.diagnostic(
    `${corpus}: ${total - failed.size} of ${total} passed${byRule === '' ? '' : ` (by a rule: ${byRule})`}, ` +
      `${verdicts.size} listed with a reason`,
  );
  tally?.add(total, failed.size, settled.length);
  const unlisted = failures.filter((failure) => !verdicts.has(failure.case));
  const stale = [...verdicts.keys()].filter((name) => !failed.has(name));
  assert.deepEqual(
    {
      unlisted: unlisted.slice(0, 40).map((failure) => `${failure.case}: ${failure.what}`),
      unlistedCount: unlisted.length,
      stale,
    },
    { unlisted: [], unlistedCount: 0, stale: [] },
  );
};
