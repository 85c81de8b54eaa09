import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { styleText } from 'node:util';
import { corporaRoot, notRun } from './support/corpora.ts';
import type { TallyLine } from './support/tally-reporter.ts';

/**
 * What `npm test` runs: the checks, the tests beside the source in one process, a short fuzzing, the tests under test/ in processes of
 * their own. Ends with the counts, and with exit status 1 when anything failed or no test ran.
 *
 *     npm test                    everything
 *     npm test -- PATH…           only these test files, or those in these folders
 *     npm test -- --fast          only the tests beside the source
 *     npm test -- --seed N        the order in which the tests beside the source ran before
 *
 * `--root DIR` runs another tree: this file's own test does so.
 */

const ownRoot = path.resolve(import.meta.dirname, '..');
const testTimeoutMs = 300_000;
const fileTimeoutMs = 900_000;
const leftoverGraceMs = 3_000;
const outputCharsMax = 32_768;
const concurrency = 2;

interface Options {
  root: string;
  fast: boolean;
  seed: number;
  fileTimeoutMs: number;
  paths: readonly string[];
}

interface Totals {
  passed: number;
  failed: number;
  skipped: number;
  notRun: number;
  /** of whole files and stages: a title and a reason */
  failures: { title: string; reason: string }[];
  slow: { title: string; durationMs: number }[];
}

const readOptions = (argv: readonly string[]): Options => {
  const options = {
    root: ownRoot,
    fast: false,
    seed: Math.floor(Math.random() * 2 ** 31),
    fileTimeoutMs,
    paths: [] as string[],
  };
  const rest = [...argv];
  const number = (): number => {
    const value = rest.shift();
    if (value === undefined || !/^\d+$/.test(value)) usage();
    return Number(value);
  };
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (argument === '--fast') options.fast = true;
    else if (argument === '--seed') options.seed = number();
    else if (argument === '--file-timeout-ms') options.fileTimeoutMs = number();
    else if (argument === '--root') options.root = path.resolve(rest.shift() ?? usage());
    else if (argument.startsWith('-')) usage();
    else options.paths.push(path.resolve(argument));
  }
  return options;
};

const usage = (): never => {
  process.stderr.write('Usage: npm test -- [--fast] [--seed N] [PATH…]\n');
  process.exit(2);
};

const testFiles = (folder: string): string[] => {
  if (!fs.existsSync(folder)) return [];
  if (fs.statSync(folder).isFile()) return [folder];
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(
      (entry) =>
        entry.isFile() && /\.test\.ts$/.test(entry.name) && !entry.parentPath.includes('node_modules'),
    )
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
};

/** Children are leaders of groups of their own, so that what a test leaves behind is seen, and ends. */
const children = new Set<ChildProcess>();

interface Ended {
  /** null: killed */
  status: number | null;
  output: string;
  /** what was still running when the child had ended */
  leftover: string[];
}

const runChild = (
  args: readonly string[],
  options: { root: string; echo: boolean; timedOut: () => boolean },
): Promise<Ended> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: options.root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: testEnvironment(),
    });
    children.add(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        if (options.echo) process.stdout.write(text);
        output = (output + text).slice(-outputCharsMax);
      });
    }
    const watch = setInterval(() => {
      if (options.timedOut()) killGroup(child);
    }, 200);
    child.on('exit', async (status) => {
      clearInterval(watch);
      const leftover = await endLeftover(child);
      children.delete(child);
      resolve({ status, output, leftover });
    });
  });

/** The language is the tests' own business, and so is npm: they set what they need. */
const testEnvironment = (): NodeJS.ProcessEnv => {
  const { LC_ALL, LC_MESSAGES, NODE_TEST_CONTEXT, ...rest } = process.env;
  return { ...rest, LANG: 'C.UTF-8' };
};

const killGroup = (child: ChildProcess): void => {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group is gone, which is what was wanted.
  }
};

const endLeftover = async (child: ChildProcess): Promise<string[]> => {
  const deadline = performance.now() + leftoverGraceMs;
  for (;;) {
    const members = groupMembers(child.pid ?? 0);
    if (members.length === 0) return [];
    if (performance.now() > deadline) {
      killGroup(child);
      return members;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

/** Command lines of the processes in a group that are not mere zombies. @source proc(5) */
const groupMembers = (group: number): string[] => {
  const members: string[] = [];
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, 'utf8');
      const [state, , processGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(processGroup) !== group || state === 'Z') continue;
      const command = fs.readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      members.push(`${name} ${command}`.slice(0, 200));
    } catch {
      // It ended while we looked.
    }
  }
  return members;
};

/** Reads what the tally reporter has written since the last look. */
class Tally {
  readonly #file: string;
  #rest = '';
  #offset = 0;
  /** of the last line; a test that never ends is seen by it. A synchronous loop holds back its own line, and maybe more. */
  changedAtMs = performance.now();
  running = '';

  constructor(file: string) {
    this.#file = file;
  }

  read(): TallyLine[] {
    let octets: Buffer;
    try {
      const { size } = fs.statSync(this.#file);
      if (size === this.#offset) return [];
      octets = Buffer.alloc(size - this.#offset);
      const descriptor = fs.openSync(this.#file, 'r');
      fs.readSync(descriptor, octets, 0, octets.length, this.#offset);
      fs.closeSync(descriptor);
    } catch {
      return [];
    }
    this.#offset += octets.length;
    this.changedAtMs = performance.now();
    const lines = (this.#rest + octets.toString('latin1')).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.map((line) => JSON.parse(Buffer.from(line, 'latin1').toString('utf8')) as TallyLine);
  }
}

interface TestRun {
  files: readonly string[];
  /** arguments of Node before the files */
  args: readonly string[];
  title: string;
}

const runTests = async (run: TestRun, options: Options, totals: Totals, scratch: string): Promise<void> => {
  const shown = (file: string): string => path.relative(options.root, file) || file;
  const tallyFile = path.join(scratch, `tally-${Math.random().toString(36).slice(2)}`);
  const tally = new Tally(tallyFile);
  const counts = new Map(run.files.map((file) => [file, 0]));
  const startedAtMs = performance.now();
  const tell: string[] = [];
  let failedHere = 0;
  let endedHere = 0;
  let isTimedOut = false;
  const take = (): void => {
    for (const line of tally.read()) {
      if (line.kind === 'note' && runnerTotal.test(line.text)) continue;
      if (line.kind === 'note') tell.push(`  ${styleText('dim', `${shown(line.file)}: ${line.text}`)}`);
      else if (line.kind === 'start') tally.running = `${shown(line.file)}: ${line.name}`;
      else if (line.outcome === 'passed' && path.resolve(options.root, line.name) === line.file) continue;
      else {
        endedHere++;
        counts.set(line.file, (counts.get(line.file) ?? 0) + 1);
        totals[line.outcome]++;
        const title = `${shown(line.file)}:${line.line} ${line.name}`;
        totals.slow.push({ title, durationMs: line.durationMs });
        if (line.outcome === 'skipped') {
          if (line.reason.startsWith(notRun)) totals.notRun++;
          tell.push(`  ${styleText('yellow', 'skipped')} ${title}: ${line.reason || 'no reason given'}`);
        }
        if (line.outcome === 'failed') {
          failedHere++;
          totals.failures.push({ title, reason: line.reason });
          tell.push(`  ${styleText('red', 'failed')} ${title}`, indent(line.reason));
        }
      }
    }
  };
  const { status, output, leftover } = await runChild(
    [
      ...run.args,
      `--test-timeout=${testTimeoutMs}`,
      `--test-reporter=${path.join(ownRoot, 'test/support/tally-reporter.ts')}`,
      `--test-reporter-destination=${tallyFile}`,
      ...run.files,
    ],
    {
      root: options.root,
      echo: false,
      timedOut: () => {
        take();
        isTimedOut ||= performance.now() - tally.changedAtMs > options.fileTimeoutMs;
        return isTimedOut;
      },
    },
  );
  take();
  const fail = (reason: string): void => {
    failedHere++;
    totals.failed++;
    totals.failures.push({ title: run.title, reason });
    tell.push(`  ${styleText('red', 'failed')} ${run.title}: ${reason}`);
  };
  if (isTimedOut)
    fail(
      `nothing ended for ${options.fileTimeoutMs / 1000} s, stopped; the last test known to have begun: ${tally.running || 'none'}`,
    );
  else if (status !== 0 && failedHere === 0) fail(`exit status ${status}`);
  else {
    for (const [file, count] of counts) if (count === 0) fail(`${shown(file)} ran no test`);
  }
  if (leftover.length > 0) fail(`left running: ${leftover.join('; ')}`);
  if (failedHere > 0 && output.trim() !== '') tell.push('  output:', indent(output.trimEnd()));
  const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
  const mark = failedHere > 0 ? styleText('red', '✖') : styleText('green', '✔');
  process.stdout.write(`${[`${mark} ${run.title}: ${endedHere} tests, ${seconds} s`, ...tell].join('\n')}\n`);
};

/** The runner's own counts, which it reports like a test's words. */
const runnerTotal = /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

const indent = (text: string): string => text.replace(/^/gm, '    ');

/** A part of the run that is no test file: it is good when it exits with 0. */
const runStage = async (
  title: string,
  args: readonly string[],
  options: Options,
  totals: Totals,
): Promise<void> => {
  const startedAtMs = performance.now();
  let isTimedOut = false;
  const { status } = await runChild(args, {
    root: options.root,
    echo: true,
    timedOut: () => {
      isTimedOut ||= performance.now() - startedAtMs > options.fileTimeoutMs;
      return isTimedOut;
    },
  });
  if (status === 0) return;
  totals.failed++;
  totals.failures.push({ title, reason: isTimedOut ? 'took too long, stopped' : 'see above' });
};

const main = async (): Promise<void> => {
  const options = readOptions(process.argv.slice(2));
  const { root, paths, seed } = options;
  const isWhole = paths.length === 0;
  for (const given of paths) {
    if (testFiles(given).length > 0) continue;
    process.stderr.write(`${given}: there is no test file\n`);
    process.exit(2);
  }
  // Clients that take long to install and to run have a command of their own: npm run interop.
  const isUsual = (file: string): boolean => !file.startsWith(path.join(root, 'test/interop') + path.sep);
  const files = isWhole
    ? [...testFiles(path.join(root, 'src')), ...testFiles(path.join(root, 'test')).filter(isUsual)]
    : [...new Set(paths.flatMap(testFiles))];
  const isBeside = (file: string): boolean => file.startsWith(path.join(root, 'src') + path.sep);
  const beside = files.filter(isBeside);
  const apart = isWhole && options.fast ? [] : files.filter((file) => !isBeside(file));

  const totals: Totals = { passed: 0, failed: 0, skipped: 0, notRun: 0, failures: [], slow: [] };
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-test-'));
  process.on('exit', () => fs.rmSync(scratch, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      for (const child of children) killGroup(child);
      process.exit(1);
    });
  }

  const hasStages = isWhole && !options.fast && root === ownRoot;
  if (hasStages) await runStage('check', ['scripts/check.ts'], options, totals);
  if (beside.length > 0) {
    const order = ['--test-randomize', `--test-random-seed=${seed}`];
    await runTests(
      {
        files: beside,
        args: ['--test', '--test-isolation=none', ...order],
        title: `src (order: --seed ${seed})`,
      },
      options,
      totals,
      scratch,
    );
  }
  if (hasStages) await runStage('fuzz', ['scripts/fuzz.ts', '--short'], options, totals);
  const waiting = [...apart];
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      await runTests({ files: [file], args: [], title: path.relative(root, file) }, options, totals, scratch);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  summarise(totals);
};

const summarise = (totals: Totals): void => {
  const { passed, failed, skipped, failures, slow } = totals;
  const lines: string[] = [''];
  for (const { title, durationMs } of slow.sort((a, b) => b.durationMs - a.durationMs).slice(0, 5)) {
    if (durationMs >= 2_000) lines.push(`slow: ${(durationMs / 1000).toFixed(1)} s ${title}`);
  }
  for (const { title, reason } of failures) lines.push(`failed: ${title}: ${reason.split('\n')[0]}`);
  const isNothing = passed + failed === 0;
  if (isNothing) lines.push('failed: no test was run');
  const folder = corporaRoot();
  const where = fs.existsSync(folder)
    ? `vectors in ${folder}`
    : `no folder ${folder}: set FENGNI_CORPORA to where the third-party vectors are`;
  lines.push(`third-party tests not run: ${totals.notRun} (${where})`);
  lines.push(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  process.stdout.write(`${lines.join('\n')}\n`);
  process.exit(failed > 0 || isNothing ? 1 : 0);
};

await main();
