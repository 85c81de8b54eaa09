import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { LineClient } from './support/line-client.ts';
import { eventually } from './support/processes.ts';
import { startServer, type TestServer } from './support/server.ts';
import { sendMail } from './support/smtp-send.ts';

// What `fengni status` says of damage below a running server and of projections that are not this log's, in both languages. The sealer's
// faults, the disk and a log that does not start: test/status-faults.test.ts; roles that die or hang: test/status-roles.test.ts.

interface Told {
  good: boolean;
  writer: { projectionsRemade: string | null; damaged: { count: number; last: { code: string } } | null };
  faults: { code: string; todo: string }[];
}

const patientMs = 120_000;

const told = async (server: TestServer): Promise<Told> =>
  JSON.parse((await server.fengni(['status', '--json'])).stdout) as Told;

const assertSays = async (
  server: TestServer,
  status: number,
  words: { english: RegExp; chinese: RegExp },
): Promise<void> => {
  for (const [lang, expected] of [
    ['C.UTF-8', words.english],
    ['zh_CN.UTF-8', words.chinese],
  ] as const) {
    const shown = await server.fengni(['status'], { lang });
    assert.match(shown.stdout, expected);
    assert.equal(shown.status, status, shown.stdout);
  }
};

const isReady = (server: TestServer): Promise<void> =>
  eventually('it answers', async () => (await server.fengni(['status', '--json'])).status !== 3, patientMs);

const send = async (server: TestServer, subject: string, body = 'x\r\n'): Promise<void> => {
  const octets = `Subject: ${subject}\r\n\r\n${body}`;
  assert.match(await sendMail({ port: server.ports.smtp, to: server.address, octets }), /^250/);
};

/** What INBOX says to these commands; `gone` where the server ends the connection. */
const read = async (server: TestServer, command: string): Promise<string> => {
  const client = await LineClient.connect(server.ports.imaps, { ca: server.ca });
  try {
    await client.until(/^\* OK .*\r\n/m);
    await client.ask(`a LOGIN ${server.address} "${server.password}"\r\n`, /^a OK .*\r\n/m);
    await client.ask('b SELECT INBOX\r\n', /^b (OK|NO) .*\r\n/m);
    return await client.ask(`c ${command}\r\n`, /^c (OK|NO|BAD) .*\r\n/m);
  } catch {
    return 'gone';
  } finally {
    client.destroy();
  }
};

const segmentOf = (server: TestServer): string => {
  const folder = path.join(server.data, 'segments');
  return path.join(folder, fs.readdirSync(folder).at(-1) ?? '');
};

test('status tells of damage that a reader met, and of index and state that were not of this log', async (t) => {
  const other = await startServer();
  await other.stop();
  const server = await startServer();
  await send(server, 'first');

  await t.test('a segment whose octets changed under the running server', async () => {
    const segment = segmentOf(server);
    const from = fs.statSync(segment).size;
    await send(server, 'damaged', `${'a line of it\r\n'.repeat(2_000)}`);
    await send(server, 'last');
    // In the middle of the ciphertext.
    const flip = (): void => {
      const file = fs.openSync(segment, 'r+');
      const octet = Buffer.alloc(1);
      fs.readSync(file, octet, 0, 1, from + 12_000);
      octet[0] = (octet[0] ?? 0) ^ 1;
      fs.writeSync(file, octet, 0, 1, from + 12_000);
      fs.closeSync(file);
    };
    flip();
    assert.match(await read(server, 'FETCH 1 BODY.PEEK[]'), /Subject: first/);
    assert.doesNotMatch(await read(server, 'FETCH 2 BODY.PEEK[]'), /a line of it/);
    await eventually(
      'it is told',
      async () => (await told(server)).faults.some(({ code }) => code === 'mail-damaged'),
      patientMs,
    );
    const { good, writer } = await told(server);
    assert.equal(good, false);
    assert.match(writer.damaged?.last.code ?? '', /^(payload|frame)-damaged$/);
    await assertSays(server, 1, {
      english: /DAMAGED and not served, \d+ times[\s\S]*last: [a-z2-7]{26} [\s\S]*fengni verify --repair/,
      chinese: /有内容已损坏，未予提供[\s\S]*fengni verify --repair/,
    });
    await send(server, 'mail flows');
    flip();
    assert.match(await read(server, 'FETCH 2 BODY.PEEK[]'), /a line of it/);
  });

  await t.test('a row of the index that was changed behind its back', async () => {
    const index = new DatabaseSync(path.join(server.data, 'index.db'), { timeout: 5_000 });
    index.exec('UPDATE placement SET size = size + 1 WHERE uid = 1');
    index.close();
    // A process that has nothing of it in memory.
    await server.stop();
    await server.start();
    await read(server, 'FETCH 1 RFC822.SIZE');
    await isReady(server);
    await eventually(
      'it is told',
      async () => (await told(server)).writer.damaged?.last.code === 'index-row-damaged',
      patientMs,
    );
    await assertSays(server, 1, {
      english: /DAMAGED and not served[\s\S]*\(index-row-damaged\)[\s\S]*fengni index rebuild/,
      chinese: /（index-row-damaged）[\s\S]*fengni index rebuild/,
    });
  });

  await t.test('index and state of another server, whose log is shorter', async () => {
    await server.stop();
    for (const name of fs.readdirSync(server.data).filter((each) => /^(index|state)\.db/.test(each)))
      fs.rmSync(path.join(server.data, name));
    for (const name of fs.readdirSync(other.data).filter((each) => /^(index|state)\.db/.test(each)))
      fs.copyFileSync(path.join(other.data, name), path.join(server.data, name));
    await server.start();
    await isReady(server);
    assert.equal((await told(server)).writer.projectionsRemade, 'foreign');
    await assertSays(server, (await told(server)).good ? 0 : 1, {
      english: /MADE AGAIN at this start: it was of ANOTHER log[\s\S]*fengni verify/,
      chinese: /本次启动时已重新生成：它属于另一份日志[\s\S]*fengni verify/,
    });
    assert.match(server.log(), /projections are of another log, and are made again/);
    assert.match(await read(server, 'FETCH 1 BODY.PEEK[]'), /Subject: first/);
  });

  await t.test('an index that is no database', async () => {
    await server.stop();
    for (const name of ['index.db-wal', 'index.db-shm'])
      fs.rmSync(path.join(server.data, name), { force: true });
    fs.writeFileSync(
      path.join(server.data, 'index.db'),
      'no database at all, but as long as one would be'.repeat(100),
    );
    await server.start();
    await isReady(server);
    assert.equal((await told(server)).writer.projectionsRemade, 'unusable');
    await assertSays(server, (await told(server)).good ? 0 : 1, {
      english: /MADE AGAIN at this start: it was damaged/,
      chinese: /本次启动时已重新生成：它已损坏/,
    });
    assert.match(await read(server, 'FETCH 1 BODY.PEEK[]'), /Subject: first/);
    await server.stop();
    await server.start();
    await isReady(server);
    assert.equal((await told(server)).writer.projectionsRemade, null);
  });
});
