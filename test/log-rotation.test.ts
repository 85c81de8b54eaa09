import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { openSealerOver, serveSealer } from '#app/sealer';
import { systemClock } from '#base/clock';
import { createLogger } from '#base/logger';
import { listenOnPath } from '#net/ipc';
import { cli as runCli } from './support/cli.ts';
import { needPrograms } from './support/debian.ts';
import { startServer } from './support/server.ts';

// A planned key rotation where the sealer is a child of the server: `fengni log rotate-key`. Receipts of both generations are shown to the
// four verifiers, which share no code, with the whole list of keys and with one key alone.

const silentLogger = createLogger({
  clock: systemClock,
  level: 'error',
  form: 'json',
  write: () => {},
  fields: {},
});
const docs = path.resolve(import.meta.dirname, '../docs');

test('a rotated key: the log hands over without a gap, and receipts of both generations verify (FORMATS §5)', async (t) => {
  needPrograms('go');
  const server = await startServer();
  await server.stop();
  const at = (name: string): string => path.join(server.folder, name);
  const cli = (...args: string[]) => runCli([...args, '--data', server.data, '--config', server.toml]);
  const good = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await cli(...args);
    assert.equal(status, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const deliver = async (name: string): Promise<void> => {
    const mail = `Subject: ${name}\r\n\r\nx\r\n`;
    fs.writeFileSync(at(`${name}.eml`), mail);
    const { stdout, status, stderr } = await runCli(
      ['deliver', server.address, '--json', '--data', server.data, '--config', server.toml],
      { stdin: mail },
    );
    assert.equal(status, 0, stderr);
    await good('receipt', (JSON.parse(stdout) as { id: string }).id, '-o', at(`${name}.tlog-proof`));
  };

  await deliver('old');
  const oldKey = (await good('log', 'key')).trimEnd();
  const uidNext = /uidnext \d+/.exec(await good('index', 'dump'))?.[0];
  assert.notEqual(uidNext, undefined);

  // The sealer goes between the log's new generation and its own: the same command again brings it along.
  const sealer = path.join(server.data, 'sealer');
  const allowed = (await good('sealer', 'allow', 'rotation', '--state', sealer)).trimEnd().split('\n').at(-1);
  const calls = openSealerOver(sealer, server.data);
  let goes = true;
  const listening = net.createServer();
  const ipc = serveSealer(
    listening,
    {
      ...calls,
      handover: (request) => (goes ? Promise.reject(new TypeError('it is gone')) : calls.handover(request)),
    },
    silentLogger,
  );
  t.after(() => ipc.close(1_000));
  await listenOnPath(listening, at('sealer.socket'));
  const elsewhere = at('elsewhere.toml');
  fs.writeFileSync(elsewhere, `[sealer]\nsocket = "${at('sealer.socket')}"\n`);
  const rotate = () => runCli(['log', 'rotate-key', '--json', '--data', server.data, '--config', elsewhere]);
  const cut = await rotate();
  assert.equal(cut.status, 3);
  assert.match(cut.stdout, /sealer-away/);
  assert.deepEqual(fs.readdirSync(sealer).sort(), ['allow', 'g1.key', 'g2.key.new', 'state']);
  goes = false;
  const rotated = JSON.parse((await rotate()).stdout) as {
    followed: boolean;
    generation: number;
    key: string;
    sealedLeaves: number;
  };
  assert.deepEqual([rotated.followed, rotated.generation, rotated.key], [true, 2, allowed]);
  assert.deepEqual(fs.readdirSync(sealer).sort(), ['g2.key', 'state'], 'the old key is destroyed');

  const last = (await good('log', 'show', '--generation', '1')).trimEnd().split('\n').at(-1) ?? '';
  assert.match(last, new RegExp(`^${rotated.sealedLeaves - 1} handover seq \\d+ \\S+ key `));
  assert(last.endsWith(rotated.key));
  const [, size, root] = (await good('log', 'checkpoint', '--generation', '1')).split('\n');
  assert.equal(Number(size), rotated.sealedLeaves);
  assert.match(
    (await good('log', 'show')).split('\n')[0] ?? '',
    new RegExp(`^0 genesis seq \\d+ \\S+ previous \\S+/g1 ${size} `),
  );
  assert((await good('log', 'show')).includes(root ?? '-'));

  assert.equal(/uidnext \d+/.exec(await good('index', 'dump'))?.[0], uidNext, 'no number is left out');
  await deliver('new');
  const keys = await good('log', 'key');
  const lines = keys.trimEnd().split('\n');
  const ranges = lines.map((line) => / seq (\d+)-(\d*)$/.exec(line)?.slice(1).map(Number) ?? []);
  assert.equal(lines[0]?.split(' ')[0], oldKey.split(' ')[0]);
  assert.equal((ranges[0]?.[1] ?? 0) + 1, ranges[1]?.[0], 'no gap between generation 1 and 2');
  const served = fs.readFileSync(path.join(server.data, 'ledger/keys'), 'utf8');
  assert.equal(served, keys, '/seal/key has all generations');

  fs.writeFileSync(at('all.keys'), keys);
  fs.writeFileSync(at('old.key'), `${lines[0]}\n`);
  fs.writeFileSync(at('new.key'), `${lines.at(-1)}\n`);
  const program = at('verify_receipt');
  const env = {
    ...process.env,
    GO111MODULE: 'off',
    GOPROXY: 'off',
    GOFLAGS: '',
    GOPATH: '/usr/share/gocode',
    GOCACHE: at('cache'),
  };
  const built = spawnSync('go', ['build', '-o', program, 'verify_receipt.go'], {
    env,
    cwd: path.join(docs, 'verify/go'),
    encoding: 'utf8',
  });
  assert.equal(built.status, 0, built.stderr);
  const browser = (await import(path.join(docs, 'verify/browser/verify-receipt.mjs'))) as {
    parseKeys(text: string): Promise<unknown>;
    verifyReceipt(receipt: Uint8Array, mail: Uint8Array, keys: unknown): Promise<{ failure: unknown }>;
  };
  for (const [mail, key, isGood] of [
    ['old', 'all.keys', true],
    ['old', 'old.key', true],
    ['old', 'new.key', false],
    ['new', 'all.keys', true],
    ['new', 'new.key', true],
    ['new', 'old.key', false],
  ] as const) {
    const args = [at(`${mail}.tlog-proof`), at(`${mail}.eml`)];
    const exits = {
      go: spawnSync(program, [...args, at(key)]).status === 0,
      python:
        spawnSync('python3', ['-B', path.join(docs, 'verify_receipt.py'), ...args, at(key)]).status === 0,
      fengni: (await runCli(['verify-receipt', ...args, '--key', at(key)])).status === 0,
      browser:
        (
          await browser.verifyReceipt(
            fs.readFileSync(args[0] ?? ''),
            fs.readFileSync(args[1] ?? ''),
            await browser.parseKeys(fs.readFileSync(at(key), 'utf8')),
          )
        ).failure === null,
    };
    const expected = Object.fromEntries(Object.keys(exits).map((name) => [name, isGood]));
    assert.deepEqual(exits, expected, `${mail} under ${key}`);
  }
  await good('verify');
  const read = spawnSync('python3', ['-B', path.join(docs, 'read_log.py'), server.data], {
    encoding: 'utf8',
  });
  assert.match(read.stdout + read.stderr, /GOOD: 2 messages/, read.stdout);
  t.diagnostic(lines.join('\n'));
});
