import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import { Worker } from 'node:worker_threads';
import { formatOutcome, inputBytesMax, type Report, type Task } from './fuzz/report.ts';

/**
 * `npm run fuzz -- [--minutes N] [--executions N] [--seed N] [NAME…]`: feeds mutated octets to every `x.fuzz.ts` under src/ whose path contains a NAME, led by
 * the coverage that V8 reports, for N minutes each (1). `--short` shares a few seconds among all of them, as `npm test` does.
 *
 * Exit status 1 on a finding: a `run` that throws, or that does not come back. The octets are kept in a folder that it names.
 */

const root = path.resolve(import.meta.dirname, '..');
const shortTotalMs = 6_000;
const shortEachMsMin = 150;
const startMsMax = 30_000;

interface Options {
  eachMs: number | null;
  executionsMax: number;
  hangMs: number;
  seed: number;
  names: readonly string[];
}

const readOptions = (argv: readonly string[]): Options => {
  const options = {
    eachMs: 60_000 as number | null,
    executionsMax: Number.POSITIVE_INFINITY,
    hangMs: 10_000,
    seed: 1,
    names: [] as string[],
  };
  const rest = [...argv];
  const number = (): number => {
    const value = Number(rest.shift() ?? Number.NaN);
    if (Number.isFinite(value) && value >= 0) return value;
    process.stderr.write(
      'Usage: npm run fuzz -- [--minutes N] [--executions N] [--seed N] [--short] [NAME…]\n',
    );
    process.exit(2);
  };
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (argument === '--minutes') options.eachMs = number() * 60_000;
    else if (argument === '--executions') options.executionsMax = number();
    else if (argument === '--hang-ms') options.hangMs = number();
    else if (argument === '--seed') options.seed = number();
    else if (argument === '--short') options.eachMs = null;
    else options.names.push(argument);
  }
  return options;
};

/** Every target under src/, or those named; a name may also be the path of a target elsewhere. */
const targets = (names: readonly string[]): string[] => {
  const own = fs
    .readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.fuzz.ts'))
    .map((name) => path.join(root, 'src', name))
    .sort();
  if (names.length === 0) return own;
  return names.flatMap((name) => {
    const found = own.filter((file) => path.relative(root, file).includes(name));
    if (found.length === 0 && name.endsWith('.fuzz.ts') && fs.existsSync(name)) return [path.resolve(name)];
    return found;
  });
};

/** Runs one target in a thread, so that one that never comes back can be stopped and its input kept. */
const fuzz = (file: string, eachMs: number, options: Options): Promise<Report> =>
  new Promise((resolve) => {
    const shared = new SharedArrayBuffer(8 + inputBytesMax);
    const progress = new Int32Array(shared, 0, 2);
    const task: Task = {
      file,
      root,
      seed: options.seed,
      budgetMs: eachMs,
      executionsMax: options.executionsMax,
      shared,
    };
    const worker = new Worker(new URL('./fuzz/thread.ts', import.meta.url), { workerData: task });
    let seen = -1;
    let seenAtMs = performance.now();
    const watch = setInterval(() => {
      const count = Atomics.load(progress, 0);
      if (count !== seen) {
        seen = count;
        seenAtMs = performance.now();
      } else if (performance.now() - seenAtMs > (count === 0 ? startMsMax : options.hangMs)) {
        const input = new Uint8Array(shared, 8, Atomics.load(progress, 1)).slice();
        const reason =
          count === 0
            ? 'the target could not be loaded in time'
            : `did not come back within ${options.hangMs} ms`;
        end({ executions: count, corpus: 0, finding: { input, reason } });
      }
    }, 100);
    const end = (report: Report): void => {
      clearInterval(watch);
      void worker.terminate();
      resolve(report);
    };
    worker.on('message', end);
    worker.on('error', (error: unknown) => {
      end({ executions: 0, corpus: 0, finding: { input: null, reason: inspect(error) } });
    });
  });

const keep = (name: string, input: Uint8Array): string => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-fuzz-'));
  const digest = crypto.hash('sha256', input, 'hex').slice(0, 12);
  const kept = path.join(folder, `${path.basename(name, '.fuzz.ts')}-${digest}`);
  fs.writeFileSync(kept, input);
  return kept;
};

const main = async (): Promise<void> => {
  const options = readOptions(process.argv.slice(2));
  const files = targets(options.names);
  if (files.length === 0) {
    const isAsked = options.names.length > 0;
    process.stdout.write(
      isAsked ? `no fuzz target is called ${options.names.join(' or ')}\n` : 'no fuzz target\n',
    );
    process.exit(isAsked ? 2 : 0);
  }
  const eachMs = options.eachMs ?? Math.max(shortEachMsMin, Math.floor(shortTotalMs / files.length));
  let executions = 0;
  let findings = 0;
  for (const file of files) {
    const name = path.relative(root, file);
    const report = await fuzz(file, eachMs, options);
    executions += report.executions;
    process.stdout.write(`${formatOutcome(name, report)}\n`);
    if (report.finding === null) continue;
    findings++;
    const { input, reason } = report.finding;
    const where = input === null ? '' : `\n  input kept in ${keep(name, input)} (${input.length} octets)`;
    process.stdout.write(
      `  ${reason.replaceAll('\n', '\n  ')}${where}\n  again: npm run fuzz -- --seed ${options.seed} ${name}\n`,
    );
  }
  process.stdout.write(
    `fuzz: ${files.length} targets, ${executions} executions, seed ${options.seed}, ${findings} findings\n`,
  );
  process.exit(findings > 0 ? 1 : 0);
};

await main();
