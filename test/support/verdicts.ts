import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';

export interface Failure {
  case: string;
  what: string;
}

const folder = path.resolve(import.meta.dirname, '../vectors/mime');

/**
 * Says "N of M" for a third-party corpus and fails where a case that did not pass is not in the corpus's verdict list
 * `test/vectors/mime/NAME.verdicts.tsv` (case, reason), or where the list names a case that does pass.
 */
export const report = (t: TestContext, corpus: string, total: number, failures: readonly Failure[]): void => {
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
  t.diagnostic(`${corpus}: ${total - failed.size} of ${total} passed, ${verdicts.size} listed with a reason`);
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
