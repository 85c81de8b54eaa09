import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { LineClient } from './support/line-client.ts';
import { bindingOf, ScramClient } from './support/scram-client.ts';
import { startServer, type TestServer } from './support/server.ts';

// Log-in as people have it: app passwords, SCRAM, hashes of other servers, and sessions that end with what they logged in with.

let server: TestServer;
const user = 'ann@fengni.test';

const fengni = async (args: readonly string[], stdin = ''): Promise<string> => {
  const { status, stdout, stderr } = await server.fengni(args, { stdin });
  assert.equal(status, 0, `${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
};

const appPassword = async (name: string): Promise<string> => {
  const told = await fengni(['account', 'app-password', 'add', user, name, '--json']);
  return (JSON.parse(told) as { password: string }).password;
};

const connect = async (service: 'imaps' | 'pop3s'): Promise<LineClient> => {
  const client = await LineClient.connect(server.ports[service], { ca: server.ca });
  await client.until(/\r\n/);
  return client;
};

const logIn = async (service: 'imaps' | 'pop3s', password: string): Promise<LineClient> => {
  const client = await connect(service);
  if (service === 'imaps') {
    client.send(`a LOGIN ${user} "${password}"\r\n`);
    assert.match(await client.until(/^a [^\n]*\r\n/m), /^a OK/m);
  } else {
    client.send(`USER ${user}\r\nPASS ${password}\r\n`);
    assert.match(await client.until(/\r\n[^\n]*\r\n/), /\+OK 0 messages/);
  }
  return client;
};

before(async () => {
  server = await startServer();
  await fengni(['account', 'add', user, '--password-stdin'], 'correct horse\n');
});

test('SCRAM is announced once there is an app password, with TLS alone', async () => {
  const capabilities = async (): Promise<string> => {
    const client = await connect('imaps');
    client.send('a CAPABILITY\r\n');
    const told = await client.until(/^a [^\n]*\r\n/m);
    client.destroy();
    return told;
  };
  assert.match(await capabilities(), / AUTH=PLAIN /);
  assert.doesNotMatch(await capabilities(), /SCRAM/);
  await appPassword('first');
  // the other process hears of it
  let told = '';
  for (let tries = 0; tries < 100 && !told.includes('SCRAM'); tries++) told = await capabilities();
  assert.match(told, / AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 AUTH=PLAIN /);
  const pop3 = await connect('pop3s');
  pop3.send('CAPA\r\n');
  assert.match(await pop3.until(/\r\n\.\r\n/), /\r\nSASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN\r\n/);
  pop3.destroy();
});

test('an app password is shown once, listed by its name, and logs in where the account’s own does', async () => {
  const shown = await fengni(['account', 'app-password', 'add', user, 'my phone']);
  const [, password = ''] = /password: (\S+) /.exec(shown) ?? [];
  assert.match(password, /^[0-9a-z]{6}(-[0-9a-z]{6}){3}$/);
  const listed = await fengni(['account', 'app-password', 'list', user]);
  assert.match(listed, /^my phone {2}/m);
  assert.ok(!listed.includes(password));
  for (const service of ['imaps', 'pop3s'] as const) (await logIn(service, password)).destroy();
  const again = await server.fengni(['account', 'app-password', 'add', user, 'my phone']);
  assert.equal(again.status, 2);
  assert.match(again.stderr, /there is one named my phone/);
});

for (const binding of [null, 'tls-exporter', 'tls-server-end-point'] as const) {
  const mechanism = `SCRAM-SHA-256${binding === null ? '' : '-PLUS'}`;
  test(`${mechanism}${binding === null ? '' : ` by ${binding}`} over IMAP and POP3 (RFC 5802, 5034, 9266)`, async () => {
    const password = await appPassword(`scram ${binding}`);
    const scramOn = (client: LineClient, with_ = password): ScramClient =>
      new ScramClient(user, with_, binding === null ? null : bindingOf(client.socket as TLSSocket, binding));

    const imap = await connect('imaps');
    let scram = scramOn(imap);
    imap.send(`a AUTHENTICATE ${mechanism}\r\n`);
    await imap.until(/\+ \r\n/);
    imap.send(`${scram.first}\r\n`);
    imap.send(`${scram.final((await imap.until(/\r\n/)).slice(2))}\r\n`);
    assert.ok(scram.knows((await imap.until(/\r\n/)).slice(2).trim()));
    imap.send('\r\n');
    assert.match(await imap.until(/^a [^\n]*\r\n/m), /^a OK \[CAPABILITY [^\]]*\] Logged in/m);
    imap.send('b SELECT INBOX\r\n');
    assert.match(await imap.until(/^b [^\n]*\r\n/m), /^b OK/m);
    imap.destroy();

    const pop3 = await connect('pop3s');
    scram = scramOn(pop3);
    pop3.send(`AUTH ${mechanism} ${scram.first}\r\n`);
    pop3.send(`${scram.final((await pop3.until(/\r\n/)).slice(2))}\r\n`);
    assert.ok(scram.knows((await pop3.until(/\r\n/)).slice(2).trim()));
    pop3.send('\r\nSTAT\r\n');
    assert.match(await pop3.until(/\r\n[^\n]*\r\n/), /^\+OK 0 messages\r\n\+OK 0 0\r\n/);
    pop3.destroy();

    // the account's own password has no keys; a wrong one is refused alike
    for (const wrong of ['correct horse', 'wrong']) {
      const client = await connect('imaps');
      scram = scramOn(client, wrong);
      client.send(`a AUTHENTICATE ${mechanism} ${scram.first}\r\n`);
      client.send(`${scram.final((await client.until(/\r\n/)).slice(2))}\r\n`);
      assert.match(await client.until(/\r\n/), /^a NO \[AUTHENTICATIONFAILED\]/);
      client.destroy();
    }
    // a client that gives up after the proof is not logged in
    const quitter = await connect('imaps');
    scram = scramOn(quitter);
    quitter.send(`a AUTHENTICATE ${mechanism} ${scram.first}\r\n`);
    quitter.send(`${scram.final((await quitter.until(/\r\n/)).slice(2))}\r\n`);
    await quitter.until(/\r\n/);
    quitter.send('*\r\nb SELECT INBOX\r\n');
    assert.match(await quitter.until(/^b [^\n]*\r\n/m), /^a BAD[^\n]*\r\nb NO/m);
    quitter.destroy();
  });
}

test('a log-in that is bound to another channel is refused (RFC 5802 §6)', async () => {
  const password = await appPassword('bound');
  const other = await connect('imaps');
  const client = await connect('imaps');
  const scram = new ScramClient(user, password, bindingOf(other.socket as TLSSocket, 'tls-exporter'));
  client.send(`a AUTHENTICATE SCRAM-SHA-256-PLUS ${scram.first}\r\n`);
  client.send(`${scram.final((await client.until(/\r\n/)).slice(2))}\r\n`);
  assert.match(await client.until(/\r\n/), /^a BAD [^\n]*channel/);
  client.destroy();
  other.destroy();
});

test('sessions end when the account is disabled, when its password changes, and with their app password', async () => {
  const phone = await appPassword('to be lost');
  const own = [await logIn('imaps', 'correct horse'), await logIn('pop3s', 'correct horse')];
  const app = [await logIn('imaps', phone), await logIn('pop3s', phone)];
  own[0]?.send('b SELECT INBOX\r\nc IDLE\r\n');
  await own[0]?.until(/\+ [^\n]*\n/);
  app[0]?.send('b SELECT INBOX\r\n');
  await app[0]?.until(/^b OK[^\n]*\r\n/m);

  await fengni(['account', 'app-password', 'remove', user, 'to be lost']);
  assert.match((await app[0]?.until(/BYE/)) ?? '', /\* BYE/);
  assert.match((await app[1]?.until(/\r\n/)) ?? '', /^-ERR \[AUTH\]/);
  for (const client of app) await client.toEnd();

  await fengni(['account', 'password', user, '--password-stdin'], 'battery staple\n');
  assert.match((await own[0]?.until(/valid no longer\r\n/)) ?? '', /\* BYE/);
  assert.match((await own[1]?.until(/\r\n/)) ?? '', /^-ERR \[AUTH\]/);
  for (const client of own) await client.toEnd();

  const next = await logIn('imaps', 'battery staple');
  await fengni(['account', 'disable', user]);
  await next.until(/BYE/);
  await next.toEnd();
  const refused = await connect('imaps');
  refused.send(`a LOGIN ${user} "battery staple"\r\n`);
  assert.match(await refused.until(/\r\n/), /^a NO \[AUTHORIZATIONFAILED\]/);
  refused.destroy();
  await fengni(['account', 'enable', user]);
  (await logIn('imaps', 'battery staple')).destroy();
});

test('sessions of others go on', async () => {
  const other = 'ben@fengni.test';
  await fengni(['account', 'add', other, '--password-stdin'], 'x y z\n');
  const client = await connect('imaps');
  client.send(`a LOGIN ${other} "x y z"\r\nb SELECT INBOX\r\n`);
  await client.until(/^b OK[^\n]*\r\n/m);
  await fengni(['account', 'disable', user]);
  await fengni(['account', 'enable', user]);
  client.send('c NOOP\r\n');
  assert.match(await client.until(/^c [^\n]*\r\n/m), /^c OK/m);
  client.destroy();
});

test('a hash of another server is taken from standard input and lets its owner in', async () => {
  const moved = 'moved@fengni.test';
  // printf of doveadm pw -s SHA512-CRYPT -p 'correct horse'
  const line =
    '{SHA512-CRYPT}$6$XU4MECVVunZ0qJy9$m4Q5QmsFgsu7zzA6PARoNcpY5Q4cFkWklZbQgyCjbU6WUORyVx.NEjvcbj0CeCFS8v3P5ICE4x8cTrbnPZvWb1';
  await fengni(['account', 'add', moved, '--password-hash-stdin'], `${line}\n`);
  const client = await connect('imaps');
  client.send(`a LOGIN ${moved} "wrong"\r\nb LOGIN ${moved} "correct horse"\r\n`);
  assert.match(await client.until(/^b [^\n]*\r\n/m), /^a NO[^\n]*\r\nb OK/m);
  client.destroy();
  const refused = await server.fengni(['account', 'add', 'no@fengni.test', '--password-hash-stdin'], {
    stdin: '$y$j9T$abcdefgh$g3T13J8kHmPEU4WLB9Rgu.V7r7IIwrQRzRRID88JZ49\n',
  });
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /yescrypt is not known here/);
  assert.doesNotMatch(await fengni(['account', 'list']), /^no@/m);
});
