import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { type DemoReport, runDemo, type StepName, stepNames } from '#app/demo';
import { FengniError } from '#base/errors';

// The demo as a person runs it, each time in a TMPDIR of its own: what it leaves behind can be seen there.

const root = path.resolve(import.meta.dirname, '..');
const folders: string[] = [];
const newFolder = (): string => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-demo-test-'));
  folders.push(folder);
  return folder;
};
after(() => {
  for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true });
});

interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
  folder: string;
}

const environment = (folder: string, lang: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => {
  const { LC_ALL, LC_MESSAGES, LANGUAGE, NODE_TEST_CONTEXT, NODE_OPTIONS, NO_COLOR, ...rest } = process.env;
  return { ...rest, LANG: lang, TMPDIR: folder, ...more };
};

const start = (
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): { child: ChildProcess; ended: Promise<Ran> } => {
  const child = spawn(path.join(root, 'fengni'), ['demo', ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ran>((resolve) => {
    child.once('close', (status) => resolve({ status, stdout, stderr, folder: env['TMPDIR'] ?? '' }));
  });
  return { child, ended };
};

/** Processes that work in or on a folder. */
const processesIn = (folder: string): string[] =>
  fs.readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const words = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const cwd = fs.readlinkSync(`/proc/${pid}/cwd`);
      return words.includes(folder) || cwd.startsWith(folder) ? [`${pid} ${words}`] : [];
    } catch {
      return [];
    }
  });

const nothingIsLeft = (folder: string): void => {
  assert.deepEqual(fs.readdirSync(folder), [], 'a folder is left behind');
  assert.deepEqual(processesIn(folder), [], 'a process is left behind');
};

const evidenceOf = (
  report: DemoReport,
  step: StepName,
): Readonly<Record<string, string | readonly string[]>> => {
  const record = report.steps.find((each) => each.step === step);
  assert.ok(record !== undefined, `${step} was not reached`);
  return record.evidence;
};

test('the whole story in English: exit 0, every step with its evidence, nothing left behind', async () => {
  const { ended } = start([], environment(newFolder(), 'C.UTF-8'));
  const { status, stdout, stderr, folder } = await ended;
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  assert.equal(stderr, '');
  assert.ok(!stdout.includes('\u001b'), 'colour is for terminals');
  assert.equal(stdout.match(/^ {3}✔ /gm)?.length, stepNames.length);
  for (const words of [
    /encrypted +TLSv1\.[23] · \S+/,
    /server says +250 2\.0\.0 Ok id=[a-z2-7]{26} sha256=[0-9a-f]{16}…/,
    /receipt +\d{4} octets/,
    /octet +[01]{8} \(0x[0-9a-f]{2}\) → [01]{8} \(0x[0-9a-f]{2}\)/,
    /would read +1,280\.00 → 9,280\.00/,
    /POP3S +-ERR \[SYS\/PERM\]/,
    /IMAPS +NO \[CORRUPTION\]/,
    /WRONG segments\/\d{16}\.0\.fseg @\d+/,
    /head-kept-outside knows \d+ leaves/,
    /Unwitnessed \(未见证\)/,
    /npm start\n/,
    /swaks --server localhost:2525 --tls --to admin@fengni\.test\n/,
  ])
    assert.match(stdout, words);
  for (const line of stdout.split('\n')) assert.ok([...line].length <= 100, line);
  nothingIsLeft(folder);
});

test('the same in Chinese, as one JSON value with the words of every step', async () => {
  const { ended } = start(['--json'], environment(newFolder(), 'zh_CN.UTF-8'));
  const { status, stdout, stderr, folder } = await ended;
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  assert.equal(stdout.trimEnd().split('\n').length, 1);
  const report = JSON.parse(stdout) as DemoReport;
  assert.deepEqual([report.good, report.witnessed, report.folder, report.left], [true, false, null, []]);
  assert.deepEqual(
    report.steps.map(({ step }) => step),
    stepNames,
  );
  for (const { step, good, title, says, proves, failure } of report.steps) {
    assert.deepEqual([good, failure], [true, null], step);
    for (const words of [title, says, proves]) assert.match(words ?? '', /\p{Script=Han}/u, step);
  }
  assert.match(String(evidenceOf(report, 'flip')['pop3s']), /^-ERR \[SYS\/PERM\]/);
  assert.match(String(evidenceOf(report, 'rollback')['serve']), /new-generation/);
  nothingIsLeft(folder);
});

/** Runs the story in this process while somebody else is at work before a step. */
const sabotage = async (
  at: StepName,
  meddle: (folders: { data: string; copy: string }) => void,
): Promise<{ status: number; report: DemoReport }> => {
  const folder = newFolder();
  const outcome = await runDemo({
    language: 'en',
    screen: null,
    env: environment(folder, 'C.UTF-8'),
    keep: false,
    signal: new AbortController().signal,
    meddle: (step, folders) => {
      if (step === at) meddle(folders);
    },
  });
  nothingIsLeft(folder);
  return outcome;
};

const failedStep = ({ status, report }: { status: number; report: DemoReport }): StepName | undefined => {
  assert.deepEqual([status, report.good], [1, false]);
  const last = report.steps.at(-1);
  assert.ok(last !== undefined && !last.good && last.failure !== null && last.failure !== '');
  assert.deepEqual(
    [...report.steps.map(({ step }) => step), ...report.left],
    stepNames,
    'the story ends where it fails',
  );
  return last.step;
};

const flipEvery = (file: string, stride: number): void => {
  const octets = fs.readFileSync(file);
  for (let at = 600; at < octets.length; at += stride) octets[at] = (octets[at] ?? 0) ^ 1;
  fs.writeFileSync(file, octets);
};

const segmentIn = (folder: string): string => {
  const [name = ''] = fs.readdirSync(path.join(folder, 'segments'));
  return path.join(folder, 'segments', name);
};

test('a copy that is damaged as well mends nothing: exit 1, naming the step', async () => {
  const outcome = await sabotage('mend', ({ copy }) => flipEvery(segmentIn(copy), 64));
  assert.equal(failedStep(outcome), 'mend');
  assert.match(outcome.report.steps.at(-1)?.failure ?? '', /verify.* ended with 1 instead of 0/);
});

test('a letter that is damaged before it is read: exit 1, naming the step', async () => {
  const outcome = await sabotage('read', ({ data }) => flipEvery(segmentIn(data), 64));
  assert.equal(failedStep(outcome), 'read');
});

test('a folder in which something is wrong is not called good: exit 1, naming the step', async () => {
  const outcome = await sabotage('copy', ({ data }) =>
    fs.writeFileSync(path.join(data, 'FORMAT'), 'other\n'),
  );
  assert.equal(failedStep(outcome), 'copy');
});

test('a server that cannot start is no verdict: status 3 with its words', async () => {
  const started = sabotage('start', ({ data }) => fs.writeFileSync(data, ''));
  await assert.rejects(started, (error) => {
    assert.ok(error instanceof FengniError);
    assert.deepEqual([error.code, error.exitStatus], ['demo-server-not-started', 3]);
    assert.match(error.subject, /data/);
    return true;
  });
});

test('SIGINT and SIGTERM at any step leave no process and no folder', async () => {
  for (const [signal, title] of [
    ['SIGINT', '1/9'],
    ['SIGTERM', '4/9'],
    ['SIGHUP', '7/9'],
  ] as const) {
    const { child, ended } = start([], environment(newFolder(), 'C.UTF-8'));
    child.stdout?.on('data', (text: string) => {
      if (text.includes(title)) child.kill(signal);
    });
    const { status, stderr, folder } = await ended;
    assert.equal(status, 128 + os.constants.signals[signal], stderr);
    nothingIsLeft(folder);
  }
});

test('a reader that goes away leaves no process and no folder', async () => {
  const { child, ended } = start([], environment(newFolder(), 'C.UTF-8'));
  child.stdout?.once('data', () => child.stdout?.destroy());
  const { folder } = await ended;
  // The last of its processes may still be ending.
  for (let tries = 0; tries < 200 && processesIn(folder).length > 0; tries++)
    await new Promise((resolve) => setTimeout(resolve, 20));
  nothingIsLeft(folder);
});

test('a folder that cannot be made is status 3 with a remedy; --keep keeps it and says where', async () => {
  const nowhere = path.join(newFolder(), 'no/such/folder');
  const refused = await start([], environment(nowhere, 'C.UTF-8')).ended;
  assert.equal(refused.status, 3);
  assert.match(refused.stderr, /The demo cannot run: .*\nWhat to do: .*TMPDIR/);

  const { child, ended } = start(['--keep'], environment(newFolder(), 'C.UTF-8'));
  child.stdout?.on('data', (text: string) => {
    if (text.includes('3/9')) child.kill('SIGTERM');
  });
  const { folder, stdout } = await ended;
  const [kept = ''] = fs.readdirSync(folder);
  assert.ok(stdout.includes(`Everything is still in ${path.join(folder, kept)}`), stdout);
  assert.ok(fs.existsSync(path.join(folder, kept, 'data/segments')));
  assert.deepEqual(processesIn(folder), []);
});

test('colour on a terminal only, and none with NO_COLOR; Ctrl-C there leaves nothing', async () => {
  const onTerminal = async (more: NodeJS.ProcessEnv): Promise<string> => {
    const folder = newFolder();
    const child = spawn('script', ['-qec', `${path.join(root, 'fengni')} demo`, '/dev/null'], {
      env: environment(folder, 'C.UTF-8', { TERM: 'xterm', ...more }),
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let text = '';
    let isEnding = false;
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
      if (!text.includes('3/9') || isEnding) return;
      isEnding = true;
      child.stdin.write('\u0003');
    });
    const status = await new Promise((resolve) => child.once('close', resolve));
    assert.equal(status, 128 + os.constants.signals.SIGINT, text);
    nothingIsLeft(folder);
    return text;
  };
  assert.ok((await onTerminal({})).includes('\u001b[32m'));
  assert.ok(!(await onTerminal({ NO_COLOR: '1' })).includes('\u001b'));
});
