import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { bindListener } from '../src/app/serve/listening-sockets.ts';
import { systemRandom } from '../src/base/clock/index.ts';
import { createLocalAuthority, issueServerCertificate } from '../src/net/tls/index.ts';
import { takeLock } from '../src/store/lock/index.ts';
import { freePort } from './support/free-port.ts';
import { fetchAll, original } from './support/mail-load.ts';
import { eventually, isAlive, rolesOf } from './support/processes.ts';
import { type Ended, makeFolder, type ServeOptions, ServeProcess } from './support/serve-process.ts';
import { sendMail } from './support/smtp-send.ts';

const nobody = 65_534;
const address = 'admin@fengni.test';
const languages = [
  ['en', 'C.UTF-8'],
  ['zh', 'zh_CN.UTF-8'],
] as const;

const isRoot = process.getuid?.() === 0;
/** What a machine does not allow is said, and never counted as passed. */
const needsRoot = (t: TestContext): boolean => {
  if (!isRoot) t.skip('could not run: needs root, to become another user');
  return isRoot;
};

/** A start that ends by itself, in both languages: its status, a sentence and what to do. */
const assertRefused = async (
  options: ServeOptions,
  expected: { status: 2 | 3; en: RegExp; zh: RegExp; remedy?: RegExp },
): Promise<void> => {
  for (const [language, lang] of languages) {
    const { status, stdout, stderr } = await new ServeProcess({ ...options, lang }).ended;
    assert.equal(status, expected.status, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, expected[language]);
    assert.match(stderr, language === 'en' ? /^What to do: /m : /^解决办法：/m);
    if (expected.remedy !== undefined && language === 'en') assert.match(stderr, expected.remedy);
    assert.doesNotMatch(stderr, /\n {4}at /, 'no stack trace');
  }
};

const assertOrderly = ({ status, signal, stdout, stderr }: Ended): void => {
  assert.deepEqual([status, signal, stdout], [0, null, 'ready\n'], stderr);
};

const message = (number: number, size = 200): string =>
  `Subject: message ${number}\r\n\r\n${`line of message ${number}\r\n`.repeat(Math.ceil(size / 20))}`;

const send = (port: number, octets: string): Promise<string> => sendMail({ port, to: address, octets });

const read = async (server: ServeProcess, port: number): Promise<string[]> => {
  const messages = await fetchAll({
    port,
    ca: fs.readFileSync(path.join(server.data, 'tls/ca.pem'), 'utf8'),
    user: address,
    password: server.password,
  });
  return messages.map((each) => original(each)?.octets ?? '');
};

test('a port in use is told with listener, address and port', async () => {
  const taken = net.createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as net.AddressInfo;
  try {
    await assertRefused(
      {
        data: path.join(makeFolder(), 'data'),
        toml: `[listen.imaps]\nport = ${port}\naddress = "127.0.0.1"`,
      },
      {
        status: 3,
        en: new RegExp(`taken by another program: \\[listen\\.imaps\\] 127\\.0\\.0\\.1:${port}`),
        zh: new RegExp(`端口已被其他程序占用：\\[listen\\.imaps\\] 127\\.0\\.0\\.1:${port}`),
        remedy: new RegExp(`ss -ltnp 'sport = :${port}'`),
      },
    );
  } finally {
    taken.close();
  }
});

test('a port below 1024 without the right to it is told, exit status 3', async (t) => {
  if (!needsRoot(t)) return;
  if (Number(fs.readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8')) < 1024)
    return t.skip('could not run: this machine lets everybody open ports below 1024');
  const folder = makeFolder(0o777);
  await assertRefused(
    { data: path.join(folder, 'data'), uid: nobody, toml: '[listen.smtp]\nport = 1023' },
    {
      status: 3,
      en: /may not be opened by this user: \[listen\.smtp\] 127\.0\.0\.1:1023/,
      zh: /当前用户无权打开此端口：\[listen\.smtp\] 127\.0\.0\.1:1023/,
      remedy: /let systemd open the port/,
    },
  );
});

test('a second server on the same folder names the process that holds it, also when the first was killed and its writer lingers', async () => {
  const data = path.join(makeFolder(), 'data');
  const ports = { smtp: await freePort(), https: await freePort() };
  const options = {
    data,
    toml: `[listen.smtp]\nport = ${ports.smtp}\n[listen.https]\nport = ${ports.https}`,
  };
  const first = new ServeProcess(options);
  await first.ready();
  const told = (pid: number) => ({
    status: 3 as const,
    en: new RegExp(`Another server uses this data folder: ${data} \\(pid ${pid}\\)`),
    zh: new RegExp(`此数据目录正被另一个服务器使用：${data} \\(pid ${pid}\\)`),
    remedy: new RegExp(`kill ${pid}`),
  });
  await assertRefused(options, told(first.pid));

  const roles = rolesOf(first.pid);
  const writer = roles.get('writer') ?? 0;
  process.kill(writer, 'SIGSTOP');
  first.child.kill('SIGKILL');
  await first.exited;
  await assertRefused(options, told(writer));
  process.kill(writer, 'SIGCONT');
  // At once: whoever still has the lock or a port is waited for.
  const next = new ServeProcess(options);
  assert.equal((await next.ready())['smtp'], ports.smtp);
  assert.match(await send(ports.smtp, message(1)), /^250 2\.0\.0 Ok/);
  assertOrderly(await next.stop());
  assert.ok([...roles.values()].every((pid) => !isAlive(pid)));
});

test('two first starts side by side: on folders of their own both come up; on one port only one does, and the other says so', async () => {
  const both = [1, 2].map(() => new ServeProcess({ data: path.join(makeFolder(), 'data') }));
  const ports = await Promise.all(both.map((each) => each.ready()));
  const [ours, theirs] = ports.map((each) => Object.keys(each).toSorted());
  assert.deepEqual(ours, ['https', 'imap', 'imaps', 'lmtp', 'metrics', 'pop3', 'pop3s', 'smtp']);
  assert.deepEqual(theirs, ours);
  assert.equal(new Set(ports.flatMap((each) => Object.values(each))).size, 16, 'no port is given twice');
  for (const ended of await Promise.all(both.map((each) => each.stop('SIGINT')))) assertOrderly(ended);

  const port = await freePort();
  const toml = `[listen.smtp]\nport = ${port}\naddress = "127.0.0.1"`;
  const rivals = [1, 2].map(() => new ServeProcess({ data: path.join(makeFolder(), 'data'), toml }));
  const outcomes = await Promise.all(
    rivals.map((each) =>
      each.ready().then(
        () => 'ready',
        () => 'ended',
      ),
    ),
  );
  assert.deepEqual(outcomes.toSorted(), ['ended', 'ready'], rivals.map(({ stderr }) => stderr).join('---\n'));
  const [winner, loser] = outcomes[0] === 'ready' ? rivals : rivals.toReversed();
  assert.ok(winner !== undefined && loser !== undefined);
  const { status, stderr } = await loser.ended;
  assert.equal(status, 3, stderr);
  assert.match(stderr, new RegExp(`taken by another program: \\[listen\\.smtp\\] 127\\.0\\.0\\.1:${port}`));
  assert.match(await send(port, message(1)), /^250/);
  assertOrderly(await winner.stop());
});

test('a data folder that this user may not write, or that is another’s, is told; nothing is made', async (t) => {
  if (!needsRoot(t)) return;
  const folder = makeFolder();
  await assertRefused(
    { data: path.join(folder, 'data'), uid: nobody },
    {
      status: 3,
      en: new RegExp(`may not write the data folder: ${folder}/data`),
      zh: new RegExp(`当前用户不能写入数据目录：${folder}/data`),
      remedy: /--data DIR/,
    },
  );
  assert.deepEqual(fs.readdirSync(folder), []);

  fs.mkdirSync(path.join(folder, 'data'), { mode: 0o755 });
  await assertRefused(
    { data: path.join(folder, 'data'), uid: nobody },
    { status: 3, en: /belongs to another user: .*data \(uid 0\)/, zh: /属于另一个用户：.*data \(uid 0\)/ },
  );
  // The other way round, too: root does not take a folder from its owner for somebody else.
  fs.chownSync(path.join(folder, 'data'), 1, 1);
  await assertRefused(
    { data: path.join(folder, 'data'), toml: '[server]\nuser = "nobody"' },
    { status: 3, en: /belongs to another user: .*data \(uid 1\)/, zh: /属于另一个用户：.*data \(uid 1\)/ },
  );
  assert.deepEqual(fs.readdirSync(path.join(folder, 'data')), []);
});

test('a file in the data folder that root left behind is named', async (t) => {
  if (!needsRoot(t)) return;
  const data = path.join(makeFolder(), 'data');
  fs.mkdirSync(data);
  fs.chownSync(data, nobody, nobody);
  fs.writeFileSync(path.join(data, 'index.db'), '');
  await assertRefused(
    { data, uid: nobody },
    { status: 3, en: /belongs to another user: .*\/index\.db \(uid 0\)/, zh: /属于另一个用户：.*index\.db/ },
  );
});

test('a data folder that is a file, or below one, is told', async () => {
  const file = path.join(makeFolder(), 'data');
  fs.writeFileSync(file, 'mine', { mode: 0o644 });
  for (const data of [file, path.join(file, 'below')]) {
    await assertRefused(
      { data },
      {
        status: 3,
        en: /is a file, or lies below one: .*data/,
        zh: /数据目录是一个文件，或位于某个文件之下：/,
      },
    );
  }
  if (isRoot) {
    await assertRefused(
      { data: file, toml: '[server]\nuser = "nobody"' },
      { status: 3, en: /is a file, or lies below one: .*data/, zh: /数据目录是一个文件/ },
    );
  }
  assert.equal(fs.readFileSync(file, 'utf8'), 'mine');
  assert.equal(fs.statSync(file).mode & 0o777, 0o644);
  assert.equal(fs.statSync(file).uid, process.getuid?.());
});

/** A small disk of its own, or null where this machine does not let us mount. */
const mountDisk = (t: TestContext, size: string): string | null => {
  const folder = makeFolder();
  const mounted =
    isRoot && spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]).status === 0;
  if (!mounted) {
    t.skip('could not run: no right to mount a small disk here');
    return null;
  }
  t.after(() => {
    spawnSync('umount', ['-l', folder]);
  });
  return folder;
};

/** Writes until nothing fits any more. */
const fill = (file: string): void => {
  const descriptor = fs.openSync(file, 'w');
  try {
    for (let size = 1 << 20; size >= 1; size >>= 4) {
      for (;;) {
        try {
          if (fs.writeSync(descriptor, Buffer.alloc(size)) < size) break;
        } catch {
          break;
        }
      }
    }
  } finally {
    fs.closeSync(descriptor);
  }
};

test('a full disk at the start is told, wherever it is met', async (t) => {
  for (const size of ['4k', '64k', '200k']) {
    const disk = mountDisk(t, size);
    if (disk === null) return;
    await assertRefused(
      { data: path.join(disk, 'data') },
      {
        status: 3,
        en: /The disk is full: /,
        zh: /磁盘已满：/,
        remedy: /(?:make room|free space) on the disk/,
      },
    );
  }
});

test('a disk that fills up while mail comes in: 452 before, 451 at the end; with room again mail flows and nothing acknowledged is lost', async (t) => {
  const disk = mountDisk(t, '48m');
  if (disk === null) return;
  const server = new ServeProcess({ data: path.join(disk, 'data'), toml: '[limits]\nfree_min = "0B"\n' });
  const { smtp = 0, pop3s = 0 } = await server.ready();
  const acknowledged: string[] = [];
  const attempt = async (octets: string, beforeEnd?: () => void): Promise<string> => {
    const options = { port: smtp, to: address, octets };
    const reply = await sendMail(beforeEnd === undefined ? options : { ...options, beforeEnd });
    if (reply.startsWith('250')) acknowledged.push(octets);
    return reply;
  };
  for (let number = 0; number < 5; number++) assert.match(await attempt(message(number, 20_000)), /^250/);

  // Abruptly, in the middle of a message: that one is refused for now, and nothing else is said until there is room.
  const filler = path.join(disk, 'filler');
  let refused = '';
  for (let number = 10; number < 40 && refused === ''; number++) {
    const reply = await attempt(message(number, 100_000), () => fill(filler));
    if (!reply.startsWith('250')) refused = reply;
  }
  assert.match(refused, /^45[12] 4\.3\.[01] /);
  await eventually('new mail is refused at once', async () =>
    /^452 4\.3\.1 /.test(await attempt(message(50))),
  );
  fs.rmSync(filler);
  await eventually(
    'mail flows again',
    async () => /^250/.test(await attempt(message(60)).catch(() => '')),
    60_000,
  );
  assert.match(await attempt(message(61)), /^250/);
  assert.equal(server.child.exitCode, null, 'the server went on');
  assert.deepEqual((await read(server, pop3s)).toSorted(), acknowledged.toSorted());
  assertOrderly(await server.stop());
});

test('a data folder of a newer version is left as it is; one with a damaged FORMAT too', async () => {
  const data = path.join(makeFolder(), 'data');
  fs.mkdirSync(data, { mode: 0o700 });
  fs.writeFileSync(path.join(data, 'FORMAT'), 'fengni data\nversion 3\nshard 0\noldest-writer 2\n');
  await assertRefused(
    { data },
    {
      status: 3,
      en: /written by a newer Fengni: .*FORMAT \(2 > 1\)/,
      zh: /更新版本的封泥写的：/,
      remedy: /upgrade/,
    },
  );
  assert.deepEqual(fs.readdirSync(data), ['FORMAT']);
  fs.writeFileSync(path.join(data, 'FORMAT'), 'something else\n');
  await assertRefused({ data }, { status: 3, en: /does not say which format/, zh: /没有说明数据目录的格式/ });
  assert.deepEqual(fs.readdirSync(data), ['FORMAT']);
});

test('root that cannot be given up stays on loopback with one warning, and is refused on a public address', async (t) => {
  if (!needsRoot(t)) return;
  const data = path.join(makeFolder(0o700), 'data');
  const toml = '[server]\nuser = "nobody"\n';
  const server = new ServeProcess({ data, toml });
  await server.ready();
  const warnings = server.events('running as root on loopback');
  assert.equal(warnings.length, 1);
  assert.equal(warnings[0]?.['level'], 'warn');
  assert.match(String(warnings[0]?.['why']), /"nobody" cannot come to the data folder: .* is closed to it/);
  assertOrderly(await server.stop());
  await assertRefused(
    { data, toml: `${toml}[listen.smtp]\nport = 0\naddress = "0.0.0.0"` },
    {
      status: 3,
      en: /will not run as root here: user "nobody" cannot come to the data folder/,
      zh: /服务器不会在此以 root 运行：用户 nobody 不能到达数据目录：/,
      remedy: /adduser --system --group fengni/,
    },
  );
  await assertRefused(
    { data, toml: '[server]\nuser = "no-such-user"' },
    { status: 2, en: /There is no such user: .*no-such-user/, zh: /用户/ },
  );
});

const makeCertificate = (folder: string, name: string): { cert: string; key: string; pem: string } => {
  const nowMs = Date.now();
  const authority = createLocalAuthority({ domains: ['localhost'], nowMs, random: systemRandom });
  const pair = issueServerCertificate({ authority, names: ['localhost'], nowMs, random: systemRandom });
  const files = { cert: path.join(folder, `${name}.pem`), key: path.join(folder, `${name}.key`) };
  fs.writeFileSync(files.cert, pair.cert, { mode: 0o644 });
  fs.writeFileSync(files.key, pair.key, { mode: 0o600 });
  return { ...files, pem: pair.cert };
};

/** The certificate that a new connection gets. */
const served = (port: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().raw);
      socket.destroy();
    });
    socket.once('error', reject);
  });

const der = (pem: string): Buffer =>
  Buffer.from(/-----BEGIN CERTIFICATE-----([^-]+)-----/.exec(pem)?.[1] ?? '', 'base64');

const statusOf = (pid: number): string => fs.readFileSync(`/proc/${pid}/status`, 'utf8');

test('root is given up: every process and file is the user’s, low ports and root’s TLS key work, roles come back', async (t) => {
  if (!needsRoot(t)) return;
  const folder = makeFolder();
  const data = path.join(folder, 'not', 'there', 'data');
  // Made by root, used by it, and handed over by the next start.
  const asRoot = new ServeProcess({ data, toml: '[server]\nuser = "root"' });
  const before = await asRoot.ready();
  assert.match(await send(before['smtp'] ?? 0, message(1)), /^250/);
  assertOrderly(await asRoot.stop());
  fs.chmodSync(path.join(folder, 'not'), 0o755);
  fs.chmodSync(path.join(folder, 'not', 'there'), 0o755);

  const { cert, key, pem } = makeCertificate(folder, 'own');
  const low = [1021, 1019, 1017].find((port) => {
    const held = bindListener(listener('probe', port), []);
    for (const each of held) each.close();
    return held.length > 0;
  });
  const server = new ServeProcess({
    data,
    toml: `[server]\nuser = "nobody"\n[listen.pop3s]\nport = ${low}\naddress = "127.0.0.1"\n[[tls.certificate]]\ncert = "${cert}"\nkey = "${key}"`,
  });
  const { smtp = 0, pop3s = 0 } = await server.ready();
  assert.equal(pop3s, low);
  assert.deepEqual(await served(pop3s), der(pem));
  const roles = rolesOf(server.pid);
  assert.equal(roles.size, 6);
  for (const pid of [server.pid, ...roles.values()]) {
    assert.match(statusOf(pid), /^Uid:\t65534\t65534\t65534\t65534$/m);
    assert.match(statusOf(pid), /^Groups:\t ?$/m);
    assert.match(statusOf(pid), /^CapEff:\t0+$/m);
  }
  const foreign = fs
    .readdirSync(data, { recursive: true, encoding: 'utf8' })
    .filter((name) => fs.lstatSync(path.join(data, name)).uid !== nobody);
  assert.deepEqual(foreign, []);
  assert.match(await send(smtp, message(2)), /^250/);
  for (const pid of roles.values()) process.kill(pid, 'SIGKILL');
  await eventually('mail flows', async () => /^250/.test(await send(smtp, message(3)).catch(() => '')));
  await eventually('TLS is served', async () => (await served(pop3s).catch(() => null)) !== null);
  assert.deepEqual(await served(pop3s), der(pem));

  assert.match(
    String(server.events('SIGHUP will not be able to read TLS files again')[0]?.['files']),
    new RegExp(key),
  );
  server.child.kill('SIGHUP');
  await eventually('it says so', () => server.events('reload failed, the old certificates stay').length > 0);
  assert.match(
    String(server.events('reload failed, the old certificates stay')[0]?.['error']),
    new RegExp(`tls-file-unreadable: ${key}: EACCES`),
  );
  assert.deepEqual(await served(pop3s), der(pem));
  assertOrderly(await server.stop());
});

test('a first start as root makes folders that the user can come through', async (t) => {
  if (!needsRoot(t)) return;
  const data = path.join(makeFolder(), 'srv', 'mail');
  const server = new ServeProcess({ data, toml: '[server]\nuser = "nobody"', shell: 'umask 077; exec "$@"' });
  const { smtp = 0 } = await server.ready();
  assert.match(statusOf(server.pid), /^Uid:\t65534/m);
  assert.match(await send(smtp, message(1)), /^250/);
  assert.equal(fs.statSync(data).mode & 0o777, 0o700);
  assertOrderly(await server.stop());
});

test('certificates are read again at SIGHUP; a broken file leaves the old ones; an unreadable one ends a start with 2', async () => {
  const folder = makeFolder();
  const [one, two] = [makeCertificate(folder, 'one'), makeCertificate(folder, 'two')];
  const cert = path.join(folder, 'server.pem');
  const key = path.join(folder, 'server.key');
  const install = (from: typeof one): void => {
    fs.copyFileSync(from.key, key);
    fs.copyFileSync(from.cert, cert);
  };
  install(one);
  const toml = `[[tls.certificate]]\ncert = "${cert}"\nkey = "${key}"`;
  const data = path.join(folder, 'data');
  const server = new ServeProcess({ data, toml });
  const { imaps = 0, https = 0 } = await server.ready();
  assert.deepEqual(await served(imaps), der(one.pem));
  install(two);
  server.child.kill('SIGHUP');
  for (const port of [imaps, https])
    await eventually('the new one is served', async () => (await served(port)).equals(der(two.pem)));
  fs.writeFileSync(cert, 'no certificate');
  server.child.kill('SIGHUP');
  await eventually('told', () => server.events('reload failed, the old certificates stay').length === 1);
  assert.match(
    String(server.events('reload failed, the old certificates stay')[0]?.['error']),
    /tls-certificate/,
  );
  assert.deepEqual(await served(imaps), der(two.pem));
  install(one);
  server.child.kill('SIGHUP');
  await eventually('the next one counts', async () => (await served(imaps)).equals(der(one.pem)));
  assertOrderly(await server.stop());

  fs.rmSync(key);
  await assertRefused(
    { data, toml },
    { status: 2, en: /A TLS file cannot be read: .*server\.key/, zh: /TLS.*server\.key/ },
  );
  fs.copyFileSync(two.key, key);
  await assertRefused(
    { data, toml },
    { status: 2, en: /private key does not belong to the certificate/, zh: /私钥/ },
  );
});

test('a wrong configuration or command line is exit status 2', async () => {
  const data = path.join(makeFolder(), 'data');
  await assertRefused(
    { data, toml: '[smtp]\nsize_maximum = 3' },
    { status: 2, en: /size_maximum/, zh: /size_maximum/ },
  );
  await assertRefused({ data, toml: '[listen.smtp]\nport = 70000' }, { status: 2, en: /70000/, zh: /70000/ });
  await assertRefused({ data, toml: '[server' }, { status: 2, en: /fengni\.toml/, zh: /fengni\.toml/ });
  await assertRefused({ data, args: ['--no-such'] }, { status: 2, en: /--no-such/, zh: /--no-such/ });
  assert.ok(!fs.existsSync(data));
});

test('SIGTERM and SIGINT end a start that is not ready yet, with 0, and the next one comes up', async () => {
  const data = path.join(makeFolder(), 'data');
  const moments: [string, NodeJS.Signals, (server: ServeProcess) => boolean][] = [
    ['the folder is made', 'SIGTERM', () => fs.existsSync(path.join(data, 'FORMAT'))],
    ['the first role is ready', 'SIGINT', (server) => server.events('role ready').length > 0],
    ['most roles are ready', 'SIGTERM', (server) => server.events('role ready').length > 3],
  ];
  for (const [what, signal, has] of moments) {
    const server = new ServeProcess({ data });
    await eventually(what, () => has(server));
    const roles = rolesOf(server.pid);
    const { status, stderr } = await server.stop(signal);
    assert.equal(status, 0, `${what}: ${stderr}`);
    assert.ok([...roles.values()].every((pid) => !isAlive(pid)));
    const lock = takeLock(path.join(data, 'lock'));
    assert.equal(lock.kind, 'taken');
    if (lock.kind === 'taken') lock.lock.release();
  }
  const server = new ServeProcess({ data });
  const { smtp = 0, pop3s = 0 } = await server.ready();
  assert.match(await send(smtp, message(1)), /^250/);
  assert.deepEqual(await read(server, pop3s), [message(1)]);
  assertOrderly(await server.stop());
});

test('a data folder with a long path, blanks and Chinese characters works', async () => {
  const data = path.join(makeFolder(), '封泥 的 数据', 'x'.repeat(120), '一 "二" 三');
  const server = new ServeProcess({ data });
  const { smtp = 0, pop3s = 0 } = await server.ready();
  assert.match(await send(smtp, message(1)), /^250/);
  assert.deepEqual(await read(server, pop3s), [message(1)]);
  const roles = rolesOf(server.pid);
  for (const pid of roles.values()) process.kill(pid, 'SIGKILL');
  await eventually(
    'it can be read again',
    async () => (await read(server, pop3s).catch(() => [])).length === 1,
  );
  assertOrderly(await server.stop());
});

const listener = (name: string, port: number) => ({
  name,
  service: 'smtp' as const,
  addresses: ['127.0.0.1'],
  addressesAreDefault: false,
  port,
  tls: 'starttls' as const,
  socketMode: 0o660,
  proxyFrom: [],
});

test('sockets that systemd hands over by name are used in place of opening ports (sd_listen_fds(3))', async () => {
  const [handed, other] = [bindListener(listener('smtp', 0), []), bindListener(listener('other', 0), [])];
  const [first] = handed;
  assert.ok(first !== undefined);
  // What the configuration says of address and port does not matter then; not even that port 1 would be forbidden.
  const toml = '[listen.smtp]\nport = 1\naddress = "192.0.2.1"\n';
  const shell = 'LISTEN_PID=$$ exec "$@"';
  const server = new ServeProcess({
    data: path.join(makeFolder(), 'data'),
    toml,
    descriptors: [first.descriptor],
    env: { LISTEN_FDS: '1', LISTEN_FDNAMES: 'smtp' },
    shell: `export ${shell.replace(' exec', '; exec')}`,
  });
  const ports = await server.ready();
  assert.equal(ports['smtp'], first.port);
  assert.match(await send(first.port, message(1)), /^250/);
  const mx = rolesOf(server.pid).get('mx') ?? 0;
  process.kill(mx, 'SIGKILL');
  assert.match(await send(first.port, message(2)), /^250/, 'a connection waits while the role restarts');
  assertOrderly(await server.stop());

  await assertRefused(
    {
      data: path.join(makeFolder(), 'data'),
      descriptors: [other[0]?.descriptor ?? -1],
      env: { LISTEN_FDS: '1', LISTEN_FDNAMES: 'fengni.socket' },
      shell: 'export LISTEN_PID=$$; exec "$@"',
    },
    {
      status: 2,
      en: /no listener asks for: .*"fengni\.socket"/,
      zh: /没有对应的监听/,
      remedy: /FileDescriptorName=/,
    },
  );
  for (const each of [...handed, ...other]) each.close();
});
