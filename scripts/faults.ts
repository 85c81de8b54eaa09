/**
 * `npm run faults [-- --quick] [--only KIND,…]`: the proof by faults that the store keeps its promises. See docs/faults.md.
 *
 * Prints a table and writes its rows, with date and commit, into docs/faults.md and docs/faults.zh.md (`--no-write` does not). Exit
 * status 0 when every promise was kept and every control failed as it must; 1 otherwise; 3 when something could not run.
 */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type CutsResult, cutPower, type FileSystem, fileSystems } from '../test/faults/block-cuts.ts';
import {
  callNames,
  countCalls,
  errors,
  type InjectedError,
  type Injection,
  inject,
  newFolder,
} from '../test/faults/injections.ts';
import { type Endured, histories } from '../test/faults/log-histories.ts';
import type { SlowReaderOutcome } from '../test/faults/slow-reader.ts';
import { withoutSyncs } from '../test/faults/store-machine.ts';
import { auditStore, promiseLines } from '../test/faults/store-promises.ts';

const root = path.resolve(import.meta.dirname, '..');
const kinds = ['simulated', 'injections', 'kills', 'slow-reader', ...fileSystems] as const;
type Kind = (typeof kinds)[number];

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    'no-write': { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
  },
});
const { quick } = values;
const firstSeed = Number(values.seed);
const wanted = (values.only?.split(',') ?? kinds) as readonly Kind[];
if (wanted.some((kind) => !kinds.includes(kind))) {
  process.stderr.write(
    `Usage: npm run faults -- [--quick] [--only ${kinds.join(',')}] [--seed N] [--no-write]\n`,
  );
  process.exit(2);
}
const amounts = quick
  ? { simulatedCuts: 1_600, everyCall: false, kills: 6, cuts: 4, slowSeconds: 15 }
  : {
      simulatedCuts: 200_000,
      everyCall: true,
      kills: 500,
      cuts: 100,
      slowSeconds: 600,
    };
/** processes that work at once */
const concurrency = 2;
const killsAtOnce = 50;
/** of one process; a history has more than four cuts */
const historiesAtOnce = quick ? 100 : 1_000;

interface Row {
  kind: Kind;
  state: 'ran' | 'could not run';
  runs: number;
  acknowledged: number | null;
  problems: string[];
  /** what the control, which has a mistake on purpose, showed; null: it was not found, which is a failure */
  control: string | null;
  seconds: number;
}

const could = (kind: Kind, why: string): Row => ({
  kind,
  state: 'could not run',
  runs: 0,
  acknowledged: null,
  problems: [why],
  control: null,
  seconds: 0,
});

const told = (text: string): void => void process.stderr.write(`${text}\n`);

/** Does all jobs, some at a time. */
const inTurns = async <T>(jobs: readonly T[], work: (job: T) => Promise<void>): Promise<void> => {
  const waiting = [...jobs];
  const worker = async (): Promise<void> => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) await work(job);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
};

const runNode = (
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ status: number | null; output: string }> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output = (output + text).slice(-100_000);
      });
    child.once('close', (status) => resolve({ status, output }));
  });

const simulated = async (): Promise<Row> => {
  const problems: string[] = [];
  const all: Endured = { calls: 0, cuts: 0 };
  let first = firstSeed;
  const worker = async (): Promise<void> => {
    while (all.cuts < amounts.simulatedCuts && problems.length === 0) {
      const seed = first;
      first += historiesAtOnce;
      const program = path.join(root, 'test/faults/log-histories.ts');
      const { status, output } = await runNode([program, `${seed}`, `${historiesAtOnce}`]);
      if (status === 0) {
        const { calls, cuts } = JSON.parse(output) as Endured;
        all.calls += calls;
        all.cuts += cuts;
      } else problems.push(/Error: (seed .*)/.exec(output)?.[1] ?? output.slice(-400));
      told(`simulated machines: ${all.cuts} cuts, ${all.calls} operations`);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  const control = await histories(firstSeed, 100, withoutSyncs).then(
    () => null,
    (error: unknown) => (error as Error).message.split(' (repeat')[0] ?? '',
  );
  return {
    kind: 'simulated',
    state: 'ran',
    runs: all.cuts,
    acknowledged: null,
    problems,
    control,
    seconds: 0,
  };
};

const injections = async (): Promise<Row> => {
  if (spawnSync('strace', ['-V']).status !== 0)
    return could('injections', 'strace is missing: apt-get install strace');
  const counts = await countCalls();
  told(`calls of the driver: ${callNames.map((name) => `${name} ${counts[name]}`).join(', ')}`);
  const all: Injection[] = [];
  for (const call of callNames) {
    if (amounts.everyCall) {
      // Each with one of the errors in turn; the next seed gives it the next one.
      for (let when = 1; when <= counts[call]; when++)
        all.push({ call, error: errors[(when + firstSeed) % errors.length] as InjectedError, when });
    } else {
      for (const error of errors) all.push({ call, error, when: 1 + Math.floor(counts[call] / 2) });
    }
  }
  const problems: string[] = [];
  let [runs, tookEffect, acknowledged] = [0, 0, 0];
  await inTurns(all, async (injection) => {
    const outcome = await inject(injection, { seed: firstSeed });
    runs += 1;
    tookEffect += outcome.injected > 0 ? 1 : 0;
    acknowledged += outcome.audit.acknowledged;
    const { call, error, when } = injection;
    problems.push(
      ...outcome.problems.map((what) => `${call} ${error} when=${when}, seed ${firstSeed}: ${what}`),
    );
    if (runs % 10 === 0 || runs === all.length)
      told(`injections: ${runs} of ${all.length}, ${tookEffect} took effect`);
  });
  if (tookEffect < runs * 0.8) problems.push(`only ${tookEffect} of ${runs} took effect`);
  const { problems: found } = await inject(null, { driver: ['--without-sync'] });
  return {
    kind: 'injections',
    state: 'ran',
    runs,
    acknowledged,
    problems,
    control: found[0] ?? null,
    seconds: 0,
  };
};

const kills = async (): Promise<Row> => {
  const problems: string[] = [];
  let [runs, acknowledged] = [0, 0];
  const starts = Array.from({ length: Math.ceil(amounts.kills / killsAtOnce) }, (_, at) => at * killsAtOnce);
  await inTurns(starts, async (start) => {
    const count = Math.min(killsAtOnce, amounts.kills - start);
    const { status, output } = await runNode(['--test', 'test/faults/kills.test.ts'], {
      FENGNI_KILLS: `${count}`,
      FENGNI_SEED: `${firstSeed + start}`,
    });
    const said = [...output.matchAll(/(\d+) acknowledged, \d+ stored/g)].at(-1);
    if (status !== 0 || said === undefined)
      problems.push(`seed ${firstSeed + start}: ${output.slice(0, 2_000)}`);
    runs += count;
    acknowledged += Number(said?.[1] ?? 0);
    told(`kills: ${runs} of ${amounts.kills}, ${acknowledged} acknowledged`);
  });
  return {
    kind: 'kills',
    state: 'ran',
    runs,
    acknowledged,
    problems,
    control: await killEarly(),
    seconds: 0,
  };
};

/** A killed process takes no page of the kernel with it, so that a missing sync cannot show here: this control answers before it writes. */
const killEarly = async (): Promise<string | null> => {
  for (let tries = 0; tries < 10; tries++) {
    const folder = newFolder();
    try {
      const driver = path.join(root, 'test/faults/store-driver.ts');
      const args = ['--folder', `${folder}/data`, '--writers', '4', '--messages', '9000', '--answer-early'];
      const child = spawn(process.execPath, [driver, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
      let lines = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        lines += text;
        if (lines.split('\n').length > 50 + tries) child.kill('SIGKILL');
      });
      await new Promise<void>((resolve) => child.once('close', () => resolve()));
      const { lost, problems } = await auditStore(`${folder}/data`, promiseLines(lines));
      if (lost > 0) return `${lost} lost: ${problems[0]}`;
    } finally {
      fs.rmSync(folder, { recursive: true, force: true });
    }
  }
  return null;
};

/** Ten minutes, or a quarter of one, with readers that take an octet a second. */
const slowReader = async (): Promise<Row> => {
  const run = async (
    env: NodeJS.ProcessEnv,
  ): Promise<{ status: number | null; outcome: SlowReaderOutcome | null; output: string }> => {
    const { status, output } = await runNode(
      ['--test', '--test-reporter=spec', 'test/faults/slow-reader.test.ts'],
      env,
    );
    const said = /\{"seconds":.*\}/.exec(output)?.[0];
    return { status, output, outcome: said === undefined ? null : (JSON.parse(said) as SlowReaderOutcome) };
  };
  const { status, output, outcome } = await run({ FENGNI_SLOW_SECONDS: `${amounts.slowSeconds}` });
  if (outcome !== null) told(JSON.stringify(outcome));
  const problems =
    outcome === null || (status !== 0 && outcome.problems.length === 0)
      ? [output.slice(-2_000)]
      : outcome.problems;
  const control = await run({ FENGNI_SLOW_SECONDS: '60', FENGNI_SLOW_CONTROL: '1' });
  return {
    kind: 'slow-reader',
    state: 'ran',
    runs: 2,
    acknowledged: outcome?.acknowledged ?? 0,
    problems,
    control: control.outcome?.problems[0] ?? null,
    seconds: 0,
  };
};

const blockCuts = async (fileSystem: FileSystem): Promise<Row> => {
  const result: CutsResult = await cutPower({
    fileSystem,
    cuts: amounts.cuts,
    firstSeed,
    progress: (cuts) => {
      if (quick || cuts % 10 === 0) told(`${fileSystem}: ${cuts} of ${amounts.cuts} cuts`);
    },
  });
  if (result.kind === 'could not run') return could(fileSystem, result.why);
  const control = await cutPower({
    fileSystem,
    cuts: 10,
    firstSeed,
    driverArgs: ['--without-sync'],
    stopAtFirst: true,
  });
  const found =
    control.kind === 'ran' && control.problems.length > 0
      ? `${control.lost} of ${control.acknowledged} lost: ${control.problems[0]?.split('\n')[0]}`
      : null;
  const { cuts, acknowledged, problems } = result;
  return { kind: fileSystem, state: 'ran', runs: cuts, acknowledged, problems, control: found, seconds: 0 };
};

const words = {
  en: {
    title: ['fault', 'runs', 'acknowledged', 'promises broken', 'the control’s mistake', 'seconds', 'when'],
    simulated: 'power cuts of simulated machines, at any operation',
    injections: 'errors of system calls (strace)',
    kills: 'kill -9 of all processes of a server',
    'slow-reader': 'a POP3 and an IMAP session that read one octet a second',
    cut: (fileSystem: string) => `power cut, ${fileSystem} on a block device`,
    couldNotRun: 'could not run',
    found: 'found',
    missed: 'NOT FOUND',
    said: (quickly: boolean) => (quickly ? '`npm run faults -- --quick`' : '`npm run faults`'),
  },
  zh: {
    title: ['故障', '次数', '已确认', '违背的承诺', '对照中的错误', '秒', '何时'],
    simulated: '模拟机器在任意操作处断电',
    injections: '系统调用出错（strace）',
    kills: '对服务器的全部进程 kill -9',
    'slow-reader': '每秒只读一个八位字节的 POP3 与 IMAP 会话',
    cut: (fileSystem: string) => `块设备上的 ${fileSystem} 断电`,
    couldNotRun: '未能运行',
    found: '已发现',
    missed: '未发现',
    said: (quickly: boolean) => (quickly ? '`npm run faults -- --quick`' : '`npm run faults`'),
  },
} as const;

const nameOf = (kind: Kind, language: 'en' | 'zh'): string => {
  const word = words[language];
  return kind === 'ext4' || kind === 'xfs' || kind === 'btrfs' ? word.cut(kind) : word[kind];
};

const cellsOf = (row: Row, language: 'en' | 'zh'): readonly (string | number)[] => {
  const word = words[language];
  const name = nameOf(row.kind, language);
  if (row.state === 'could not run') return [name, word.couldNotRun, '–', '–', '–', '–', when];
  return [
    name,
    row.runs,
    row.acknowledged ?? '–',
    row.problems.length,
    row.control === null ? word.missed : word.found,
    row.seconds,
    when,
  ];
};

/** @param kept lines of kinds that did not run now, by name */
const table = (rows: readonly Row[], language: 'en' | 'zh', kept = new Map<string, string>()): string => {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  const { title } = words[language];
  const lines = kinds.flatMap((kind) => {
    const row = rows.find((each) => each.kind === kind);
    return row === undefined ? (kept.get(nameOf(kind, language)) ?? []) : line(cellsOf(row, language));
  });
  return [line(title), line(title.map(() => '---')), ...lines].join('\n');
};

const machine = `${os.cpus().length} × ${os.cpus()[0]?.model.trim()}, Linux ${os.release()}, Node ${process.version}`;
const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' });
const when = [
  `${new Date().toISOString().slice(0, 16)}Z`,
  ...(commit.status === 0 ? [commit.stdout.trim()] : []),
].join(', ');

/** Rows of kinds that did not run now stay as they are, with their date. */
const write = (rows: readonly Row[]): void => {
  const pages = { en: 'docs/faults.md', zh: 'docs/faults.zh.md' } as const;
  const mark = quick ? 'quick' : 'full';
  for (const language of ['en', 'zh'] as const) {
    const file = path.join(root, pages[language]);
    const text = fs.readFileSync(file, 'utf8');
    const part = new RegExp(`(<!-- ${mark} -->\n)[\\s\\S]*?(<!-- end -->)`);
    if (!part.test(text))
      throw new Error(`${file} has no place for the figures: <!-- ${mark} --> … <!-- end -->`);
    const kept = new Map<string, string>();
    for (const [line, name = ''] of (part.exec(text)?.[0] ?? '').matchAll(/^\| (.*?) \|.*$/gm))
      kept.set(name, line);
    const figures = `${words[language].said(quick)}, ${machine}\n\n${table(rows, language, kept)}\n`;
    fs.writeFileSync(
      file,
      text.replace(part, (_, begin: string, end: string) => `${begin}${figures}${end}`),
    );
  }
};

const work: Readonly<Record<Kind, () => Promise<Row>>> = {
  simulated,
  injections,
  kills,
  'slow-reader': slowReader,
  ext4: () => blockCuts('ext4'),
  xfs: () => blockCuts('xfs'),
  btrfs: () => blockCuts('btrfs'),
};
const measured = new Map<Kind, Row>();
const runKind = async (kind: Kind): Promise<void> => {
  const start = performance.now();
  const row = await work[kind]();
  measured.set(kind, { ...row, seconds: Math.round((performance.now() - start) / 1_000) });
};
const chosen = kinds.filter((kind) => wanted.includes(kind));
// One kind after the other: the first ones do several things at once by themselves, and an image has to stand still while it is copied.
for (const kind of chosen) await runKind(kind);
const rows = chosen.flatMap((kind) => measured.get(kind) ?? []);

process.stdout.write(`${machine}, load ${os.loadavg()[0]?.toFixed(1)}\n\n${table(rows, 'en')}\n\n`);
for (const { kind, state, problems, control } of rows) {
  for (const problem of problems) process.stdout.write(`${kind}: ${problem}\n`);
  if (state === 'ran')
    process.stdout.write(`control of ${kind}: ${control ?? 'its mistake was not found'}\n`);
}
if (!values['no-write']) write(rows);
const isBad = rows.some(
  ({ state, problems, control }) => state === 'ran' && (problems.length > 0 || control === null),
);
process.exitCode = isBad ? 1 : rows.some(({ state }) => state === 'could not run') ? 3 : 0;
