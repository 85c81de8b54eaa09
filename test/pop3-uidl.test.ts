import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { LineClient } from './support/line-client.ts';
import { startServer, type TestServer } from './support/server.ts';
import { sendMail } from './support/smtp-send.ts';

// What POP3 programs rely on: a session sees the inbox as it was at its log-in, and the name of a message never changes.

let server: TestServer;

before(async () => {
  server = await startServer();
  for (const name of ['one', 'two', 'three']) await send(name);
});

const send = async (name: string): Promise<void> => {
  const octets = `Subject: ${name}\r\n\r\n${name}\r\n`;
  assert.match(await sendMail({ port: server.ports.smtp, to: server.address, octets }), /^250 /);
};

const logIn = async (): Promise<LineClient> => {
  const client = await LineClient.connect(server.ports.pop3s, { ca: server.ca });
  client.send(`USER ${server.address}\r\nPASS ${server.password}\r\n`);
  await client.until(/messages\r\n/);
  return client;
};

const uidlOf = async (client: LineClient): Promise<string[]> =>
  (await client.ask('UIDL\r\n', /\r\n\.\r\n/)).split('\r\n').slice(1, -2);

const asked = async (commands: string): Promise<string> => {
  const client = await LineClient.connect(server.ports.imaps, { ca: server.ca });
  client.send(`a LOGIN ${server.address} "${server.password}"\r\n${commands}z LOGOUT\r\n`);
  return client.toEnd();
};

test('a session keeps its snapshot while mail comes and goes elsewhere (RFC 1939 §3)', async () => {
  const session = await logIn();
  const before = await uidlOf(session);
  assert.equal(before.length, 3);
  await send('four');
  assert.match(
    await asked('b SELECT INBOX\r\nc STORE 2 +FLAGS (\\Deleted)\r\nd EXPUNGE\r\n'),
    /\* 2 EXPUNGE/,
  );
  assert.deepEqual(await uidlOf(session), before);
  assert.match(await session.ask('RETR 2\r\n', /\r\n/), /^-ERR .*removed by another session/);
  assert.match(await session.ask('RETR 3\r\n', /\r\n\.\r\n/), /\r\nthree\r\n\.\r\n$/);
  assert.match(await session.ask('RETR 4\r\n', /\r\n/), /^-ERR /);
  session.destroy();
});

test('UIDL stays what it was over a restart, flags, copies and an index that is made anew (RFC 1939 §7)', async () => {
  const first = await logIn();
  const before = (await uidlOf(first)).map((line) => line.split(' ')[1]);
  assert.equal(before.length, 3);
  assert.equal(new Set(before).size, 3);
  for (const uidl of before) assert.match(uidl ?? '', /^[\x21-\x7e]{1,70}$/);
  first.destroy();
  await asked('b SELECT INBOX\r\nc STORE 1:* +FLAGS (\\Seen)\r\nd COPY 1 Archive\r\n');
  await server.stop();
  const { status, stderr } = await server.fengni(['index', 'rebuild']);
  assert.equal(status, 0, stderr);
  await server.start();
  const second = await logIn();
  assert.deepEqual(
    (await uidlOf(second)).map((line) => line.split(' ')[1]),
    before,
  );
  second.destroy();
});
