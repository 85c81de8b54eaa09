import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { before, test } from 'node:test';
import { LineClient } from '../support/line-client.ts';
import { type Postfix, startPostfix } from '../support/postfix.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { fetchMaildrop } from '../support/smtp-client.ts';

// Debian's Postfix in front of a server: by SMTP with STARTTLS, by LMTP over TCP and over a Unix socket. Every octet behind Postfix's own
// Received field is compared, and the peer that Postfix saw stands in ours.

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-front-'));
fs.chmodSync(folder, 0o755);
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
const socket = path.join(folder, 'lmtp');
let server: TestServer;
let postfix: Postfix;

before(async () => {
  server = await startServer({
    toml: `[smtp]\nxclient_from = ["127.0.0.0/8"]\n[listen.front]\nservice = "lmtp"\naddress = "unix:${socket}"\nsocket_mode = "0666"\n`,
  });
  const { smtp, lmtp } = server.ports;
  postfix = await startPostfix({
    transport: `admin@fengni.test smtp:[127.0.0.1]:${smtp}\nabuse@fengni.test lmtp:inet:127.0.0.1:${lmtp}\nfengni.test lmtp:unix:${socket}\n`,
  });
});

const oneReply = /^\d{3} [^\r\n]*\r\n/m;

/** Hands a mail to Postfix as a peer of a foreign address. */
const send = async (
  to: readonly string[],
  octets: string,
  options: { from?: string; mail?: string; rcpt?: string } = {},
) => {
  const { from = 'a@one.example', mail = '', rcpt = '' } = options;
  const client = await LineClient.connect(postfix.port);
  const ask = async (line: string): Promise<void> => {
    const said = await client.ask(line === '' ? '' : Buffer.from(`${line}\r\n`), oneReply);
    assert.match(said.trimEnd().split('\r\n').at(-1) ?? '', /^[23]\d\d /, line);
  };
  await ask('');
  await ask('EHLO me');
  await ask('XCLIENT ADDR=203.0.113.5 NAME=peer.example PORT=4711');
  await ask('EHLO mx.peer.example');
  await ask(`MAIL FROM:<${from}>${mail}`);
  for (const each of to) await ask(`RCPT TO:<${each}>${rcpt}`);
  await ask('DATA');
  client.send(octets.replace(/^\./gm, '..'));
  await ask('.');
  client.destroy();
};

const inbox = (): Promise<string[]> =>
  fetchMaildrop(
    { port: server.ports.pop3s, ca: server.ca },
    { user: server.address, password: server.password },
  );
const withSubject = async (subject: string): Promise<string[]> => {
  await postfix.settled();
  return (await inbox()).filter((mail) => headerOf(mail).includes(`\r\nSubject: ${subject}\r\n`));
};
const headerOf = (mail: string): string => `${mail.split('\r\n\r\n')[0]}\r\n`;
const letter = (subject: string, body: string): string => `Subject: ${subject}\r\n\r\n${body}`;

const seen = String.raw`from mx\.peer\.example \(peer\.example \[203\.0\.113\.5\]\) \(as (?:\[127\.0\.0\.1\]|a local relay) says by XFORWARD\)`;

for (const [way, to, protocol] of [
  ['SMTP with STARTTLS', 'admin@fengni.test', 'ESMTPS'],
  ['LMTP over TCP', 'abuse@fengni.test', 'LMTP'],
] as const) {
  test(`Postfix relays by ${way}: octets as they are, the peer that Postfix saw in Received`, async () => {
    const bodies = [
      '..dots\r\n.\r\n...\r\nend\r\n'.replace('\r\n.\r\n', '\r\n. \r\n'),
      'Grüße\r\n'.repeat(10),
      `${'x'.repeat(900)}\r\n`,
      '\r\n\r\n\r\n',
      `${'0123456789abcdef'.repeat(4)}\r\n`.repeat(20_000),
    ];
    for (const [index, body] of bodies.entries())
      await send([to], letter(`${way} ${index}`, Buffer.from(body).toString('latin1')), {
        mail: ' BODY=8BITMIME',
      });
    for (const [index, body] of bodies.entries()) {
      const found = await withSubject(`${way} ${index}`);
      assert.equal(found.length, 1, `${way} ${index}: ${postfix.queue()}`);
      const [mail = ''] = found;
      assert.ok(
        mail.endsWith(letter(`${way} ${index}`, Buffer.from(body).toString('latin1'))),
        `octets of ${index}`,
      );
      assert.match(mail, new RegExp(`\\r\\nReceived: ${seen} by \\S+ with ${protocol} `));
    }
  });
}

test('Postfix delivers by LMTP over a Unix socket, a recipient at a time; who is unknown bounces alone', async () => {
  await send(
    ['postmaster@fengni.test', 'nobody@fengni.test', 'admin+x@fengni.test'],
    letter('three', 'x\r\n'),
    {
      from: 'admin@fengni.test',
    },
  );
  // Both that exist are the first account's: one copy, as the first of them.
  assert.equal((await withSubject('three')).length, 1);
  const lines = postfix
    .log()
    .split('\n')
    .filter((line) => line.includes('/lmtp['));
  const of = (address: string, status: string): number =>
    lines.filter((line) => line.includes(`to=<${address}>`) && line.includes(status)).length;
  assert.equal(of('postmaster@fengni.test', 'status=sent (250 2.0.0 Ok id='), 1);
  assert.equal(of('admin+x@fengni.test', 'status=sent (250 2.0.0 Ok id='), 1);
  assert.equal(of('nobody@fengni.test', 'status=bounced'), 1);
  const [bounce] = await withSubject('Undelivered Mail Returned to Sender');
  assert.match(bounce ?? '', /^Return-Path: <>\r\n/);
  assert.match(bounce ?? '', /550 5\.1\.1 No such mailbox here/);
  const received = (await withSubject('three'))[0] ?? '';
  assert.match(
    received,
    new RegExp(`\\r\\nReceived: ${seen} by \\S+ with LMTP id [a-z2-7]{26}; `),
    'and nobody is named',
  );
});

test('Postfix hands on DSN parameters, and SMTPUTF8 where an address needs it', async () => {
  await send(['admin@fengni.test'], letter('asked', 'x\r\n'), {
    mail: ' RET=HDRS ENVID=q1',
    rcpt: ' NOTIFY=FAILURE ORCPT=rfc822;old@one.example',
  });
  assert.equal((await withSubject('asked')).length, 1);
  await send(['admin@fengni.test'], letter('foreign', 'x\r\n'), { from: '李@例.example', mail: ' SMTPUTF8' });
  const [foreign = ''] = await withSubject('foreign');
  assert.match(foreign, / with UTF8SMTPS /);
  assert.ok(foreign.startsWith(Buffer.from('Return-Path: <李@例.example>\r\n').toString('latin1')));
});

test('Postfix sends many over one connection, and what has to wait waits', async () => {
  await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      send(['admin@fengni.test', 'postmaster@fengni.test'], letter('many', `${index}\r\n`)),
    ),
  );
  assert.equal((await withSubject('many')).length, 80);
  await server.stop();
  await send(['admin@fengni.test', 'abuse@fengni.test'], letter('later', 'x\r\n'));
  await postfix.settled();
  assert.match(postfix.queue(), /Connection refused|lost connection|No such file/);
});
