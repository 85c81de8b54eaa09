import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type AuditReport, auditStore, promiseLines } from './store-promises.ts';

// Errors of system calls, put in by strace's `-e inject`. `when=` counts per thread: the driver has one thread for files
// (UV_THREADPOOL_SIZE=1), and SQLite calls on the main thread, so that the same k is the same call each time.

/** by the name under which they are reported */
export const calls = {
  openat: ['openat'],
  pwrite64: ['pwrite64'],
  writev: ['pwritev', 'writev'],
  fdatasync: ['fdatasync'],
  fsync: ['fsync'],
  ftruncate: ['ftruncate'],
  rename: ['rename', 'renameat', 'renameat2'],
  unlink: ['unlink', 'unlinkat'],
} as const;
export type CallName = keyof typeof calls;
export const callNames = Object.keys(calls) as CallName[];

export const errors = ['EIO', 'ENOSPC', 'EINTR'] as const;
export type InjectedError = (typeof errors)[number];

export interface Injection {
  call: CallName;
  error: InjectedError;
  /** the how manieth call of a thread, from 1 */
  when: number;
}

export interface InjectionOutcome {
  injection: Injection | null;
  /** calls that strace answered with the error */
  injected: number;
  /** the driver went on to the end, gave up as it should, or ended in another way */
  ended: 'finished' | 'gave up' | string;
  audit: AuditReport;
  problems: string[];
}

const driver = path.join(import.meta.dirname, 'store-driver.ts');
const messages = 4;
const driverMsMax = 60_000;
/** the driver's own Io writes these; an error of one of them ends the log */
const logFile = /\/(?:segments\/[^/]+\.fseg|keys\/[^/]+\.fkeys)$/;

export const newFolder = (): string => fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-faults-'));

interface TracedRun {
  status: number | null;
  signal: string | null;
  lines: string;
  stderr: string;
  trace: string;
}

/** Runs the driver with strace put on after its modules are loaded, and before its first call of the store. */
const runTraced = async (
  folder: string,
  injection: Injection | null,
  driverArgs: readonly string[],
): Promise<TracedRun> => {
  const traceFile = `${folder}.trace`;
  const child = spawn(process.execPath, [driver, '--folder', folder, '--wait', ...driverArgs], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
  });
  let [lines, stderr] = ['', ''];
  const loaded = Promise.withResolvers<void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    lines += text;
    if (lines.includes('\n')) loaded.resolve();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<{ status: number | null; signal: string | null }>((resolve) =>
    child.once('close', (status, signal) => resolve({ status, signal })),
  );
  const timer = setTimeout(() => child.kill('SIGKILL'), driverMsMax);
  try {
    await Promise.race([loaded.promise, ended]);
    const traced = [...Object.values(calls).flat(), 'write'];
    const inject =
      injection === null
        ? []
        : [
            '-e',
            `inject=${calls[injection.call].map(optional).join()}:error=${injection.error}:when=${injection.when}`,
          ];
    const strace = spawn(
      'strace',
      [
        '-f',
        '-y',
        '-s',
        '160',
        '-o',
        traceFile,
        '-e',
        `trace=${traced.map(optional).join()}`,
        ...inject,
        '-p',
        `${child.pid}`,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let said = '';
    const attached = new Promise<void>((resolve, reject) => {
      strace.once('error', () => reject(new Error('strace is missing; as root: apt-get install strace')));
      strace.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (/attached/.test(said)) resolve();
      });
      strace.once('exit', () => reject(new Error(`strace could not be put on: ${said}${stderr}`)));
    });
    attached.catch(() => {});
    const detached = new Promise<void>((resolve) => strace.once('close', () => resolve()));
    await attached;
    child.stdin.end();
    const how = await ended;
    await detached;
    return { ...how, lines, stderr, trace: fs.readFileSync(traceFile, 'utf8') };
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
    fs.rmSync(traceFile, { force: true });
  }
};

/** Not every machine has each of them. */
const optional = (call: string): string => `?${call}`;

/** How often each call was made, by the thread that made it most. */
export const countCalls = async (): Promise<Record<CallName, number>> => {
  const folder = newFolder();
  try {
    // The first to run keeps the compiled modules, which takes calls that no later one makes.
    await runTraced(`${folder}/first`, null, driverArgs(1));
    const { trace, status, stderr } = await runTraced(`${folder}/data`, null, driverArgs(1));
    if (status !== 0) throw new Error(`the driver does not run: ${stderr}`);
    const counts = Object.fromEntries(callNames.map((name) => [name, 0])) as Record<CallName, number>;
    const byThread = new Map<string, number>();
    for (const { thread, call, part } of events(trace)) {
      const name = callNames.find((each) => (calls[each] as readonly string[]).includes(call));
      if (name === undefined || part === 'end') continue;
      // strace counts each system call of a thread for itself.
      const key = `${thread} ${call}`;
      byThread.set(key, (byThread.get(key) ?? 0) + 1);
      counts[name] = Math.max(counts[name], byThread.get(key) ?? 0);
    }
    return counts;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
};

const driverArgs = (seed: number): string[] => [
  '--seed',
  `${seed}`,
  '--messages',
  `${messages}`,
  '--lives',
  '2',
];

/**
 * One injection: the driver works through two lives with it; then, where it gave up, once more with the same error, in recovery now; then
 * everything it said is held against it, and so is the order of its calls.
 */
export const inject = async (
  injection: Injection | null,
  options: { seed?: number; driver?: readonly string[] } = {},
): Promise<InjectionOutcome> => {
  const parent = newFolder();
  const folder = `${parent}/data`;
  const problems: string[] = [];
  const seed = options.seed ?? 1;
  let lines = '';
  let injected = 0;
  let ended: InjectionOutcome['ended'] = 'finished';
  try {
    for (let run = 0; run < 2; run++) {
      const traced = await runTraced(folder, injection, [
        ...driverArgs(seed + run),
        ...(options.driver ?? []),
      ]);
      lines += traced.lines.slice(0, traced.lines.lastIndexOf('\n') + 1);
      injected += traced.trace.split('(INJECTED)').length - 1;
      problems.push(...wrongOrder(traced.trace));
      if (traced.status === 0) break;
      if (run === 0) ended = 'gave up';
      // 3 is what a writer does of its own will; anything else is a fault that nobody thought of.
      if (traced.status !== 3) {
        ended = `status ${traced.status}, signal ${traced.signal}`;
        problems.push(`the driver ended with ${ended}: ${traced.stderr.slice(-600)}`);
      }
    }
    const audit = await auditStore(folder, promiseLines(lines));
    problems.push(...audit.problems);
    return { injection, injected, ended, audit, problems };
  } finally {
    fs.rmSync(parent, { recursive: true, force: true });
  }
};

interface TraceEvent {
  thread: string;
  call: string;
  /** its arguments, as strace shows them */
  text: string;
  /** what it returned; null while it runs and where it failed */
  result: number | null;
  /** `EIO`, null where it went well or has not ended */
  error: string | null;
  /** whether the line is the whole call, its begin, or its end */
  part: 'whole' | 'begin' | 'end';
}

function* events(trace: string): Generator<TraceEvent> {
  const open = new Map<string, string>();
  for (const line of trace.split('\n')) {
    const [, thread = '', rest = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const [, returned, error = null] = /\) += (-?\d+)(?:<[^>]*>)?(?: (E[A-Z]+) .*)?$/.exec(rest) ?? [];
    const result = returned === undefined || error !== null ? null : Number(returned);
    const resumed = /^<\.\.\. (\w+) resumed>/.exec(rest);
    if (resumed !== null) {
      yield { thread, call: resumed[1] ?? '', text: open.get(thread) ?? '', result, error, part: 'end' };
      continue;
    }
    const [, call = '', text = ''] = /^(\w+)\((.*)$/.exec(rest) ?? [];
    if (call === '') continue;
    const isBegin = text.endsWith('<unfinished ...>');
    if (isBegin) open.set(thread, text);
    yield { thread, call, text, result, error, part: isBegin ? 'begin' : 'whole' };
  }
}

/**
 * What the audit cannot see, since the kernel still has every page: an answer while its octets in the log are not synced (or their sync
 * failed), and a second sync of a file whose sync failed.
 */
export const wrongOrder = (trace: string): string[] => {
  const problems: string[] = [];
  /** by file: the end of what was written, of what was written when the running sync began, and of what is durable */
  const files = new Map<string, { written: number; syncing: number; durable: number; failed: boolean }>();
  let answers = 0;
  for (const { call, text, result, error, part } of events(trace)) {
    const file = /^\d+<[^>]*?([^/>]+\/[^/>]+)>/.exec(text)?.[1] ?? '';
    if (logFile.test(`/${file}`)) {
      const state = files.get(file) ?? { written: 0, syncing: 0, durable: 0, failed: false };
      files.set(file, state);
      if ((call === 'pwrite64' || call === 'pwritev') && part !== 'begin' && result !== null) {
        const position = Number(/, (\d+)(?:\) += .*| <unfinished \.\.\.>)$/.exec(text)?.[1]);
        state.written = Math.max(state.written, position + result);
      }
      if (call === 'fdatasync' || call === 'fsync') {
        if (part !== 'end') {
          if (state.failed) problems.push(`${file} was synced again after its sync had failed`);
          state.syncing = state.written;
        }
        if (part !== 'begin') {
          if (result === 0) state.durable = state.syncing;
          // An interrupted call did nothing and is made again.
          else if (error !== 'EINTR') state.failed = true;
        }
      }
    }
    if (call === 'write' && part !== 'end' && isAnswer.test(text)) {
      answers += 1;
      const at = /"at":(\{[^}]*\})/.exec(text.replaceAll('\\"', '"'))?.[1] ?? '{}';
      for (const [name, end] of Object.entries(JSON.parse(at) as Record<string, number>)) {
        const state = files.get(name);
        if (state === undefined || end > state.durable)
          problems.push(
            `an answer for octets before ${end} of ${name}, of which ${state?.durable ?? 0} are durable${state?.failed === true ? ' and a sync failed' : ''}`,
          );
      }
    }
  }
  if (/"kind\\":\\"delivered/.test(trace) && answers === 0) problems.push('the trace shows no answers');
  return problems;
};

const isAnswer = /^1<[^>]*>, "\{\\"kind\\":\\"delivered\\",\\"at\\":\{/;
