import fs from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');

/** Where the third-party corpora are looked for. */
export const corporaRoot = (): string =>
  path.resolve(root, process.env['FENGNI_CORPORA'] ?? '../shared/corpora');

/**
 * The folder of one third-party corpus, or null where the default place is absent: such a test was not run, and says so.
 *
 * @throws where FENGNI_CORPORA is set but the folder is not there: somebody meant it to run
 */
export const corpora = (name: string): string | null => {
  const set = process.env['FENGNI_CORPORA'];
  const folder = path.join(corporaRoot(), name);
  if (fs.existsSync(folder)) return folder;
  if (set !== undefined) throw new Error(`FENGNI_CORPORA is ${set}, but ${folder} does not exist`);
  return null;
};

/** The words by which the test run counts what it could not run. */
export const notRun = 'not run: third-party corpora absent';
