import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  beginData,
  type LargeMail,
  largeMail,
  OctetReader,
  sendLarge,
  sendPieces,
} from './support/large-mail.ts';
import { LineClient } from './support/line-client.ts';
import { startServer, type TestServer } from './support/server.ts';

// A real server: sockets, TLS, the permission model, a disk. What it does with a body of 50 MiB, and what it leaves behind of one it refuses.

const MiB = 2 ** 20;
const fromSmtp = largeMail(1, 50 * MiB);
const appended = largeMail(2, 50 * MiB);

const names = (server: TestServer, folder: string): string[] =>
  fs.readdirSync(path.join(server.data, folder));

const login = async (server: TestServer): Promise<{ client: LineClient; reader: OctetReader }> => {
  const client = await LineClient.connect(server.ports.imaps, { ca: server.ca });
  await client.until(/^\* OK .*\r\n/m);
  await client.ask(`a LOGIN ${server.address} "${server.password}"\r\n`, /^a OK .*\r\n/m);
  await client.ask('b SELECT INBOX\r\n', /^b OK .*\r\n/m);
  client.socket.removeAllListeners('data');
  return { client, reader: new OctetReader(client.socket) };
};

/** SHA-256 of the last `sizeBytes` octets of the literal that a FETCH sends. */
const fetched = async (
  server: TestServer,
  command: string,
  sizeBytes: number,
): Promise<{ sha256: string; whole: number }> => {
  const { client, reader } = await login(server);
  try {
    client.send(`c ${command}\r\n`);
    let line = await reader.line();
    while (!/\{\d+\}\r\n$/.test(line)) line = await reader.line();
    const whole = Number(/\{(\d+)\}\r\n$/.exec(line)?.[1]);
    const hash = createHash('sha256');
    for await (const _ of reader.octets(whole - sizeBytes));
    for await (const piece of reader.octets(sizeBytes)) hash.update(piece);
    return { sha256: hash.digest('hex'), whole };
  } finally {
    client.destroy();
  }
};

/** SHA-256 of the last `sizeBytes` octets that RETR sends, dots unstuffed (there are none to unstuff but the last). */
const retrieved = async (server: TestServer, number: number, mail: LargeMail): Promise<string> => {
  const client = await LineClient.connect(server.ports.pop3s, { ca: server.ca });
  try {
    await client.until(/^\+OK .*\r\n/m);
    await client.ask(`USER ${server.address}\r\n`, /^\+OK.*\r\n/m);
    await client.ask(`PASS ${server.password}\r\n`, /^\+OK.*\r\n/m);
    const size = Number(/^\+OK \d+ (\d+)/m.exec(await client.ask(`LIST ${number}\r\n`, /^\+OK.*\r\n/m))?.[1]);
    client.socket.removeAllListeners('data');
    const reader = new OctetReader(client.socket);
    client.send(`RETR ${number}\r\n`);
    assert.match(await reader.line(), /^\+OK/);
    for await (const _ of reader.octets(size - mail.sizeBytes));
    const hash = createHash('sha256');
    for await (const piece of reader.octets(mail.sizeBytes)) hash.update(piece);
    assert.equal(await reader.line(), '.\r\n');
    return hash.digest('hex');
  } finally {
    client.destroy();
  }
};

const eventually = async (what: string, holds: () => boolean): Promise<void> => {
  for (let tries = 0; !holds(); tries++) {
    assert.ok(tries < 500, what);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

test('50 MiB by SMTP and by APPEND come back byte for byte over POP3S and IMAPS, each from a file of its own', async (t) => {
  const server = await startServer();

  await t.test(
    'SMTP: the reply names the SHA-256, the body lies in large/, the log has its head alone',
    async () => {
      const reply = await sendLarge(server.ports.smtp, server.address, fromSmtp);
      const [, id, sha256] = /^250 2\.0\.0 Ok id=([a-z2-7]{26}) sha256=([0-9a-f]{64})/m.exec(reply) ?? [];
      assert.equal(sha256, fromSmtp.sha256, reply);
      assert.deepEqual(names(server, 'large'), [`${id}.flarge`]);
      assert.deepEqual(names(server, 'spool'), []);
      const inLog = names(server, 'segments').reduce(
        (sum, name) => sum + fs.statSync(path.join(server.data, 'segments', name)).size,
        0,
      );
      assert.ok(inLog < MiB, `${inLog} octets in segments/`);
    },
  );

  await t.test('IMAP: APPEND of 50 MiB', async () => {
    const { client, reader } = await login(server);
    client.send(`c APPEND INBOX {${appended.sizeBytes}}\r\n`);
    assert.match(await reader.line(), /^\+ /);
    await sendPieces(client.socket, appended.pieces());
    client.send('\r\n');
    let line = await reader.line();
    while (!line.startsWith('c ')) line = await reader.line();
    assert.match(line, /^c OK \[APPENDUID \d+ 2\]/);
    client.destroy();
    assert.equal(names(server, 'large').length, 2);
    assert.deepEqual(names(server, 'spool'), []);
  });

  await t.test('both come back over IMAPS and POP3S', async () => {
    for (const [at, mail] of [fromSmtp, appended].entries()) {
      const { sha256 } = await fetched(server, `FETCH ${at + 1} BODY.PEEK[]`, mail.sizeBytes);
      assert.equal(sha256, mail.sha256, `message ${at + 1} over IMAPS`);
      assert.equal(await retrieved(server, at + 1, mail), mail.sha256, `message ${at + 1} over POP3S`);
    }
  });

  await t.test('a part of it is the same octets (RFC 9051 §6.4.5, partial)', async () => {
    const from = 33 * MiB - 100;
    const hash = createHash('sha256');
    let at = 0;
    for (const piece of appended.pieces()) {
      hash.update(
        piece.subarray(Math.max(0, from - at), Math.max(0, Math.min(piece.length, from + 4096 - at))),
      );
      at += piece.length;
    }
    const part = await fetched(server, `FETCH 2 BODY.PEEK[]<${from}.4096>`, 4096);
    assert.deepEqual(part, { sha256: hash.digest('hex'), whole: 4096 });
  });

  await t.test('a peer that goes away, and one that is refused, leave nothing', async () => {
    const gone = await beginData(server.ports.smtp, server.address);
    const some = [...largeMail(3, 3 * MiB).pieces()];
    await sendPieces(gone.socket, some.slice(0, -1));
    await eventually('a spool file while it arrives', () => names(server, 'spool').length === 1);
    gone.destroy();
    await eventually('the spool file of a peer that went away', () => names(server, 'spool').length === 0);

    const { client, reader } = await login(server);
    client.send(`c APPEND INBOX {${3 * MiB}}\r\n`);
    await reader.line();
    await sendPieces(client.socket, some.slice(0, -1));
    await eventually('a spool file while it arrives', () => names(server, 'spool').length === 1);
    client.destroy();
    await eventually('the spool file of a client that went away', () => names(server, 'spool').length === 0);

    const tooMuch = await sendLarge(server.ports.smtp, server.address, largeMail(4, 51 * MiB));
    assert.match(tooMuch, /^552 5\.3\.4/m);
    await eventually('the spool file of a refused message', () => names(server, 'spool').length === 0);
    assert.equal(names(server, 'large').length, 2);
  });

  await t.test(
    'a killed server begins with an empty spool, and with nothing in large/ that has no frame',
    async () => {
      const gone = await beginData(server.ports.smtp, server.address);
      await sendPieces(gone.socket, [...largeMail(5, 3 * MiB).pieces()].slice(0, -1));
      await eventually('a spool file while it arrives', () => names(server, 'spool').length === 1);
      await server.kill();
      gone.destroy();
      const stray = path.join(server.data, 'large', `${'a'.repeat(26)}.flarge`);
      fs.writeFileSync(stray, 'of a group that never was');
      await server.start();
      assert.deepEqual(names(server, 'spool'), []);
      await eventually('a large file of no message', () => !fs.existsSync(stray));
      assert.equal(names(server, 'large').length, 2);
      assert.equal(
        (await fetched(server, 'FETCH 1 BODY.PEEK[]', fromSmtp.sizeBytes)).sha256,
        fromSmtp.sha256,
      );
    },
  );

  await t.test('an index that is made again reads the bodies where they lie', async () => {
    await server.stop();
    fs.rmSync(path.join(server.data, 'index.db'));
    await server.start();
    assert.equal((await fetched(server, 'FETCH 2 BODY.PEEK[]', appended.sizeBytes)).sha256, appended.sha256);
    const whole = await server.fengni(['verify', '--all']);
    assert.equal(whole.status, 0, whole.stdout + whole.stderr);
  });

  await t.test('a large message that a command hands in', async () => {
    const octets = `Subject: by command\r\n\r\n${'a line of a large message\r\n'.repeat(20_000)}`;
    const delivered = await server.fengni(['deliver', server.address], { stdin: octets });
    assert.equal(delivered.status, 0, delivered.stderr);
    assert.equal(names(server, 'large').length, 3);
    assert.deepEqual(names(server, 'spool'), []);
    const { sha256 } = await fetched(server, 'FETCH 3 BODY.PEEK[]', octets.length);
    assert.equal(sha256, createHash('sha256').update(octets).digest('hex'));
  });

  await t.test(
    'octets that changed on the disk end the connection inside the literal, and no sooner',
    async () => {
      const [file = ''] = names(server, 'large').filter(
        (name) => fs.statSync(path.join(server.data, 'large', name)).size > 50 * MiB,
      );
      const at = 20 * MiB;
      const handle = fs.openSync(path.join(server.data, 'large', file), 'r+');
      const octet = Buffer.alloc(1);
      fs.readSync(handle, octet, 0, 1, at);
      fs.writeSync(handle, Buffer.from([(octet[0] ?? 0) ^ 1]), 0, 1, at);
      fs.closeSync(handle);
      const counts: number[] = [];
      for (const uid of [1, 2]) {
        const { client, reader } = await login(server);
        client.send(`c UID FETCH ${uid} BODY.PEEK[]\r\n`);
        const line = await reader.line();
        const size = Number(/\{(\d+)\}\r\n$/.exec(line)?.[1]);
        let came = 0;
        for await (const piece of reader.octets(size)) came += piece.length;
        counts.push(size - came);
        client.destroy();
      }
      const missing = counts.find((count) => count > 0) ?? 0;
      assert.ok(missing > 29 * MiB && missing < 31 * MiB, `${missing} octets are not sent`);
      assert.equal(counts.filter((count) => count === 0).length, 1, 'the other message is whole');
    },
  );
});
