import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

// The launcher on a copy of its own files, with an npm and, where need be, a node of ours on PATH.

const root = path.resolve(import.meta.dirname, '..');
const nodePackage = `node-linux-${process.arch}`;
const launcherFiles = ['fengni', 'scripts/node26', 'scripts/setup.mjs'];

/** Does what npm ci does, as far as the launcher can tell; says so in a file, and misbehaves when told to. */
const npm = `#!/bin/sh
echo "$@" >>"$NPM_LOG"
case "$NPM_MODE" in
  fail) echo "$NPM_SAYS" >&2; exit 1 ;;
  hang) rm -rf node_modules; mkdir -p node_modules; echo $$ >"$NPM_LOG.pid"; exec sleep 60 ;;
  slow) sleep 0.5 ;;
  nonode) rm -rf node_modules; mkdir -p node_modules; exit 0 ;;
esac
rm -rf node_modules
mkdir -p node_modules/${nodePackage}/bin
ln -s "${process.execPath}" node_modules/${nodePackage}/bin/node
`;

interface Tree {
  folder: string;
  /** a PATH with the tools of the system, node and npm */
  path: string;
  npmCalls(): string[];
}

const createTree = (t: TestContext, without: readonly string[] = []): Tree => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni launcher-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  for (const name of launcherFiles) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.copyFileSync(path.join(root, name), path.join(folder, name));
  }
  fs.mkdirSync(path.join(folder, 'src/app'), { recursive: true });
  fs.writeFileSync(
    path.join(folder, 'src/app/main.ts'),
    "const args: string[] = process.argv.slice(2);\nif (args[0] === 'wait') setInterval(() => {}, 1e6);\nelse process.exitCode = Number(args[1] ?? 0);\nconsole.log(JSON.stringify({ args, cwd: process.cwd(), cache: process.env['NODE_COMPILE_CACHE'] ?? null, fds: (await import('node:fs')).existsSync('/proc/self/fd/9') && (await import('node:fs')).readlinkSync('/proc/self/fd/9').endsWith('.setup-lock') }));\n",
  );
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }');
  fs.writeFileSync(path.join(folder, 'package-lock.json'), '{ "lockfileVersion": 3 }');
  const tools = path.join(folder, 'tools');
  fs.mkdirSync(tools);
  for (const tool of [
    'sh',
    'env',
    'dirname',
    'readlink',
    'uname',
    'cmp',
    'flock',
    'stat',
    'sleep',
    'rm',
    'mkdir',
    'ln',
  ]) {
    if (without.includes(tool)) continue;
    fs.symlinkSync(
      fs.existsSync(`/bin/${tool}`) ? `/bin/${tool}` : `/usr/bin/${tool}`,
      path.join(tools, tool),
    );
  }
  if (!without.includes('node')) fs.symlinkSync(process.execPath, path.join(tools, 'node'));
  if (!without.includes('npm')) fs.writeFileSync(path.join(tools, 'npm'), npm, { mode: 0o755 });
  const log = path.join(folder, 'npm.log');
  return {
    folder,
    path: tools,
    npmCalls: () => (fs.existsSync(log) ? fs.readFileSync(log, 'utf8').trimEnd().split('\n') : []),
  };
};

interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

const start = (
  tree: Tree,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  options: { cwd?: string; program?: string; uid?: number } = {},
): { child: ChildProcess; ended: Promise<Ended> } => {
  const child = spawn(options.program ?? path.join(tree.folder, 'fengni'), args, {
    cwd: options.cwd ?? tree.folder,
    env: { PATH: tree.path, LANG: 'C', NPM_LOG: path.join(tree.folder, 'npm.log'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  });
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (text: Buffer) => {
    stdout += text;
  });
  child.stderr?.on('data', (text: Buffer) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
  return { child, ended };
};

const run = (...parameters: Parameters<typeof start>): Promise<Ended> => start(...parameters).ended;

/** Waits for something that has to come; the bound is only there so that a failure does not take for ever. */
const until = async (condition: () => boolean): Promise<void> => {
  for (let tries = 0; !condition(); tries++) {
    assert.ok(tries < 3_000, `did not come: ${condition}`);
    await sleep(20);
  }
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const stamp = (tree: Tree): string => path.join(tree.folder, 'node_modules/.fengni-installed-lock');

test('the first start installs from the lock file and runs the command; the second asks neither npm nor node', async (t) => {
  const tree = createTree(t);
  const first = await run(tree, ['serve', '7', 'a b', '']);
  assert.equal(first.status, 7, first.stderr);
  const { args, cwd, cache, fds } = JSON.parse(first.stdout) as Record<string, unknown>;
  assert.deepEqual(args, ['serve', '7', 'a b', '']);
  assert.equal(cwd, fs.realpathSync(tree.folder));
  assert.match(String(cache), /node_modules\/\.cache\/compile$/);
  assert.equal(fds, false, 'the lock is not handed on to the server');
  assert.match(first.stderr, /first start: installing Node 26/);
  const [call = ''] = tree.npmCalls();
  for (const option of [
    'ci',
    '--include=optional',
    '--include=dev',
    '--ignore-scripts',
    '--prefer-offline',
  ]) {
    assert.ok(call.split(' ').includes(option), option);
  }
  fs.rmSync(path.join(tree.path, 'node'));
  fs.rmSync(path.join(tree.path, 'npm'));
  const second = await run(tree, ['x']);
  assert.deepEqual([second.status, second.stderr], [0, '']);
  assert.equal(tree.npmCalls().length, 1);
});

test('it works through a symbolic link, from another folder', async (t) => {
  const tree = createTree(t);
  const elsewhere = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni elsewhere-'));
  t.after(() => fs.rmSync(elsewhere, { recursive: true }));
  const link = path.join(elsewhere, 'a link');
  fs.symlinkSync(path.join(tree.folder, 'fengni'), link);
  const ended = await run(tree, ['x'], {}, { cwd: elsewhere, program: link });
  assert.equal(ended.status, 0, ended.stderr);
  assert.equal((JSON.parse(ended.stdout) as { cwd: string }).cwd, fs.realpathSync(elsewhere));
});

test('another lock file installs again, and a missing binary too (npm ci --omit=optional)', async (t) => {
  const tree = createTree(t);
  await run(tree, ['x']);
  fs.writeFileSync(path.join(tree.folder, 'package-lock.json'), '{ "lockfileVersion": 3, "other": true }');
  const other = await run(tree, ['x']);
  assert.deepEqual([other.status, tree.npmCalls().length], [0, 2]);
  assert.match(other.stderr, /another version: installing/);
  fs.rmSync(path.join(tree.folder, 'node_modules', nodePackage), { recursive: true });
  assert.deepEqual([(await run(tree, ['x'])).status, tree.npmCalls().length], [0, 3]);
});

test('two first starts at once: one installs, the other waits for it, both run', async (t) => {
  const tree = createTree(t);
  const both = await Promise.all([
    run(tree, ['x'], { NPM_MODE: 'slow' }),
    run(tree, ['x'], { NPM_MODE: 'slow', LANG: 'zh_CN.UTF-8' }),
  ]);
  for (const { status, stderr } of both) assert.equal(status, 0, stderr);
  assert.equal(tree.npmCalls().length, 1);
  const said = both.map(({ stderr }) => stderr).join('');
  assert.match(said, /Another start is installing; waiting|另一个启动正在安装/);
});

test('SIGTERM in the middle ends npm too, with status 143; the next start installs again', async (t) => {
  const tree = createTree(t);
  const { child, ended } = start(tree, ['x'], { NPM_MODE: 'hang' });
  const pidFile = path.join(tree.folder, 'npm.log.pid');
  await until(() => fs.existsSync(pidFile) && fs.readFileSync(pidFile, 'utf8').endsWith('\n'));
  child.kill('SIGTERM');
  assert.equal((await ended).status, 143);
  const npmPid = Number(fs.readFileSync(pidFile, 'utf8'));
  await until(() => !isAlive(npmPid));
  assert.ok(!fs.existsSync(stamp(tree)));
  assert.equal((await run(tree, ['x'])).status, 0);
  assert.equal(tree.npmCalls().length, 2);
});

test('killed in the middle: while the orphaned npm lives nobody starts a second one, then the next start installs', async (t) => {
  const tree = createTree(t);
  const { child, ended } = start(tree, ['x'], { NPM_MODE: 'hang' });
  const pidFile = path.join(tree.folder, 'npm.log.pid');
  await until(() => fs.existsSync(pidFile) && fs.readFileSync(pidFile, 'utf8').endsWith('\n'));
  const npmPid = Number(fs.readFileSync(pidFile, 'utf8'));
  const setupPid = Number(/^PPid:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${npmPid}/status`, 'utf8'))?.[1]);
  child.kill('SIGKILL');
  process.kill(setupPid, 'SIGKILL');
  const next = start(tree, ['x']);
  let said = '';
  next.child.stderr?.on('data', (text: Buffer) => {
    said += text;
  });
  await until(() => said.includes('Another start is installing'));
  assert.equal(tree.npmCalls().length, 1);
  process.kill(npmPid, 'SIGKILL');
  await ended;
  assert.equal((await next.ended).status, 0);
  assert.equal(tree.npmCalls().length, 2);
});

test('a failing npm is told with its cause and remedy, in both languages, status 3, and nothing counts as installed', async (t) => {
  const tree = createTree(t);
  const causes: [string, RegExp, RegExp][] = [
    [
      'npm error code EAI_AGAIN registry.npmjs.org',
      /registry cannot be reached.*start again/,
      /无法连接 npm 软件源/,
    ],
    ['npm error code ENOTCACHED', /registry cannot be reached/, /无法连接/],
    ['npm error ENOSPC: no space left on device', /disk is full/, /磁盘已满/],
    ["npm error EACCES: permission denied, mkdir '/x'", /may not write.*who owns/, /没有写入/],
    ['npm error SELF_SIGNED_CERT_IN_CHAIN', /certificate of the npm registry/, /证书/],
    ['npm error code EUSAGE ... are in sync', /do not agree/, /不一致/],
    ['npm error something else', /its own words are above/, /原因见上面/],
  ];
  for (const [says, english, chinese] of causes) {
    for (const [lang, expected] of [
      ['en_GB.UTF-8', english],
      ['zh_CN.UTF-8', chinese],
    ] as const) {
      const { status, stderr, stdout } = await run(tree, ['x'], {
        NPM_MODE: 'fail',
        NPM_SAYS: says,
        LANG: lang,
      });
      assert.equal(status, 3);
      assert.equal(stdout, '');
      assert.ok(stderr.includes(says), 'npm is quoted');
      assert.match(stderr, expected);
    }
  }
  assert.ok(!fs.existsSync(stamp(tree)));
});

test('no npm, no node, an old node: a sentence with the remedy, status 3', async (t) => {
  const noNpm = await run(createTree(t, ['npm']), ['x']);
  assert.equal(noNpm.status, 3);
  assert.match(noNpm.stderr, /npm is not installed.*apt install npm.*start again/);

  const bare = createTree(t, ['node', 'npm']);
  const noNode = await run(bare, ['x']);
  assert.equal(noNode.status, 3);
  assert.match(noNode.stderr, /Node is not installed.*apt install nodejs npm/);
  assert.match((await run(bare, ['x'], { LC_ALL: 'zh_TW' })).stderr, /没有安装 Node/);

  fs.writeFileSync(path.join(bare.path, 'node'), '#!/bin/sh\necho 12\n', { mode: 0o755 });
  const oldNode = await run(bare, ['x']);
  assert.equal(oldNode.status, 3);
  assert.match(oldNode.stderr, /Node is too old \(12\); the set-up needs Node 18 or newer/);
});

test('npm brings no Node that runs here: the own one is used when it is new enough, else status 3', async (t) => {
  const tree = createTree(t);
  const own = await run(tree, ['x'], { NPM_MODE: 'nonode' });
  // The binary is not there, so the next start looks again; this one runs on the system's Node, which is 26.
  assert.equal(own.status, 0, own.stderr);
  fs.rmSync(path.join(tree.path, 'node'));
  fs.writeFileSync(
    path.join(tree.path, 'node'),
    `#!/bin/sh\ncase "$*" in *process.versions*) echo 20 ;; *) exec "${process.execPath}" --import "data:text/javascript,Object.defineProperty(process,'execPath',{value:'$0'})" "$@" ;; esac\n`,
    { mode: 0o755 },
  );
  const old = await run(tree, ['x'], { NPM_MODE: 'nonode' });
  assert.equal(old.status, 3, old.stderr);
  assert.match(old.stderr, /no Node 26 from npm for this machine .* Install Node 26 or newer/);
});

test('a checkout that cannot be written names its owner and the remedy, status 3; once installed anybody may run it', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('needs root, to become another user');
  const tree = createTree(t);
  fs.chmodSync(tree.folder, 0o755);
  const refused = await run(tree, ['x'], {}, { uid: 65_534 });
  assert.equal(refused.status, 3);
  assert.match(refused.stderr, /cannot be written.*as its owner \(root\)/);
  assert.match((await run(tree, ['x'], { LANG: 'zh' }, { uid: 65_534 })).stderr, /无法写入目录/);
  await run(tree, ['x']);
  const ran = await run(tree, ['x'], {}, { uid: 65_534 });
  assert.equal(ran.status, 0, ran.stderr);
});

test('the launcher becomes the program: a signal reaches it, and its end is the launcher’s', async (t) => {
  const tree = createTree(t);
  await run(tree, ['x']);
  const { child, ended } = start(tree, ['wait']);
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  assert.match(fs.readFileSync(`/proc/${child.pid}/cmdline`, 'utf8'), /main\.ts\0wait/);
  child.kill('SIGTERM');
  assert.equal((await ended).signal, 'SIGTERM');
});
