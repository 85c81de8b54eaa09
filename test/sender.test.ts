import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import crypto from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fromLatin1 } from '#base/bytes';
import { type DnsServer, startDnsServer, type Zone } from './support/dns-server.ts';
import { LineClient } from './support/line-client.ts';
import { startServer, type TestServer } from './support/server.ts';
import { signDkim } from './support/sign-dkim.ts';

// The whole server and a name server: who sent it is checked before 250, kept, shown and checked again.

const key = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
const record = `v=DKIM1; p=${key.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`;

const zone: Zone = {
  'a.example': { TXT: ['v=spf1 ip4:127.0.0.1 -all'] },
  's._domainkey.a.example': { TXT: [[record.slice(0, 200), record.slice(200)]] },
  '_dmarc.a.example': { TXT: ['v=DMARC1; p=reject'] },
  'r.example': { TXT: ['v=spf1 -all'] },
  '_dmarc.r.example': { TXT: ['v=DMARC1; p=reject'] },
  '_dmarc.q.example': { TXT: ['v=DMARC1; p=quarantine'] },
  'broken.example': { fault: 'SERVFAIL' },
  '_dmarc.broken.example': { fault: 'SERVFAIL' },
  '127.0.0.1': { PTR: ['mx.a.example'] },
  'mx.a.example': { A: ['127.0.0.1'] },
};

let dns: DnsServer;
let server: TestServer;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-sender-'));
const openssl = (...args: string[]): string =>
  execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' }).toString();
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
before(async () => {
  // A certificate of an authority that nobody knows, and one of the peer's own making.
  openssl(
    'req',
    '-new',
    '-x509',
    ...newKey,
    '-keyout',
    'ca.key',
    '-out',
    'ca',
    '-subj',
    '/CN=An authority',
    '-days',
    '3',
  );
  openssl('req', '-new', ...newKey, '-keyout', 'key', '-out', 'request', '-subj', '/O=A/CN=mx.a.example');
  openssl(
    'x509',
    '-req',
    '-in',
    'request',
    '-CA',
    'ca',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '3',
    '-out',
    'cert',
  );
  openssl('req', '-new', '-x509', '-key', 'key', '-out', 'own', '-subj', '/CN=mx.a.example', '-days', '3');
  dns = await startDnsServer({ zone });
  server = await startServer({
    toml: `[dns]\nresolvers = ["${dns.endpoint}"]\n`,
  });
});
after(async () => {
  fs.rmSync(folder, { recursive: true });
  await dns.stop();
});

const send = async (octets: string, from: string): Promise<string> => {
  const client = await LineClient.connect(server.ports.smtp);
  try {
    const reply = /^\d{3} [^\r\n]*\r\n/m;
    await client.ask('', reply);
    for (const line of ['EHLO mx.a.example', `MAIL FROM:<${from}>`, `RCPT TO:<${server.address}>`, 'DATA']) {
      const said = await client.ask(`${line}\r\n`, reply);
      assert.match(said, /^[23]/m, said);
    }
    return (await client.ask(`${octets.replace(/^\./gm, '..')}.\r\n`, reply)).trimEnd();
  } finally {
    client.destroy();
  }
};

const mail = (domain: string): string => `From: X <x@${domain}>\r\nSubject: s\r\n\r\ntext\r\n`;
const signed = async (message: string): Promise<string> =>
  (await signDkim([fromLatin1(message)], {
    domain: 'a.example',
    selector: 's',
    key: key.privateKey,
    signedFields: ['From', 'Subject', 'From'],
  })) + message;
const idOf = (reply: string): string => / id=([a-z2-7]{26}) /.exec(reply)?.[1] ?? assert.fail(reply);
const fengni = async (args: string[], lang = 'C.UTF-8'): Promise<string> => {
  const { status, stdout, stderr } = await server.fengni(args, { lang });
  assert.equal(status, 0, stderr + stdout);
  return stdout;
};

const zh = 'zh_CN.UTF-8';

test('signed mail is taken; show says what is proven in words, in both languages', async () => {
  const id = idOf(await send(await signed(mail('a.example')), 'x@a.example'));
  const english = await fengni(['show', id]);
  assert.match(english, /proven +a\.example, the author’s domain, vouches for it \(DMARC\)\n/);
  assert.match(
    english,
    /proven +a\.example signed it, and nothing that was signed is altered \(DKIM, selector s\)\n/,
  );
  assert.match(english, /proven +a\.example lets this peer send for it \(SPF\)\n/);
  assert.match(english, /proven +the peer’s address is mx\.a\.example, by its reverse name and back\n/);
  const chinese = await fengni(['show', id], zh);
  assert.match(chinese, /已证实 +作者的域 a\.example 为它担保（DMARC）\n/);
  assert.match(chinese, /已证实 +a\.example 签了名，所签内容未被改动（DKIM，选择器 s）\n/);

  // The key goes; what was proven stays so.
  dns.setZone({});
  const again = await fengni(['verify-dkim', id, '--then']);
  assert.match(again, /key +s\._domainkey\.a\.example, its SHA-256 under the seal/);
  assert.match(again, /the same as was found then\n$/);
  assert.match(await fengni(['verify-dkim', id, '--then'], zh), /与当时所见一致\n$/);
  dns.setZone(zone);
  assert.match(await fengni(['verify']), /./);
});

test('a certificate that the peer shows is under the seal, and who vouches for it is told (OpenSSL’s client)', async () => {
  /** sends a mail by `openssl s_client`; the id */
  const sendShowing = async (...shown: string[]): Promise<string> => {
    const way = ['-connect', `127.0.0.1:${server.ports.smtp}`, '-starttls', 'smtp', '-quiet', '-ign_eof'];
    const client = spawn('openssl', ['s_client', ...way, ...shown], {
      cwd: folder,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    let said = '';
    client.stdout.setEncoding('latin1').on('data', (text: string) => {
      said += text;
    });
    const heard = async (reply: RegExp): Promise<string> => {
      while (!reply.test(said)) await once(client.stdout, 'data');
      const all = said;
      said = '';
      return all;
    };
    for (const [line, reply] of [
      ['EHLO mx.a.example', /^250 [^\n]*\n/m],
      ['MAIL FROM:<x@a.example>', /^250 [^\n]*\n/m],
      [`RCPT TO:<${server.address}>`, /^250 [^\n]*\n/m],
      ['DATA', /^354 [^\n]*\n/m],
    ] as const) {
      client.stdin.write(`${line}\r\n`);
      await heard(reply);
    }
    client.stdin.write(`${mail('a.example')}.\r\n`);
    const reply = await heard(/^\d{3} [^\n]*\n/m);
    client.stdin.end('QUIT\r\n');
    await once(client, 'close');
    return idOf(reply);
  };
  const digest = (file: string): string =>
    crypto.hash('sha256', new crypto.X509Certificate(fs.readFileSync(path.join(folder, file))).raw);
  const issued = await sendShowing('-cert', 'cert', '-key', 'key');
  assert.match(
    await fengni(['show', issued]),
    new RegExp(
      `certificate +the peer has the key of O=A, CN=mx\\.a\\.example, SHA-256 ${digest('cert')}; nobody vouches for what it says: unable-to-verify-leaf-signature\n`,
    ),
  );
  const own = await sendShowing('-cert', 'own', '-key', 'key', '-tls1_2');
  assert.match(
    await fengni(['show', own], zh),
    new RegExp(
      `证书 +对端持有 CN=mx\\.a\\.example 的密钥，SHA-256 ${digest('own')}；其内容无人担保：depth-zero-self-signed-cert\n`,
    ),
  );
  assert.doesNotMatch(await fengni(['show', await sendShowing()]), /certificate/);
  const { stdout } = await server.fengni(['receipt', issued, '-o', '-', '--show', 'ses']);
  const extra = Buffer.from(/^extra (.*)$/m.exec(stdout)?.[1] ?? '', 'base64').toString('latin1');
  assert.match(
    extra,
    /\nclient sha256=\S+\nclient-subject O=A, CN=mx\.a\.example\nclient-check unable-to-verify-leaf-signature\ntime /,
  );
});

test('a receipt opens the session or the results alone', async () => {
  const id = idOf(await send(await signed(mail('a.example')), 'x@a.example'));
  const texts = async (...args: string[]): Promise<string> => {
    const { stdout } = await server.fengni(['receipt', id, '-o', '-', ...args]);
    const extra = /^extra (.*)$/m.exec(stdout)?.[1] ?? assert.fail(stdout);
    return Buffer.from(extra, 'base64').toString('latin1');
  };
  const both = await texts();
  assert.match(both, /^aut \S+ text /m);
  assert.match(both, /^ses \S+ text /m);
  assert.match(both, /reverse mx\.a\.example/);
  assert.match(both, /key s\._domainkey\.a\.example sha256=/);
  const results = await texts('--show', 'aut');
  assert.match(results, /^aut \S+ text /m);
  assert.match(results, /^ses \S+ digest /m);
  assert.doesNotMatch(results, /^peer /m);
  assert.match(await texts('--show', 'ses,sender'), /^env \S+ text .*^aut \S+ digest /ms);
});

test('mail that its author’s domain disowns is refused with the reason, or goes to Junk, marked', async () => {
  const refused = await send(mail('r.example'), 'x@r.example');
  assert.match(
    refused,
    /^550 5\.7\.26 DMARC of r\.example asks to reject mail from r\.example .*SPF r\.example: fail; no DKIM signature$/,
  );
  const altered = (await signed(mail('a.example'))).replace('text', 'other');
  assert.match(
    await send(altered, 'x@r.example'),
    /^550 5\.7\.26 .*DKIM a\.example: fail, the body was altered/,
  );
  const id = idOf(await send(mail('q.example'), 'x@a.example'));
  assert.match(
    await fengni(['show', id]),
    /not proven +nobody vouches for q\.example, the author’s domain; it asks for: Junk/,
  );
  const client = await LineClient.connect(server.ports.imaps, { ca: server.ca });
  await client.ask('', /^\* OK.*\r\n/);
  const said = await client.ask(`a LOGIN ${server.address} ${server.password}\r\n`, /^a .*\r\n/m);
  assert.match(said, /^a OK/m);
  await client.ask('b EXAMINE Junk\r\n', /^b OK.*\r\n/m);
  const fetched = await client.ask(
    'c FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (AUTHENTICATION-RESULTS)])\r\n',
    /^c OK.*\r\n/m,
  );
  client.destroy();
  assert.match(fetched, /FLAGS \([^)]*\$Junk[^)]*\)/);
  assert.match(
    fetched,
    /Authentication-Results: mail\.fengni\.test; dmarc=fail .*header\.from=q\.example policy\.dmarc=quarantine/,
  );
});

test('no DNS answer refuses anything', async () => {
  const id = idOf(await send(mail('broken.example'), 'x@broken.example'));
  const counted = (await (await fetch(`http://127.0.0.1:${server.ports.metrics}/metrics`)).text()).split(
    '\n',
  );
  for (const [name, labels, least] of [
    ['fengni_authentication_results_total', 'protocol="smtp",method="dkim",result="pass"', 2],
    ['fengni_authentication_results_total', 'protocol="smtp",method="dmarc",result="temperror"', 1],
    ['fengni_sender_refused_total', 'protocol="smtp",reason="dmarc"', 2],
    ['fengni_sender_junk_total', 'protocol="smtp",reason="quarantine"', 1],
    ['fengni_events_total', 'protocol="dns",event="unavailable"', 1],
  ] as const) {
    const line = counted.find((each) => each.startsWith(`${name}{${labels}} `)) ?? '';
    assert(Number(line.split(' ').at(-1)) >= least, `${name}{${labels}}: ${line}`);
  }
  assert.match(
    await fengni(['show', id]),
    /unknown +who sends for broken\.example could not be asked \(SPF\)/,
  );
});
