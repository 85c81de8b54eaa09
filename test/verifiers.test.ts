import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { parseKeyFile, verifyReceipt } from '#trust/seal';
import { needPrograms } from './support/debian.ts';
import { runFengni } from './support/server.ts';
import { folder, type Vector } from './vectors/seal/make.ts';

// The verifiers of a receipt that share no code: TypeScript in src/, Python, Go with the packages of Go's checksum database, and a
// module for browsers. They must decide everything alike, hostile receipts too. verifiers-chromium.test.ts runs the last in Chromium.

const run = promisify(execFile);
const docs = path.resolve(import.meta.dirname, '../docs');
const vectors = JSON.parse(fs.readFileSync(path.join(folder, 'receipts.json'), 'utf8')) as Vector[];
const fileOf = (name: string): string => path.join(folder, 'receipts', name);
const read = (name: string): Uint8Array => new Uint8Array(fs.readFileSync(fileOf(name)));
const byName = (name: string): Vector => vectors.find((vector) => vector.name === name) ?? assert.fail(name);

interface Case {
  name: string;
  receipt: Uint8Array;
  mail: Uint8Array;
  key: string;
}

/** The first bad check with its reason, and what became of the prefix. */
interface Decision {
  name: string;
  failure: string | null;
  prefix: string | null;
}

const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-verifiers-'));
const goProgram = path.join(temporary, 'verify_receipt');
const pythonProgram = path.join(docs, 'verify_receipt.py');

before(async () => {
  needPrograms('go');
  const env = {
    ...process.env,
    GO111MODULE: 'off',
    GOPROXY: 'off',
    GOFLAGS: '',
    GOPATH: '/usr/share/gocode',
    GOCACHE: path.join(temporary, 'cache'),
  };
  await run('go', ['vet', 'verify_receipt.go'], { env, cwd: path.join(docs, 'verify/go') });
  await run('go', ['build', '-o', goProgram, 'verify_receipt.go'], {
    env,
    cwd: path.join(docs, 'verify/go'),
  });
});
after(() => fs.rmSync(temporary, { recursive: true, force: true }));

const isPrefix = ({ name }: { name: string }): boolean => name === 'prefix';

const byTypeScript = async ({ name, receipt, mail, key }: Case): Promise<Decision> => {
  const { checks, failure } = verifyReceipt({ receipt, mail, keys: parseKeyFile(key) });
  return {
    name,
    failure: failure === null ? null : `${failure.name} ${failure.reason}`,
    prefix: checks.find(isPrefix)?.result ?? null,
  };
};

interface BrowserModule {
  parseKeys(text: string): Promise<unknown>;
  verifyReceipt(
    receipt: Uint8Array,
    mail: Uint8Array,
    keys: unknown,
  ): Promise<{
    failure: { name: string; reason: string } | null;
    checks: { name: string; result: string }[];
  }>;
}
const browserFile = path.join(docs, 'verify/browser/verify-receipt.mjs');
const browserModule = (await import(browserFile)) as BrowserModule;

const byBrowserModule = async ({ name, receipt, mail, key }: Case): Promise<Decision> => {
  const keys = await browserModule.parseKeys(key);
  const { checks, failure } = await browserModule.verifyReceipt(receipt, mail, keys);
  return {
    name,
    failure: failure === null ? null : `${failure.name} ${failure.reason}`,
    prefix: checks.find(isPrefix)?.result ?? null,
  };
};

/** Runs the program as a person would and reads what it prints. */
const byGo = async ({ name, receipt, mail, key }: Case): Promise<Decision> => {
  const at = fs.mkdtempSync(path.join(temporary, 'case-'));
  const files = ['receipt', 'mail', 'key'].map((file) => path.join(at, file));
  for (const [file, octets] of [receipt, mail, key].entries()) fs.writeFileSync(files[file] ?? '', octets);
  const { status, stdout } = await program(goProgram, files);
  fs.rmSync(at, { recursive: true });
  const failure = /^BAD: (.*)$/m.exec(stdout)?.[1] ?? null;
  assert.equal(status, failure === null ? 0 : 1, `${name}: ${stdout}`);
  assert.equal(/^GOOD/m.test(stdout), failure === null, name);
  return { name, failure, prefix: /^prefix +(\S+)/m.exec(stdout)?.[1] ?? null };
};

/** All cases in one process: Python needs longer to start than to decide. */
const byPython = async (cases: readonly Case[]): Promise<Decision[]> => {
  const driver = [
    'import importlib.util, json, sys, base64',
    'spec = importlib.util.spec_from_file_location("verify_receipt", sys.argv[1])',
    'v = importlib.util.module_from_spec(spec); spec.loader.exec_module(v)',
    'for line in sys.stdin:',
    '    name, receipt, mail, key = json.loads(line)',
    '    rows = list(v.check(base64.b64decode(receipt), base64.b64decode(mail), v.parse_keys(key)))',
    '    bad = [f"{check} {reason}" for check, result, reason, _ in rows if result == "bad"]',
    '    prefix = [result for check, result, _, _ in rows if check == "prefix"]',
    '    print(json.dumps({"name": name, "failure": (bad or [None])[0], "prefix": (prefix or [None])[0]}))',
  ].join('\n');
  const text = (octets: Uint8Array): string => Buffer.from(octets).toString('base64');
  const lines = cases.map(({ name, receipt, mail, key }) =>
    JSON.stringify([name, text(receipt), text(mail), key]),
  );
  const { status, stdout, stderr } = await program(
    'python3',
    ['-B', '-c', driver, pythonProgram],
    lines.join('\n'),
  );
  assert.equal(status, 0, stderr);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Decision);
};

const program = (
  command: string,
  args: readonly string[],
  input = '',
): Promise<{ status: number | null; stdout: string; stderr: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'pipe' });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });

const each = async (
  cases: readonly Case[],
  decide: (one: Case) => Promise<Decision>,
): Promise<Decision[]> => {
  const decisions: Decision[] = [];
  for (const one of cases) decisions.push(await decide(one));
  return decisions;
};

const cases: Case[] = vectors.map(({ name, receipt, mail, key }) => ({
  name,
  receipt: read(receipt),
  mail: read(mail),
  key,
}));
const expected: Decision[] = vectors.map(({ name, failure, prefix }) => ({
  name,
  failure: failure === null ? null : `${failure.check} ${failure.reason}`,
  prefix,
}));

test('the verifier in Go decides every receipt vector as it says', async () => {
  assert.deepEqual(await each(cases, byGo), expected);
});

test('the module for browsers decides every receipt vector as it says, in Node', async () => {
  assert.deepEqual(await each(cases, byBrowserModule), expected);
});

test('the module for browsers imports nothing and uses nothing of Node', () => {
  const code = fs.readFileSync(browserFile, 'utf8').replace(/^ *(?:\/\/|\/?\*).*$/gm, '');
  assert.doesNotMatch(
    code,
    /\bimport\b(?!Key)|\brequire\b|\bprocess\b|\bBuffer\b|\bfetch\b|\bXMLHttpRequest\b/,
  );
});

test('index.html is made of the module and the page', async () => {
  const { makePage } = (await import(path.join(docs, 'verify/browser/make-page.mjs'))) as {
    makePage(): string;
  };
  const written = fs.readFileSync(path.join(docs, 'verify/browser/index.html'), 'utf8');
  assert(written === makePage(), 'run: node docs/verify/browser/make-page.mjs');
});

test('1,500 damaged receipts and mails are decided alike by three verifiers, 200 of them by the one in Go too', async (t) => {
  const seed = Number(process.env['FENGNI_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`FENGNI_SEED=${seed}`);
  const random = mulberry32(seed);
  const damaged = Array.from({ length: 1500 }, (_, number): Case => {
    const one = cases[Math.floor(random() * cases.length)] ?? assert.fail();
    const name = `${one.name}, damaged, ${number}`;
    return random() < 0.8
      ? { ...one, name, receipt: damage(one.receipt, random) }
      : { ...one, name, mail: damage(one.mail, random) };
  });
  const typeScript = await each(damaged, byTypeScript);
  assert.deepEqual(await each(damaged, byBrowserModule), typeScript);
  assert.deepEqual(await byPython(damaged), typeScript);
  const forGo = damaged.slice(0, 200);
  assert.deepEqual(await each(forGo, byGo), typeScript.slice(0, forGo.length));
  const reasons = new Set(typeScript.map(({ failure }) => failure));
  assert(reasons.size >= 6, `only ${[...reasons].join(', ')}`);
});

test('the programs in Go and Python take the same command line and exit alike', async () => {
  const good = byName('good');
  const [receipt, mail, key] = [fileOf(good.receipt), fileOf(good.mail), good.key];
  const keyFile = path.join(temporary, 'key.txt');
  fs.writeFileSync(keyFile, `# the log\r\n${key} seq 1-\r\n`);
  const noText = path.join(temporary, 'latin1.txt');
  fs.writeFileSync(noText, Buffer.from([0xe9]));
  const lines: [status: number, ...args: string[]][] = [
    [0, receipt, mail, key],
    [0, receipt, mail, keyFile],
    [1, receipt, fileOf(byName('a changed octet of the body').mail), key],
    [1, mail, receipt, key],
    [2],
    [2, receipt, mail],
    [2, receipt, mail, key, key],
    [2, receipt, mail, key.replace('mail', 'nail')],
    [2, receipt, mail, noText],
    [2, receipt, mail, os.devNull],
    [3, receipt, mail, 'absent'],
    [3, 'absent', mail, key],
    [3, receipt, 'absent', key],
    [3, receipt, temporary, key],
  ];
  for (const [status, ...args] of lines) {
    const go = await program(goProgram, args);
    const python = await program('python3', ['-B', pythonProgram, ...args]);
    const shown = `${args.join(' ')}\n${go.stdout}${go.stderr}${python.stdout}${python.stderr}`;
    assert.deepEqual({ go: go.status, python: python.status }, { go: status, python: status }, shown);
    assert.equal(/^(?:GOOD|BAD).*$/m.exec(go.stdout)?.[0], /^(?:GOOD|BAD).*$/m.exec(python.stdout)?.[0]);
    const table = (text: string): string[] =>
      text.split('\n').flatMap((line) => /^\w+ +(?:good|bad|not-given)/.exec(line)?.[0] ?? []);
    assert.deepEqual(table(go.stdout), table(python.stdout));
  }
});

test('one receipt, shown to every verifier by the commands of docs/verify/README.md', async () => {
  const good = byName('good');
  const [receipt, key] = [fileOf(good.receipt), good.key];
  for (const [mail, status] of [
    [fileOf(good.mail), 0],
    [fileOf(byName('a changed octet of the body').mail), 1],
  ] as const) {
    const fengni = await runFengni(['verify-receipt', receipt, mail, '--key', key]);
    assert.equal(fengni.status, status, fengni.stdout + fengni.stderr);
    const readme = fs.readFileSync(path.join(docs, 'verify/README.md'), 'utf8');
    const commands = [...readme.matchAll(/^(?:python3|node|GO111MODULE=off|\.\/fengni) .*RECEIPT .*$/gm)].map(
      ([line]) => line,
    );
    assert.equal(commands.length, 4);
    for (const command of commands.filter((line) => !line.startsWith('./fengni'))) {
      const shell = command
        .replace(/^node /, `'${process.execPath}' `)
        .replace('RECEIPT', `'${receipt}'`)
        .replace('MAIL.eml', `'${mail}'`)
        .replace('KEY', `'${key}'`);
      const done = await program('sh', [
        '-c',
        `cd '${path.dirname(docs)}' && GOCACHE='${temporary}/cache' ${shell}`,
      ]);
      assert.equal(done.status, status, `${shell}\n${done.stdout}${done.stderr}`);
    }
  }
});

/** One to three changes: a bit, an octet less or more, a line less, doubled or swapped, a digit. */
const damage = (octets: Uint8Array, random: () => number): Uint8Array => {
  let text = Buffer.from(octets).toString('latin1');
  const pick = (count: number): number => Math.floor(random() * count);
  for (let change = pick(3); change >= 0; change--) {
    const lines = text.split('\n');
    const [line, at] = [pick(lines.length), pick(text.length)];
    const [before, after] = [text.slice(0, at), text.slice(at + 1)];
    switch (pick(9)) {
      case 0:
        text = before + String.fromCharCode((text.charCodeAt(at) || 0) ^ (1 << pick(8))) + after;
        break;
      case 1:
        text = before + after;
        break;
      case 2:
        text = before + String.fromCharCode(pick(256)) + text.slice(at);
        break;
      case 3:
        text = lines.toSpliced(line, 1).join('\n');
        break;
      case 4:
        text = lines.toSpliced(line, 0, lines[line] ?? '').join('\n');
        break;
      case 5:
        [lines[line], lines[line + 1]] = [lines[line + 1] ?? '', lines[line] ?? ''];
        text = lines.join('\n');
        break;
      case 6:
        text = text.replace(/\d(?=\d*\n)/, String(pick(10)));
        break;
      case 7:
        text = text.replace(/^extra (.*)$/m, (_, extra: string) => {
          const inner = damage(Buffer.from(extra, 'base64'), random);
          return `extra ${Buffer.from(inner).toString('base64')}`;
        });
        break;
      default:
        text = text.replaceAll(random() < 0.5 ? '\r\n' : '\n', random() < 0.5 ? '\n' : '\r\n');
    }
  }
  return new Uint8Array(Buffer.from(text, 'latin1'));
};

/** A small generator that a seed repeats. */
const mulberry32 = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
};
