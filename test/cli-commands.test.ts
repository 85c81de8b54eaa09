import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { parseCheckpoint, parseHash, parseProof, verifyConsistency, verifyInclusion } from '#trust/seal';
import { type CliOptions, type CliOutcome, cli as runCli } from './support/cli.ts';
import { type DnsServer, startDnsServer, type Zone } from './support/dns-server.ts';
import { startServer, type TestServer } from './support/server.ts';
import { fetchMaildrop, sendMail } from './support/smtp-client.ts';

// The commands beside a running server, both languages, --json, and what each refuses.

let server: TestServer;

const cli = (argv: readonly string[], options: CliOptions = {}): Promise<CliOutcome> =>
  runCli([...argv, '--data', server.data, '--config', server.toml], options);
/** standard output of a command that has to do */
const good = async (argv: readonly string[], options: CliOptions = {}): Promise<string> => {
  const { status, stdout, stderr } = await cli(argv, options);
  assert.equal(status, 0, `${argv.join(' ')}: ${stderr}`);
  return stdout;
};
const json = async <T>(argv: readonly string[], options: CliOptions = {}): Promise<T> => {
  const text = await good([...argv, '--json'], options);
  return JSON.parse(text) as T;
};
const refused = async (
  argv: readonly string[],
  status: number,
  said: RegExp,
  options: CliOptions = {},
): Promise<void> => {
  const outcome = await cli(argv, options);
  assert.equal(outcome.status, status, `${argv.join(' ')}: ${outcome.stderr}`);
  assert.match(outcome.stderr, said);
  assert.doesNotMatch(outcome.stderr, /this is a bug|at file:/);
};
const zh = { lang: 'zh_CN.UTF-8' };

/** live.example.net as it should be, other.example.net elsewhere and with a broken record, broken.example.net not at all. */
const dnsZone: Zone = {
  'live.example.net': { MX: [[10, 'mail.fengni.test']], TXT: ['v=spf1 mx -all'] },
  '_dmarc.live.example.net': { TXT: ['v=DMARC1; p=reject'] },
  'mail.fengni.test': { A: ['192.0.2.25'], AAAA: ['2001:db8::25'] },
  'other.example.net': { MX: [[10, 'mx.elsewhere.example']], TXT: ['v=spf1 ip4:192.0.2.300 -all'] },
  '_dmarc.other.example.net': { TXT: ['v=DMARC1; p=none', 'v=DMARC1; p=reject'] },
  'broken.example.net': { fault: 'SERVFAIL' },
};
let dnsServer: DnsServer;
after(() => dnsServer?.stop());

before(async () => {
  dnsServer = await startDnsServer({ zone: dnsZone });
  server = await startServer({
    toml: `[smtp]\nsize_max = "1MiB"\n[dns]\nresolvers = ["${dnsServer.endpoint}"]\n[authentication]\nexempt = ["127.0.0.0/8"]\n`,
  });
});

test('domain: add, list and show, in both languages and as JSON; what is none or known is refused', async () => {
  assert.match(
    await good(['domain', 'add', 'Bücher.example.org']),
    /^xn--bcher-kva\.example\.org is a domain/,
  );
  assert.deepEqual((await good(['domain', 'list'])).trim().split('\n'), [
    'fengni.test',
    'xn--bcher-kva.example.org',
  ]);
  const listed = await json<{ domain: string }[]>(['domain', 'list']);
  assert.deepEqual(
    listed.map(({ domain }) => domain),
    ['fengni.test', 'xn--bcher-kva.example.org'],
  );
  assert.match(await good(['domain', 'show', 'bücher.example.org'], zh), /^xn--bcher-kva.*\n {2}自 /);
  const shown = await json<{ accounts: string[] }>(['domain', 'show', 'fengni.test']);
  assert.deepEqual(shown.accounts, ['admin@fengni.test']);
  await refused(['domain', 'add', 'fengni.test'], 2, /is here already/);
  await refused(['domain', 'add', 'no domain'], 2, /is not a domain/);
  await refused(['domain', 'show', 'other.example'], 2, /no domain of this server/);
  await refused(['domain', 'add'], 2, /argument D is missing/);
});

test('domain dns prints the record to publish and says whether it is live: 0, 1, or 3 when nobody could be asked', async () => {
  for (const name of ['live', 'other', 'absent', 'broken'])
    await good(['domain', 'add', `${name}.example.net`]);
  const dns = (name: string): Promise<CliOutcome> => cli(['domain', 'dns', `${name}.example.net`]);
  const live = await dns('live');
  assert.match(live.stdout, /^live\.example\.net\. 3600 IN MX 10 mail\.fengni\.test\.$/m);
  assert.match(live.stdout, /addresses of mail\.fengni\.test +192\.0\.2\.25, 2001:db8::25$/m);
  assert.match(live.stdout, /SPF +v=spf1 mx -all\n +DMARC +v=DMARC1; p=reject$/m);
  assert.deepEqual([live.status, (await dns('other')).status, (await dns('absent')).status], [0, 1, 1]);
  assert.match((await dns('other')).stdout, /published now: 10 mx\.elsewhere\.example/);
  assert.match(
    (await dns('other')).stdout,
    /SPF +BROKEN: bad or unknown mechanism: ip4:192\.0\.2\.300: v=spf1/,
  );
  assert.match((await dns('other')).stdout, /DMARC +BROKEN: 2 records where only one may be/);
  assert.match((await cli(['domain', 'dns', 'absent.example.net'], zh)).stdout, /SPF +无\n +DMARC +无/);
  const broken = await dns('broken');
  assert.equal(broken.status, 3);
  assert.match(broken.stdout, /IN MX 10/);
  assert.match(broken.stderr, /could not be asked/);
  assert.match(await good(['domain', 'dns', 'fengni.test']), /knows no names under \.test/);
});

test('account: add with a password from standard input, list, show; it can log in', async () => {
  const added = await json<{ address: string }>(['account', 'add', 'Bob@Fengni.test', '--password-stdin'], {
    stdin: 'Straße und 封泥\r\nsecond line\n',
  });
  assert.equal(added.address, 'bob@fengni.test');
  assert.deepEqual(
    await fetchMaildrop(
      { port: server.ports.pop3s, ca: server.ca },
      { user: 'bob@fengni.test', password: Buffer.from('Straße und 封泥').toString('latin1') },
    ),
    [],
  );
  assert.deepEqual((await good(['account', 'list'])).trim().split('\n'), [
    'admin@fengni.test',
    'bob@fengni.test',
  ]);
  const shown = await json<{ state: string; account: string }>(['account', 'show', 'bob@fengni.test']);
  assert.equal(shown.state, 'active');
  assert.match(await good(['account', 'show', 'bob@fengni.test'], zh), /状态 {2}正常/);
});

test('account: a password that is made is shown once, on a terminal, and nowhere else', async () => {
  const { status, stdout } = await cli(['account', 'add', 'carol@fengni.test'], { isTerminal: true });
  assert.equal(status, 0);
  const password = /^password: (\S+) /m.exec(stdout)?.[1] ?? '';
  assert.deepEqual(
    await fetchMaildrop({ port: server.ports.pop3s, ca: server.ca }, { user: 'carol@fengni.test', password }),
    [],
  );
  assert.doesNotMatch(server.log(), new RegExp(password));
  await refused(['account', 'add', 'dave@fengni.test'], 2, /no terminal/);
  await refused(['account', 'add', 'dave@fengni.test', '--json'], 2, /no terminal/, { isTerminal: true });
});

test('account: what cannot be is refused and leaves nothing behind', async () => {
  const stdin = { stdin: 'secret\n' };
  await refused(['account', 'add', 'bob@fengni.test', '--password-stdin'], 2, /taken/, stdin);
  await refused(
    ['account', 'add', 'x@elsewhere.example', '--password-stdin'],
    2,
    /not a domain of this server/,
    stdin,
  );
  await refused(['account', 'add', 'no address', '--password-stdin'], 2, /not an address/, stdin);
  await refused(['account', 'add', 'eve@fengni.test', '--password-stdin'], 2, /gave no password/, {
    stdin: '\nx',
  });
  await refused(['account', 'add', 'eve@fengni.test', '--password-stdin'], 2, /password/, {
    stdin: 'a\u0007b\n',
  });
  await refused(['account', 'show', 'eve@fengni.test'], 2, /no account here/);
  await refused(['account', 'password', 'eve@fengni.test', '--password-stdin'], 2, /no account here/, stdin);
  await refused(['account', 'add', 'eve@fengni.test', '--password-stdin'], 2, /标准输入没有给出密码/, {
    stdin: '',
    ...zh,
  });
});

test('account: disabled means no log-in and no mail; enabled as before', async () => {
  await good(['account', 'disable', 'bob@fengni.test']);
  const mail = { from: 'a@b.example', to: ['bob@fengni.test'], octets: 'Subject: x\r\n\r\nx\r\n' };
  await assert.rejects(sendMail({ port: server.ports.smtp }, mail), /550 5\.2\.1/);
  assert.match(await good(['account', 'list']), /bob@fengni\.test {2}\(disabled\)/);
  assert.deepEqual(await json(['account', 'enable', 'bob@fengni.test']), {
    address: 'bob@fengni.test',
    disabled: false,
  });
  await sendMail({ port: server.ports.smtp }, mail);
});

test('the first password, changed, removes first-login.txt; another account’s does not (DESIGN §3)', async () => {
  const file = path.join(server.data, 'first-login.txt');
  await good(['account', 'password', 'bob@fengni.test', '--password-stdin'], { stdin: 'bob two\n' });
  assert(fs.existsSync(file));
  await good(['account', 'password', 'ADMIN@fengni.test', '--password-stdin'], { stdin: 'admin two\n' });
  assert(!fs.existsSync(file));
  const login = { user: 'admin@fengni.test', password: 'admin two' };
  assert.deepEqual(await fetchMaildrop({ port: server.ports.pop3s, ca: server.ca }, login), []);
});

test('alias: add, list, remove; mail for it reaches each target once', async () => {
  await good(['alias', 'add', 'team@fengni.test', 'bob@fengni.test', 'admin@fengni.test']);
  assert.equal(await good(['alias', 'list']), 'team@fengni.test -> bob@fengni.test, admin@fengni.test\n');
  const { id } = await sendMail(
    { port: server.ports.smtp },
    {
      from: 'a@b.example',
      to: ['team@fengni.test', 'bob@fengni.test'],
      octets: 'Subject: team\r\n\r\nx\r\n',
    },
  );
  const shown = await json<{ copies: number; recipients: string[] }>(['show', id, '--recipients']);
  assert.deepEqual([shown.copies, shown.recipients], [2, ['team@fengni.test', 'team@fengni.test']]);
  await refused(['alias', 'add', 'team@fengni.test', 'bob@fengni.test'], 2, /taken/);
  await refused(['alias', 'add', 'x@fengni.test', 'nobody@fengni.test'], 2, /no account or alias here/);
  await refused(['alias', 'add', 'x@fengni.test'], 2, /argument TARGET is missing/);
  assert.deepEqual(await json(['alias', 'remove', 'team@fengni.test']), { address: 'team@fengni.test' });
  assert.equal(await good(['alias', 'list'], zh), '没有别名。\n');
  await refused(['alias', 'remove', 'team@fengni.test'], 2, /no alias here/);
});

test('deliver takes a mail the ordinary way in: octets as they are, or LF made CRLF (WIRE, “files”)', async () => {
  const mail = 'From: a@b.example\r\nSubject: by hand\r\n\r\n.dot\r\nno end';
  const { id } = await json<{ id: string }>(['deliver', 'carol@fengni.test', '--from', 'a@b.example'], {
    stdin: mail,
  });
  const text = await cli(['deliver', 'carol@fengni.test'], { stdin: mail.replaceAll('\r\n', '\n') });
  assert.match(text.stdout, /^In the mailbox of carol@fengni\.test: id=[a-z2-7]{26} sha256=[0-9a-f]{64}\n$/);
  assert.match(text.stderr, /LF were made CRLF/);
  await good(['account', 'password', 'carol@fengni.test', '--password-stdin'], { stdin: 'carol\n' });
  const stored = await fetchMaildrop(
    { port: server.ports.pop3s, ca: server.ca },
    { user: 'carol@fengni.test', password: 'carol' },
  );
  assert.equal(stored.length, 2);
  // POP3 adds the CRLF that the mail does not have.
  for (const message of stored) assert(message.endsWith(`\r\n${mail}\r\n`), message);
  assert.match(
    stored[0] ?? '',
    /^Return-Path: <a@b\.example>\r\nDelivered-To: carol@fengni\.test\r\nReceived: by mail\.fengni\.test \(from userid \d+\) with LOCAL id /,
  );
  const shown = await good(['show', id]);
  assert.match(shown, /from +a command on this machine/);
  assert.match(shown, /sender +<a@b\.example>/);
});

test('a large mail is delivered and proved like a small one', async () => {
  const mail = `Subject: large\r\n\r\n${'0123456789abcdef'.repeat(4)}\r\n`.padEnd(900_000, 'large text\r\n');
  const { id, sha256 } = await json<{ id: string; sha256: string }>(['deliver', 'bob@fengni.test'], {
    stdin: mail,
  });
  assert.equal(sha256, createHash('sha256').update(mail).digest('hex'));
  const [file, receipt, key] = ['large.eml', 'large.receipt', 'large.key'].map((name) =>
    path.join(server.folder, name),
  ) as [string, string, string];
  fs.writeFileSync(file, mail);
  fs.writeFileSync(key, await good(['log', 'key']));
  await good(['receipt', id, '-o', receipt]);
  const verified = await runCli(['verify-receipt', receipt, file, '--key', key]);
  assert.equal(verified.status, 0, verified.stdout);
});

test('deliver refuses mixed line ends with the line, an empty mail, strangers, and what is too large', async () => {
  const to = ['deliver', 'carol@fengni.test'];
  await refused(to, 2, /line 2: some lines end in CRLF, others in LF/, { stdin: 'a: b\r\nc: d\n\r\n' });
  await refused(to, 2, /line 1: a CR that ends no line/, { stdin: 'a: b\rc\n' });
  await refused(to, 2, /标准输入为空/, { stdin: '', ...zh });
  await refused(['deliver', 'nobody@fengni.test'], 2, /550 5\.1\.1/, { stdin: 'x\n' });
  await refused(['deliver', 'x@elsewhere.example'], 2, /550 5\.7\.1/, { stdin: 'x\n' });
  await refused([...to, '--from', 'a>\r\nX: y'], 2, /is no address/, { stdin: 'x\n' });
  await refused(['deliver'], 2, /argument A is missing/);
  await refused(to, 2, /longer than 1048576 octets/, { stdin: 'x'.repeat(1_100_000) });
  await refused(to, 2, /552 5\.3\.4/, { stdin: '\n'.repeat(600_000) });
});

test('show lists the hops that a message claims, newest first, as claims; neither escapes nor whom they name as recipient', async () => {
  const octets =
    'Received: from mx.one.example (mx.one.example [192.0.2.1])\r\n by relay.two.example (Postfix) with ESMTPS id 7\r\n' +
    ' for <secret@bcc.example>; Thu, 15 Feb 2007 01:02:03 +0200\r\nReceived: by \x1b[31mlies.example with HTTP; no date\r\n' +
    'Subject: claims\r\n\r\nReceived: from the body\r\n';
  const { id } = await sendMail(
    { port: server.ports.smtp },
    { from: 'a@b.example', to: ['bob@fengni.test'], octets },
  );
  const shown = await good(['show', id]);
  assert.match(shown, /claimed +not proven: 2 Received fields of the message itself, newest first\n/);
  assert.match(
    shown,
    /claim 1 +2007-02-14 23:02:03 UTC, relay\.two\.example \(Postfix\) took it from mx\.one\.example \(mx\.one\.example \[192\.0\.2\.1\]\) by ESMTPS\n/,
  );
  assert.match(shown, /claim 2 +-, \[31mlies\.example took it from - by HTTP\n/);
  const chinese = await good(['show', id], { lang: 'zh_CN.UTF-8' });
  assert.match(chinese, /自称 +未经证实：邮件自身的 2 个 Received 字段，新的在前\n/);
  const { claimedHops } = await json<{ claimedHops: { by: string; timeMs: number | null }[] }>(['show', id]);
  assert.deepEqual(
    claimedHops.map(({ by, timeMs }) => [by, timeMs]),
    [
      ['relay.two.example', Date.UTC(2007, 1, 14, 23, 2, 3)],
      ['[31mlies.example', null],
    ],
  );
  const raw = JSON.stringify(claimedHops);
  for (const text of [shown, chinese, raw]) assert.ok(!text.includes('secret@') && !text.includes('\x1b'));
});

test('show --as tells a recipient of itself alone, neither of others nor of their number, and who got none of no message', async () => {
  for (const name of ['dan', 'eve'])
    await good(['account', 'add', `${name}@fengni.test`, '--password-stdin'], { stdin: 'x\n' });
  const { id } = await sendMail(
    { port: server.ports.smtp, ca: server.ca },
    {
      from: 'alice@client.example',
      to: ['dan@fengni.test', 'eve+list@fengni.test'],
      octets: 'Subject: two\r\n\r\nx\r\n',
    },
  );
  const both = await good(['show', id, '--recipients']);
  assert.match(both, /copies +2\n.*recipient +\S+\n.*recipient +\S+\n/);
  assert.doesNotMatch(await good(['show', id]), /dan@|eve/);
  for (const [as, own, other] of [
    ['dan@fengni.test', 'dan@fengni.test', 'eve'],
    ['Eve@fengni.test', 'eve+list@fengni.test', 'dan'],
  ] as const) {
    const view = await good(['show', id, '--as', as, '--recipients']);
    assert.ok(view.includes(`recipient  ${own}\n`), view);
    assert.doesNotMatch(view, new RegExp(`${other}|copies`));
    const value = await json<Record<string, unknown>>(['show', id, '--as', as]);
    assert.deepEqual([value['recipients'], 'copies' in value], [[own], false]);
  }
  for (const as of ['admin@fengni.test', 'nobody@fengni.test', 'x@elsewhere.example'])
    await refused(['show', id, '--as', as], 2, /no such message/);
});

test('show tells the journey of a message in plain words, recipients only when asked', async () => {
  const { id, sha256 } = await sendMail(
    { port: server.ports.smtp, ca: server.ca },
    { from: 'alice@client.example', to: ['admin@fengni.test'], octets: 'Subject: way\r\n\r\nx\r\n' },
  );
  await good(['receipt', id, '-o', '-']);
  const english = await good(['show', id.toUpperCase()]);
  assert.match(english, new RegExp(`^Message ${id}\\n`));
  assert.match(english, /from +127\.0\.0\.1 port \d+, which called itself client\.example/);
  assert.match(english, /way +ESMTPS, encrypted with TLSv1\.3, cipher TLS_\S+/);
  assert.match(english, new RegExp(`sha256 +${sha256}`));
  assert.match(english, /sealed +under the signed head of \d+ leaves of mail\.fengni\.test\/fengni\/s0\/g1/);
  assert.doesNotMatch(english, /admin@fengni\.test/);
  assert.match(await good(['show', id, '--recipients'], zh), /收件人 +admin@fengni\.test/);
  assert.match(english, /, key exchange \S+\n/);
  assert.match(english, /unknown +not checked: it came from a program on this machine or a relay of its own/);
  assert.match(await good(['show', id], zh), /无法检查 +未检查：来自本机程序或自己的中继/);
  const value = await json<{ session: Record<string, string>; sha256: string; witnessed: boolean }>([
    'show',
    id,
  ]);
  assert.deepEqual([value.session['tls'], value.sha256, value.witnessed], ['TLSv1.3', sha256, false]);
  await refused(['show', 'a'.repeat(26)], 2, /no such message/);
  await refused(['show', '不是编号'], 2, /没有这封邮件/, zh);
});

test('status: server, roles with their processes, log and seal; 0 when all is well', async () => {
  const text = await good(['status']);
  assert.match(text, new RegExp(`running, process ${server.pid}`));
  for (const role of ['mx', 'access', 'web', 'auth', 'writer', 'sealer'])
    assert.match(text, new RegExp(`${role} \\d+`));
  assert.match(text, /UNWITNESSED/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the colour itself is asked for
  assert.match(await good(['status'], { isTerminal: true, ...zh }), /\x1b\[31m未见证/);
  const value = await json<{
    good: boolean;
    pid: number;
    roles: Record<string, number>;
    writer: { sealer: string };
    dns: unknown;
  }>(['status']);
  assert.deepEqual([value.good, value.pid, value.writer.sealer], [true, server.pid, 'signing']);
  assert.deepEqual(value.dns, { resolvers: [dnsServer.endpoint], validation: 'does-not-validate' });
  assert.match(text, /DNS +127\.0\.0\.1:\d+: answers are NOT checked by DNSSEC\n/);
  assert.match(text, /what to do +let a validating resolver run on this machine/);
  assert.match(await good(['status'], zh), /DNS +\S+：应答没有经过 DNSSEC 验证\n/);
  assert.equal(Object.keys(value.roles).length, 6);
});

test('log key names each generation and its range; checkpoint prints the signed head octet for octet', async () => {
  const line = await good(['log', 'key']);
  assert.match(line, /^mail\.fengni\.test\/fengni\/s0\/g1\+[0-9a-f]{8}\+\S{44,} seq 1-\n$/);
  const [key] = await json<{ generation: number; lastSeq: null }[]>(['log', 'key']);
  assert.deepEqual([key?.generation, key?.lastSeq], [1, null]);
  const note = await good(['log', 'checkpoint']);
  assert.equal(note, fs.readFileSync(path.join(server.data, 'ledger/g1/checkpoint'), 'utf8'));
  assert.equal(parseCheckpoint(Buffer.from(note)).origin, 'mail.fengni.test/fengni/s0/g1');
});

test('log show prints a line a leaf, from and count; --json the same', async () => {
  const lines = (await good(['log', 'show'])).trim().split('\n');
  assert.match(lines[0] ?? '', /^0 day seq 1 \S+Z count 1$/);
  assert.match(lines[1] ?? '', /^1 genesis seq 2 /);
  assert(lines.some((line) => /^\d+ received seq \d+ \S+ id [a-z2-7]{26}$/.test(line)));
  assert.deepEqual(
    (await good(['log', 'show', '--from', '3', '--count', '2'])).trim().split('\n'),
    lines.slice(3, 5),
  );
  const leaves = await json<{ index: number; kind: string }[]>([
    'log',
    'show',
    '--from',
    '1',
    '--count',
    '1',
  ]);
  assert.deepEqual(
    leaves.map(({ index, kind }) => [index, kind]),
    [[1, 'genesis']],
  );
  assert.deepEqual(await json(['log', 'show', '--count', '0']), []);
  await refused(['log', 'show', '--from', 'x'], 2, /whole number/);
  await refused(['log', 'show', '--generation', '7'], 3, /generation 7 has no signed head/);
});

test('log proof proves a leaf under the signed head and under a smaller tree, and one tree as the beginning of another', async () => {
  const octets = Buffer.from(await good(['log', 'proof', '4']), 'utf8');
  const head = parseCheckpoint(parseProof(octets).checkpoint);
  interface Inclusion {
    index: number;
    size: number;
    leafHash: string;
    root: string;
    path: string[];
  }
  const hash = (text: string): Uint8Array => parseHash(text) ?? assert.fail(text);
  for (const size of [String(head.size), '9', '5']) {
    const proof = await json<Inclusion>(['log', 'proof', '4', size]);
    const { index, leafHash, root, path: way } = proof;
    assert(
      verifyInclusion({
        index,
        size: proof.size,
        leafHash: hash(leafHash),
        root: hash(root),
        path: way.map(hash),
      }),
    );
  }
  const both = await json<{
    oldSize: number;
    oldRoot: string;
    newSize: number;
    newRoot: string;
    path: string[];
  }>(['log', 'proof', '--consistency', '5', '9']);
  assert(
    verifyConsistency({
      oldSize: 5,
      oldRoot: hash(both.oldRoot),
      newSize: 9,
      newRoot: hash(both.newRoot),
      path: both.path.map(hash),
    }),
  );
  assert.match(await good(['log', 'proof', '4', '9'], zh), /^叶 4\n大小 9\nroot /);
  await refused(['log', 'proof', '9', '9'], 2, /INDEX: 9 is not a whole number from 0 to 8/);
  await refused(['log', 'proof', '1', '99999999'], 2, /SIZE/);
  await refused(['log', 'proof', '--consistency', '9', '5'], 2, /OLD/);
  await refused(['log', 'proof'], 2, /INDEX is missing/);
});

test('beside a running server the index can be dumped; to rebuild it and to begin a generation it must be stopped', async () => {
  const dump = await good(['index', 'dump']);
  assert.match(dump, /^mailbox m\S+ "INBOX" /m);
  assert.match(dump, /^row account admin@fengni\.test /m);
  assert.deepEqual(await json<string[]>(['index', 'dump']), dump.trimEnd().split('\n'));
  for (const command of [
    ['index', 'rebuild'],
    ['log', 'new-generation'],
  ])
    await refused(
      command,
      3,
      new RegExp(`held by process ${server.pid}\\nWhat to do: stop that server first`),
    );
});

test('status is 1 while a role does not run', async () => {
  const { roles } = await json<{ roles: Record<string, number> }>(['status']);
  // A stopped process is no dead one: the supervisor does not start another, and the writer's answer does not come.
  const writer = roles['writer'] ?? 0;
  process.kill(writer, 'SIGSTOP');
  try {
    const { status, stdout } = await cli(['status']);
    assert.equal(status, 1);
    assert.match(stdout, /the writer does not answer/);
  } finally {
    process.kill(writer, 'SIGCONT');
  }
  await good(['status']);
});

test('with --json a refusal is one JSON value with its code', async () => {
  const { status, stdout } = await cli(['domain', 'show', 'other.example', '--json']);
  assert.equal(status, 2);
  assert.equal((JSON.parse(stdout) as { error: { code: string } }).error.code, 'domain-refused');
});
