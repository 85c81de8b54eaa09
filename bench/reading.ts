/**
 * Reading on record: bench/imap.ts with 10,000 messages, with 100,000, and Fengni alone with 1,000,000, one after the other.
 *
 *     npm run bench -- reading --prepared DIR [--record] [--table]
 *
 * DIR/100k/{fengni,maildir,sdbox} and DIR/1m/fengni come from `npm run bench -- prepare`; what is not there is left out and said so.
 * `--record` writes results/reading-DATE.md and from it the tables of README.md and README.zh.md; `--table` does the latter alone, from
 * the newest record.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { writeReadmeTables } from './support/readme-tables.ts';

const { values } = parseArgs({
  options: {
    prepared: { type: 'string' },
    record: { type: 'boolean', default: false },
    table: { type: 'boolean', default: false },
  },
});
const results = path.join(import.meta.dirname, 'results');
const lines: string[] = [];

const run = (args: readonly string[]): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path.join(import.meta.dirname, 'bench.ts'), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      lines.push(text);
      process.stdout.write(text);
    });
    child.once('exit', (status) =>
      status === 0 ? resolve() : reject(new Error(`${args.join(' ')}: ended with ${status}`)),
    );
  });

const runPrepared = async (name: string, peers: string, args: readonly string[]): Promise<void> => {
  const folder = path.join(values.prepared ?? '', name);
  if (values.prepared === undefined || !fs.existsSync(folder)) {
    lines.push(`\nNot run: there is no ${name} that was made before.\n\n`);
    return;
  }
  await run([...args, '--prepared', folder, '--peers', peers]);
};

if (!values.table) {
  await run(['imap', 'pop3', 'idle', 'flat']);
  await runPrepared('100k', 'fengni,maildir,sdbox', ['imap', 'pop3', 'flat', '--rounds', '2']);
  await runPrepared('1m', 'fengni', ['flat']);
  if (values.record)
    fs.writeFileSync(
      path.join(results, `reading-${new Date().toISOString().slice(0, 10)}.md`),
      lines.join(''),
    );
}
if (values.record || values.table) {
  const newest = fs
    .readdirSync(results)
    .filter((name) => /^reading-\d{4}-\d\d-\d\d\.md$/.test(name))
    .sort()
    .at(-1);
  if (newest === undefined) throw new Error('no results/reading-DATE.md');
  writeReadmeTables(path.join(results, newest));
}
process.exit(0);
