import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { takeLock } from '#store/lock';
import { type CliOptions, type CliOutcome, cli as runCli } from './support/cli.ts';
import { runFengni, startServer, type TestServer } from './support/server.ts';
import { fetchMaildrop } from './support/smtp-client.ts';

// The commands without a server: they open the data folder themselves, under its lock; and what a person does after a loss.

let server: TestServer;

const cli = (argv: readonly string[], options: CliOptions = {}): Promise<CliOutcome> =>
  runCli([...argv, '--data', server.data, '--config', server.toml], options);
const good = async (argv: readonly string[], options: CliOptions = {}): Promise<string> => {
  const { status, stdout, stderr } = await cli(argv, options);
  assert.equal(status, 0, `${argv.join(' ')}: ${stderr}`);
  return stdout;
};
const deliver = async (subject: string): Promise<{ id: string; mail: string }> => {
  const mail = `Subject: ${subject}\r\n\r\nx\r\n`;
  const { id } = JSON.parse(await good(['deliver', 'bob@fengni.test', '--json'], { stdin: mail })) as {
    id: string;
  };
  return { id, mail };
};
/** the receipt of a message is good under the keys that the log names now */
const assertProved = async ({ id, mail }: { id: string; mail: string }): Promise<void> => {
  const file = (name: string, octets: string): string => {
    const at = path.join(server.folder, name);
    fs.writeFileSync(at, octets);
    return at;
  };
  const receipt = path.join(server.folder, 'receipt');
  await good(['receipt', id, '-o', receipt]);
  const verified = await runCli([
    'verify-receipt',
    receipt,
    file('mail.eml', mail),
    '--key',
    file('key', await good(['log', 'key'])),
  ]);
  assert.equal(verified.status, 0, verified.stdout);
};
const uidNextOf = (dump: string): number[] =>
  [...dump.matchAll(/^mailbox .* uidnext (\d+) /gm)].map(([, uid]) => Number(uid));

before(async () => {
  server = await startServer();
  await server.stop();
});

test('a folder that is not there, is empty, or belongs to somebody else: 3 with a plain sentence, from every command', async (t) => {
  const empty = path.join(server.folder, 'empty');
  fs.mkdirSync(empty);
  const commands = [
    ['status'],
    ['domain', 'list'],
    ['domain', 'add', 'example.org'],
    ['account', 'list'],
    ['alias', 'list'],
    ['deliver', 'a@b.example'],
    ['show', 'a'.repeat(26)],
    ['receipt', 'a'.repeat(26), '-o', '-'],
    ['log', 'key'],
    ['log', 'checkpoint'],
    ['log', 'new-generation'],
    ['log', 'rotate-key'],
    ['index', 'dump'],
    ['index', 'rebuild'],
  ];
  for (const command of commands) {
    for (const folder of [empty, path.join(empty, 'none')]) {
      const { status, stderr, stdout } = await runCli([...command, '--data', folder], { stdin: 'x\n' });
      assert.deepEqual([status, stdout], [3, ''], command.join(' '));
      assert.match(stderr, /There is no data folder here: .*\nWhat to do: start the server once/);
    }
    const chinese = await runCli([...command, '--data', empty], { stdin: 'x\n', lang: 'zh_CN.UTF-8' });
    assert.match(chinese.stderr, /解决办法：/);
  }
  assert.deepEqual(fs.readdirSync(empty), [], 'nothing was made there');
  if (process.geteuid?.() !== 0) {
    t.diagnostic('the folder of another user is tried as root only');
    return;
  }
  fs.chownSync(empty, 12_345, 12_345);
  for (const command of commands) {
    const { status, stderr } = await runCli([...command, '--data', empty], { stdin: 'x\n' });
    assert.equal(status, 3, command.join(' '));
    assert.match(
      stderr,
      /it belongs to .*\nWhat to do: run the command as the owner of the data folder: sudo -u /,
    );
  }
});

test('status without a server is 3, with what to do', async () => {
  const { status, stderr } = await cli(['status']);
  assert.equal(status, 3);
  assert.match(stderr, /No server runs on this data folder.*\nWhat to do: start it: fengni serve/);
});

test('without a server accounts, aliases and mail are written all the same, and a server has them afterwards', async () => {
  await good(['account', 'add', 'bob@fengni.test', '--password-stdin'], { stdin: 'offline secret\n' });
  await good(['alias', 'add', 'team@fengni.test', 'bob@fengni.test']);
  const sent = await deliver('offline');
  assert.match(await good(['show', sent.id]), /under the signed head of/);
  await assertProved(sent);
  assert.equal(fs.statSync(path.join(server.data, 'state.db')).mode & 0o077, 0);
  await server.start();
  const login = { user: 'bob@fengni.test', password: 'offline secret' };
  const [stored = ''] = await fetchMaildrop({ port: server.ports.pop3s, ca: server.ca }, login);
  assert(stored.endsWith(sent.mail));
  await assertProved(sent);
  await server.stop();
});

test('two commands side by side take turns', async () => {
  const outcomes = await Promise.all(
    ['one', 'two'].map((name) =>
      runFengni(['domain', 'add', `${name}.example.org`, '--config', server.toml, '--data', server.data]),
    ),
  );
  assert.deepEqual(
    outcomes.map(({ status, stderr }) => [status, stderr]),
    [
      [0, ''],
      [0, ''],
    ],
  );
  assert.match(await good(['domain', 'list']), /one\.example\.org\ntwo\.example\.org/);
});

test('a rebuilt index, and one that was deleted, answer the same (FORMATS §1)', async () => {
  const dump = await good(['index', 'dump']);
  assert.match(dump, /^email e.* preview "x" /m);
  const told = await cli(['index', 'rebuild']);
  assert.equal(told.status, 0, told.stderr);
  assert.match(told.stdout, /^The index was made again, up to seq \d+: 1 messages\.\n$/);
  assert.equal(await good(['index', 'dump']), dump);
  for (const name of ['index.db', 'state.db']) fs.rmSync(path.join(server.data, name));
  const missing = await cli(['index', 'dump']);
  assert.equal(missing.status, 3);
  assert.match(missing.stderr, /What to do: run "fengni index rebuild"; nothing is lost/);
  assert.equal(
    fs.existsSync(path.join(server.data, 'index.db')),
    false,
    'a command that reads makes no database',
  );
  await good(['index', 'rebuild']);
  assert.equal(await good(['index', 'dump']), dump);
});

test('while another command holds the folder an index is not rebuilt', async () => {
  const held = takeLock(path.join(server.data, 'lock'));
  assert(held.kind === 'taken');
  try {
    const { status, stderr } = await cli(['index', 'rebuild']);
    assert.equal(status, 3);
    assert.match(stderr, /is held by/);
  } finally {
    held.lock.release();
  }
});

test('a whole log has no loss to accept: new-generation changes nothing', async () => {
  const checkpoint = await good(['log', 'checkpoint']);
  assert.match(await good(['log', 'new-generation']), /no loss to accept, and nothing was changed/);
  assert.match(await good(['log', 'new-generation'], { lang: 'zh_CN.UTF-8' }), /没有需要承认的丢失/);
  assert.equal(await good(['log', 'checkpoint']), checkpoint);
});

test('where the sealer is a service of its own and does not answer, nothing is changed', async () => {
  const toml = path.join(server.folder, 'elsewhere.toml');
  fs.writeFileSync(toml, '[sealer]\nsocket = "/no/such/sealer"\n');
  const checkpoint = await good(['log', 'checkpoint']);
  for (const command of ['new-generation', 'rotate-key']) {
    const outcome = await runCli(['log', command, '--data', server.data, '--config', toml]);
    assert.equal(outcome.status, 3);
    assert.match(outcome.stderr, /The sealer does not answer.*\nWhat to do: start the sealer/);
  }
  assert.equal(await good(['log', 'checkpoint']), checkpoint);
});

test('a log that was rolled back is refused, naming new-generation; that begins again without a number used twice', async () => {
  const kept = await deliver('kept');
  const parts = ['segments', 'keys', 'ledger'];
  const copy = path.join(server.folder, 'copy');
  for (const part of parts)
    fs.cpSync(path.join(server.data, part), path.join(copy, part), { recursive: true });
  const before = uidNextOf(await good(['index', 'dump']));
  const lost = await deliver('lost');
  const signed = await good(['log', 'checkpoint']);
  for (const part of parts) {
    fs.rmSync(path.join(server.data, part), { recursive: true });
    fs.cpSync(path.join(copy, part), path.join(server.data, part), { recursive: true });
  }

  await assert.rejects(
    server.start(),
    /status 3[\s\S]*older than what was signed[\s\S]*fengni log new-generation/,
  );
  const refused = await cli(['deliver', 'bob@fengni.test'], { stdin: 'x\n' });
  assert.equal(refused.status, 3);
  assert.match(refused.stderr, /The log is older than what was signed/);

  // A sealer that cannot make its next key is found out before the log is changed.
  const obstacle = path.join(server.data, 'sealer/g2.key.new');
  const segments = fs.readdirSync(path.join(server.data, 'segments'));
  fs.mkdirSync(obstacle);
  assert.equal((await cli(['log', 'new-generation'])).status, 3);
  assert.deepEqual(fs.readdirSync(path.join(server.data, 'segments')), segments);
  fs.rmdirSync(obstacle);
  assert.match(await good(['log', 'new-generation']), /^Generation 2 of the log has begun\./);

  assert.match(await good(['log', 'key']), /g1\+\S+ seq 1-(\d+)\n.*g2\+\S+ seq 429496\d{4}-\n$/);
  const shown = await good(['log', 'show']);
  const [, size, root] = signed.split('\n');
  assert.match(shown, /^0 gap seq \d+ \S+ before \d+ after \d+ uids 1048576 modSeqs 4294967296$/m);
  assert(
    shown.includes(`genesis seq`) && shown.includes(`previous mail.fengni.test/fengni/s0/g1 ${size} ${root}`),
    shown,
  );
  assert.deepEqual(
    uidNextOf(await good(['index', 'dump'])),
    before.map((uid) => uid + 2 ** 20),
  );
  assert.equal((await cli(['show', lost.id])).status, 2, 'what was lost is in no index any more');

  const after = await deliver('after');
  await assertProved(after);
  await assertProved(kept);
  const dump = await good(['index', 'dump']);
  await good(['index', 'rebuild']);
  assert.equal(await good(['index', 'dump']), dump);
  assert.match(await good(['log', 'new-generation']), /nothing was changed/);
  await server.start();
  const value = JSON.parse(await good(['status', '--json'])) as {
    good: boolean;
    writer: { generation: number };
  };
  assert.deepEqual([value.good, value.writer.generation], [true, 2]);
  await server.stop();
});

test('a sealer that lost its memory: mail flows, and new-generation gives the log another key', async () => {
  fs.rmSync(path.join(server.data, 'sealer/state'));
  const unsealed = await deliver('without a sealer');
  const pending = await cli(['receipt', unsealed.id, '-o', '-']);
  assert.equal(pending.status, 3);
  assert.match(pending.stderr, /No signed head covers this message yet/);
  const told = JSON.parse(await good(['log', 'new-generation', '--json'])) as {
    kind: string;
    generation: number;
    sealerFolderKept: string;
  };
  assert.deepEqual([told.kind, told.generation], ['begun', 3]);
  assert(fs.existsSync(path.join(told.sealerFolderKept, 'g2.key')));
  await assertProved(await deliver('under the new key'));
  assert.match(await good(['log', 'key']), /\/g3\+/);
});
