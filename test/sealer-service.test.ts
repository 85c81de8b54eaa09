import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { eventually, rolesOf } from './support/processes.ts';
import {
  makePlaces,
  needsRoot,
  sealerUser as sealer,
  serverUser as server,
  startSealer,
} from './support/sealer-process.ts';
import { makeFolder, ServeProcess } from './support/serve-process.ts';
import { runFengni } from './support/server.ts';
import { sendMail } from './support/smtp-send.ts';

/** Leaves under the published head; 0 where there is none. */
const sealedSize = (data: string): number => {
  try {
    return Number(fs.readFileSync(path.join(data, 'ledger/g1/checkpoint'), 'utf8').split('\n')[1]);
  } catch {
    return 0;
  }
};

const modeOf = (...names: string[]): string => (fs.statSync(path.join(...names)).mode & 0o777).toString(8);

test('a sealer under another user signs; without it mail flows, and when it comes back it catches up', async (t) => {
  if (!needsRoot(t)) return;
  const places = makePlaces();
  const { data, state, socket } = places;
  const serve = new ServeProcess({ data, uid: server.uid, toml: `[sealer]\nsocket = "${socket}"` });
  const { smtp = 0 } = await serve.ready();
  const send = async (number: number): Promise<void> => {
    const octets = `Subject: ${number}\r\n\r\nx\r\n`;
    assert.match(await sendMail({ port: smtp, to: 'admin@fengni.test', octets }), /^250/);
  };
  assert.deepEqual([...rolesOf(serve.pid).keys()].sort(), ['access', 'auth', 'mx', 'web', 'writer']);

  // It is not there yet: the first start does not wait for it.
  for (let number = 0; number < 3; number++) await send(number);
  assert.equal(sealedSize(data), 0);
  const first = startSealer(places);
  await first.ready;
  await eventually('the first head', () => sealedSize(data) >= 4);
  await eventually('its key is published', () => fs.existsSync(path.join(data, 'ledger/keys')));
  assert.equal(fs.statSync(state).uid, sealer.uid);
  assert.equal(modeOf(state), '700');
  assert.equal(modeOf(socket), '660');
  assert.equal(modeOf(data), '710');
  assert.equal(modeOf(data, 'ledger'), '750');
  assert.equal(modeOf(data, 'ledger/g1'), '750');
  const bundle = fs.readdirSync(path.join(data, 'ledger/g1/tile/entries'), {
    recursive: true,
    encoding: 'utf8',
  });
  for (const name of bundle)
    assert.match(
      modeOf(data, 'ledger/g1/tile/entries', name),
      /^(?:750|640)$/,
      `${name} can be read by the group`,
    );
  for (const name of ['segments', 'keys', 'tls', 'run']) assert.equal(modeOf(data, name), '700', name);
  assert.ok(!fs.existsSync(path.join(data, 'sealer')), 'no second one in the data folder');

  const before = sealedSize(data);
  await send(10);
  await eventually('a head for a message', () => sealedSize(data) > before);

  first.child.kill('SIGKILL');
  await first.ended;
  const atKill = sealedSize(data);
  for (let number = 20; number < 25; number++) await send(number);
  assert.equal(sealedSize(data), atKill, 'nobody signed');
  const second = startSealer(places);
  await second.ready;
  await eventually('it has caught up', () => sealedSize(data) >= atKill + 5);

  const rival = await startSealer(places).ended;
  assert.deepEqual([rival.status, rival.stdout], [3, '']);
  assert.match(rival.stderr, /Another sealer has this folder: .*\(pid \d+\)/);
  await send(30);

  // A writer that starts again compares the log with what the sealer signed, and goes on.
  assert.equal((await serve.stop()).status, 0);
  const again = new ServeProcess({ data, uid: server.uid, toml: `[sealer]\nsocket = "${socket}"` });
  const ports = await again.ready();
  const size = sealedSize(data);
  await sendMail({ port: ports['smtp'] ?? 0, to: 'admin@fengni.test', octets: 'Subject: x\r\n\r\nx\r\n' });
  await eventually('a head again', () => sealedSize(data) > size);
  assert.equal((await again.stop()).status, 0);
  second.child.kill('SIGTERM');
  assert.deepEqual((({ status, stdout }) => [status, stdout])(await second.ended), [0, 'ready\n']);
  assert.ok(!fs.existsSync(socket));
});

test('a sealer without its options, or without a folder that it may make, is told', async () => {
  const missing = await runFengni(['sealer', '--state', '/tmp/x']);
  assert.equal(missing.status, 2);
  assert.match(missing.stderr, /--socket is missing/);
  assert.match((await runFengni(['sealer'], { lang: 'zh_CN.UTF-8' })).stderr, /缺少 --state/);
  const file = path.join(makeFolder(), 'file');
  fs.writeFileSync(file, '');
  const closed = await runFengni([
    'sealer',
    '--state',
    file,
    '--socket',
    `${file}.socket`,
    '--data',
    '/nowhere',
  ]);
  assert.equal(closed.status, 3);
  assert.match(closed.stderr, /The sealer cannot use this: .*file \(EEXIST\)/);
});
