import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { parse } from 'smol-toml';
import { FengniError } from '#base/errors';
import { parseCommandArguments } from './arguments.ts';
import { type OutputStream, progress, runCli, UsageError } from './index.ts';
import { commands } from './table.ts';

interface Said {
  status: number;
  stdout: string;
  stderr: string;
}

const collector = (isTTY = false): OutputStream & { text: string } => ({
  text: '',
  isTTY,
  write(piece) {
    this.text += typeof piece === 'string' ? piece : new TextDecoder().decode(piece);
    return true;
  },
});

const cli = async (argv: string[], options: { lang?: string; cwd?: string } = {}): Promise<Said> => {
  const [stdout, stderr] = [collector(), collector()];
  const status = await runCli({
    argv,
    env: { LANG: options.lang ?? 'C' },
    cwd: options.cwd ?? os.tmpdir(),
    stdin: Readable.from([]),
    stdout,
    stderr,
  });
  return { status, stdout: stdout.text, stderr: stderr.text };
};

test('--help is good and lists every command, in the language of LANG; no command at all is wrong usage', async () => {
  const english = await cli(['--help']);
  assert.equal(english.status, 0);
  assert.equal(english.stderr, '');
  for (const { name } of commands) assert.match(english.stdout, new RegExp(`^  ${name} `, 'm'));
  assert.match((await cli(['-h'], { lang: 'zh_CN.UTF-8' })).stdout, /用法：fengni/);
  const nothing = await cli([]);
  assert.deepEqual([nothing.status, nothing.stdout], [2, '']);
  assert.equal(nothing.stderr, english.stdout);
});

test('every command has help in both languages, for -h anywhere before --', async () => {
  for (const { name, load } of commands) {
    const { command } = await load();
    for (const lang of ['C', 'zh_CN.UTF-8']) {
      const { status, stdout, stderr } = await cli([name, '-h', '--no-such-option'], { lang });
      assert.deepEqual([status, stderr], [0, ''], name);
      assert.ok(stdout.includes(`fengni ${name}`), name);
      for (const option of Object.keys(command.options))
        assert.ok(stdout.includes(`--${option}`), `${name} ${option}`);
    }
    for (const [option, { text }] of Object.entries(command.options)) {
      assert.ok(text.en !== '' && text.zh !== '' && text.en !== text.zh, `${name} --${option}`);
    }
  }
});

test('an unknown command is status 2, with a guess', async () => {
  const { status, stderr, stdout } = await cli(['confgi', 'check']);
  assert.equal(status, 2);
  assert.equal(stdout, '');
  assert.equal(stderr, 'fengni: There is no command "confgi".\nWhat to do: Did you mean "config"?\n');
  assert.match((await cli(['frobnicate'])).stderr, /Try "fengni --help"/);
  assert.match(
    (await cli(['confgi'], { lang: 'zh' })).stderr,
    /没有“confgi”这个命令。\n解决办法：您是想用“config”吗？/,
  );
  for (const name of ['constructor', '__proto__', '']) assert.equal((await cli([name])).status, 2, name);
});

test('an unknown option, subcommand or argument is status 2, with a guess', async () => {
  const cases: [string[], RegExp][] = [
    [['config', 'check', '--jsno'], /"fengni config" has no option --jsno\.\n.*Did you mean "--json"\?/],
    [['config', '-x'], /"fengni config" has no option -x\.\n.*Try "fengni config --help"/],
    [
      ['config', 'shwo'],
      /"fengni config" has no "shwo"; it has check, show, schema\.\n.*Did you mean "show"\?/,
    ],
    [['config'], /"fengni config" needs one of check, show, schema/],
    [['config', 'check', 'x'], /"x" is one argument too many/],
    [['config', 'check', '--config'], /The option --config needs a value/],
    [['config', 'check', '--config', '--json'], /The option --config needs a value/],
    [['config', 'check', '--json=yes'], /The option --json takes no value/],
    [['config', 'check', '--data', 'a', '--data', 'b'], /The option --data may be given only once/],
  ];
  for (const [argv, said] of cases) {
    const { status, stderr } = await cli(argv);
    assert.equal(status, 2, argv.join(' '));
    assert.match(stderr, said);
  }
});

test('with --json a fault is one JSON value on standard output, and still a sentence on standard error', async () => {
  const { status, stdout, stderr } = await cli([
    'config',
    'check',
    '--json',
    '--config',
    '/no/such/file.toml',
  ]);
  assert.equal(status, 2);
  const { error } = JSON.parse(stdout) as { error: Record<string, unknown> };
  assert.equal(error['code'], 'config-unreadable');
  assert.match(String(error['sentence']), /\/no\/such\/file\.toml/);
  assert.match(stderr, /What to do: /);
  assert.equal(stdout.trimEnd().split('\n').length, 1);
});

test('what follows -- is no option', () => {
  const { args, options } = parseCommandArguments('x', ['a', '--json', '--', '--data', '-h'], {});
  assert.deepEqual(args, ['a', '--data', '-h']);
  assert.deepEqual(options, { json: true });
});

test('an option that may be repeated gathers its values; "-" is a value', () => {
  const own = { from: { type: 'string', multiple: true, text: { en: 'a', zh: 'b' } } } as const;
  const { options } = parseCommandArguments(
    'x',
    ['--from', 'a', '--from=b', '--from', '-', '--from=--json'],
    own,
  );
  assert.deepEqual(options, { from: ['a', 'b', '-', '--json'] });
});

test('a usage error knows both languages and is status 2', () => {
  const error = new UsageError((language) => ({ sentence: language, remedy: 'r' }));
  assert.ok(error instanceof FengniError);
  assert.deepEqual([error.exitStatus, error.subject, error.spoken('zh').sentence], [2, 'en', 'zh']);
});

test('version tells the parts, as lines and as JSON', async () => {
  const text = await cli(['version']);
  assert.equal(text.status, 0);
  assert.match(text.stdout, /^fengni \d+\.\d+\.\d+\nnode 26\./);
  const json = JSON.parse((await cli(['--version', '--json'])).stdout) as { node: string };
  assert.equal(json.node, process.versions.node);
});

const inFolder = async (use: (folder: string) => Promise<void>): Promise<void> => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-cli-'));
  try {
    await use(folder);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
};

test('config check: 0 when good, 2 naming key, value and remedy when not, in both languages', () =>
  inFolder(async (cwd) => {
    assert.equal((await cli(['config', 'check'], { cwd })).status, 0);
    fs.writeFileSync(path.join(cwd, 'fengni.toml'), '[listen.smtp]\nport = 70000\n');
    const bad = await cli(['config', 'check'], { cwd });
    assert.equal(bad.status, 2);
    assert.match(bad.stderr, /\[listen\.smtp\] port: 70000 is not a port; use 1 to 65535/);
    assert.match(
      (await cli(['config', 'check'], { cwd, lang: 'zh' })).stderr,
      /\[listen\.smtp\] port：70000 不是端口号/,
    );
    fs.writeFileSync(path.join(cwd, 'fengni.toml'), '[listen.smtp]\nport = 0\n');
    const good = await cli(['config', 'check', '--json'], { cwd });
    assert.deepEqual(JSON.parse(good.stdout), {
      file: path.join(cwd, 'fengni.toml'),
      good: true,
      warnings: [],
    });
  }));

test('config show prints a file that means the same, and the same as JSON', () =>
  inFolder(async (cwd) => {
    const file = path.join(cwd, 'fengni.toml');
    fs.writeFileSync(
      file,
      '[listen.a]\nservice = "smtp"\nport = 25\n[[tls.certificate]]\ncert = "a"\nkey = "b"\n[[tls.certificate]]\ncert = "c"\nkey = "d"\n',
    );
    const shown = (await cli(['config', 'show'], { cwd })).stdout;
    const json = JSON.parse((await cli(['config', 'show', '--json'], { cwd })).stdout) as unknown;
    assert.deepEqual(JSON.parse(JSON.stringify(parse(shown))), json);
    fs.writeFileSync(file, shown);
    assert.equal((await cli(['config', 'show'], { cwd })).stdout, shown);
  }));

test('config schema describes every setting, as a page and as JSON Schema', async () => {
  assert.match((await cli(['config', 'schema'])).stdout, /\| `size_max` \| `"50MiB"` \|/);
  const schema = JSON.parse((await cli(['config', 'schema', '--json'])).stdout) as { title: string };
  assert.equal(schema.title, 'fengni.toml');
});

test('progress is a bar on a terminal, and a line every five seconds elsewhere', () => {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  const [terminal, file] = [collector(true), collector()];
  const all = [terminal, file].map((stream) =>
    progress(stream, { label: 'verify', total: 1_000, unit: 'messages', clock }),
  );
  for (nowMs = 0; nowMs < 12_000; nowMs += 10) for (const one of all) one.set(nowMs / 12);
  for (const one of all) {
    one.set(1_000);
    one.end();
  }
  assert.equal(file.text.split('\n').length - 1, 3, file.text);
  assert.match(file.text, /verify: 100% \(1000\/1000 messages\)\n$/);
  for (const control of ['\r', '\x1b']) assert.ok(!file.text.includes(control));
  const drawn = terminal.text.split('\r').length - 1;
  assert.ok(drawn > 50 && drawn < 200, String(drawn));
  assert.match(terminal.text, /\rverify \[#{30}\] 100% .*\n$/);
});
