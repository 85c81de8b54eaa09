import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Pop3Dialogue, type Pop3DialogueOptions } from './dialogue.ts';
import { pop3Counters } from './index.ts';

const login = 'USER user\r\nPASS secret word\r\n';
const plainLogin = Buffer.from('\0user\0secret word').toString('base64');
const messages = ['A: b\r\n\r\none\r\n.two\r\n', 'X: y\n\n.\nz', null, undefined, ''];

/** The replies to some octets after the log-in. */
const replies = (octets: string, options: Pop3DialogueOptions = {}): string[] => {
  const dialogue = new Pop3Dialogue({ messages, ...options }).send(login);
  dialogue.take();
  return dialogue.send(octets).take();
};

const cutsOfSize = (lengthBytes: number, size: number): number[] =>
  Array.from({ length: Math.floor((lengthBytes - 1) / size) }, (_, index) => (index + 1) * size);

const trace = (octets: Buffer, cuts: readonly number[], options: Pop3DialogueOptions = {}): unknown => {
  const dialogue = new Pop3Dialogue({ messages, ...options });
  dialogue.send(octets, cuts);
  const { replies: said, logins, deleted, closed, handshakes } = dialogue;
  return { said, logins, deleted, closed, handshakes, counts: [...dialogue.counts].sort() };
};

test('CAPA lists what is offered, with and without TLS, before and after the log-in (RFC 2449 §5)', () => {
  const capa = (options: Pop3DialogueOptions, before = ''): string[] => {
    const dialogue = new Pop3Dialogue({ messages, ...options }).send(before);
    dialogue.take();
    return dialogue.send('CAPA\r\n').take();
  };
  const always = ['TOP', 'UIDL', 'RESP-CODES', 'AUTH-RESP-CODE', 'PIPELINING', 'EXPIRE NEVER', 'UTF8 USER'];
  assert.deepEqual(capa({ secure: true }), [
    '+OK',
    ...always,
    'USER',
    'SASL PLAIN',
    'IMPLEMENTATION Fengni',
    '.',
  ]);
  assert.deepEqual(capa({ secure: false }), ['+OK', ...always, 'STLS', 'IMPLEMENTATION Fengni', '.']);
  assert.deepEqual(capa({ secure: false, settings: { stls: false } }), [
    '+OK',
    ...always,
    'IMPLEMENTATION Fengni',
    '.',
  ]);
  assert.deepEqual(capa({}, login), ['+OK', ...always, 'USER', 'SASL PLAIN', 'IMPLEMENTATION Fengni', '.']);
});

test('a whole session: log in, look, fetch, delete, quit (RFC 1939 §4-7)', () => {
  const dialogue = new Pop3Dialogue({ messages });
  assert.deepEqual(dialogue.take(), ['+OK pop.fengni.test Fengni POP3']);
  dialogue.send(
    `${login}STAT\r\nLIST\r\nUIDL\r\nLIST 2\r\nUIDL 2\r\nDELE 1\r\nSTAT\r\nLIST\r\nNOOP\r\nQUIT\r\n`,
  );
  assert.deepEqual(dialogue.take(), [
    '+OK',
    '+OK 5 messages',
    '+OK 5 42',
    ...['+OK', '1 19', '2 9', '3 7', '4 7', '5 0', '.'],
    ...['+OK', '1 uidl-0', '2 uidl-1', '3 uidl-2', '4 uidl-3', '5 uidl-4', '.'],
    '+OK 2 9',
    '+OK 2 uidl-1',
    '+OK Message 1 goes at QUIT',
    '+OK 4 23',
    ...['+OK', '2 9', '3 7', '4 7', '5 0', '.'],
    '+OK',
    '+OK Bye',
  ]);
  assert.deepEqual(dialogue.deleted, [[0]]);
  assert.equal(dialogue.closed, true);
});

test('RETR and TOP give the octets, stuffed; LF endings stay (RFC 1939 §5, §7)', () => {
  assert.deepEqual(replies('RETR 1\r\nTOP 1 0\r\nTOP 1 1\r\nRETR 5\r\n'), [
    ...['+OK 19 octets', 'A: b', '', 'one', '..two', '.'],
    ...['+OK Top of message follows', 'A: b', '', '.'],
    ...['+OK Top of message follows', 'A: b', '', 'one', '.'],
    ...['+OK 0 octets', '.'],
  ]);
  assert.deepEqual(replies('RETR 2\r\n'), ['+OK 9 octets', 'X: y\n\n..\nz', '.']);
});

test('a damaged message fails alone with SYS/PERM, one that is gone says so', () => {
  const dialogue = new Pop3Dialogue({ messages }).send(login);
  dialogue.take();
  dialogue.send(`${'RETR 3\r\nTOP 3 1\r\n'.repeat(20)}RETR 4\r\nRETR 5\r\n`);
  const said = dialogue.take();
  assert.equal(
    said.filter((line) => line === '-ERR [SYS/PERM] Message 3 is damaged and is not given out').length,
    40,
  );
  assert.deepEqual(said.slice(40), ['-ERR Message 4 was removed by another session', '+OK 0 octets', '.']);
  assert.equal(dialogue.counts.get('pop3-message-damaged'), 40);
});

test('a message that is deleted or does not exist has no number; RSET brings it back (RFC 1939 §5)', () => {
  assert.deepEqual(
    replies('DELE 2\r\nRETR 2\r\nDELE 2\r\nTOP 2 1\r\nLIST 2\r\nUIDL 2\r\nRSET\r\nLIST 2\r\n'),
    [
      '+OK Message 2 goes at QUIT',
      ...Array.from({ length: 5 }, () => '-ERR Message 2 is deleted'),
      '+OK',
      '+OK 2 9',
    ],
  );
  assert.deepEqual(
    replies('RETR 6\r\nRETR 0\r\nRETR\r\nRETR x\r\nRETR -1\r\nTOP 1\r\nTOP 1 x\r\nTOP 1 1 1\r\n'),
    [
      '-ERR No message 6: there are 5',
      ...Array.from({ length: 4 }, () => '-ERR A message number is 1 or more'),
      ...Array.from({ length: 3 }, () => '-ERR Write TOP message lines'),
    ],
  );
});

test('nothing is removed without QUIT; when QUIT fails the client is told (RFC 1939 §6, RFC 3206)', () => {
  const gone = new Pop3Dialogue({ messages }).send(`${login}DELE 1\r\n`);
  gone.act(gone.session.peerEnded());
  assert.deepEqual([gone.deleted, gone.closed], [[], true]);
  const silent = new Pop3Dialogue({ messages }).send(`${login}DELE 1\r\n`);
  silent.take();
  silent.act(silent.session.timeOut());
  assert.deepEqual([silent.deleted, silent.closed, silent.take()], [[], true, []]);
  const failing = replies('DELE 1\r\nDELE 3\r\nQUIT\r\n', {
    quit: { kind: 'failed', code: 'IN-USE', text: 'Busy' },
  });
  assert.equal(failing.at(-1), '-ERR [IN-USE] Busy');
});

test('the password is asked for and looked at only with TLS', () => {
  const dialogue = new Pop3Dialogue({ secure: false });
  dialogue.take();
  dialogue.send(`${login}AUTH PLAIN ${plainLogin}\r\nAUTH PLAIN\r\n`);
  const said = dialogue.take();
  assert.equal(said.length, 4);
  for (const reply of said) assert.match(reply, /^-ERR \[AUTH\] /);
  assert.deepEqual(dialogue.logins, []);
  assert.equal(dialogue.counts.get('pop3-password-in-clear'), 4);
  assert.deepEqual(dialogue.send('AUTH \r\nAUTH\r\n').take(), ['+OK', '.', '+OK', '.']);
});

test('AUTH alone, also with a blank behind it, lists the mechanisms', () => {
  for (const command of ['AUTH\r\n', 'AUTH \r\n', 'auth  \r\n']) {
    const dialogue = new Pop3Dialogue();
    dialogue.take();
    assert.deepEqual(dialogue.send(command).take(), ['+OK', 'PLAIN', '.'], JSON.stringify(command));
  }
});

test('AUTH PLAIN with and without initial response, cancelled, malformed (RFC 5034 §4)', () => {
  const said = (octets: string): string[] => {
    const dialogue = new Pop3Dialogue({ messages });
    dialogue.take();
    return dialogue.send(octets).take();
  };
  assert.deepEqual(said(`AUTH PLAIN ${plainLogin}\r\n`), ['+OK 5 messages']);
  assert.deepEqual(said(`auth plain\r\n${plainLogin}\r\nSTAT\r\n`), ['+ ', '+OK 5 messages', '+OK 5 42']);
  assert.deepEqual(said('AUTH PLAIN\r\n*\r\nNOOP\r\n'), ['+ ', '-ERR Cancelled', '+OK']);
  assert.deepEqual(said('AUTH PLAIN\r\nnot base64\r\nNOOP\r\n'), ['+ ', '-ERR Not base64', '+OK']);
  assert.deepEqual(said('AUTH PLAIN !\r\n'), ['-ERR Not base64']);
  assert.deepEqual(said('AUTH PLAIN =\r\n'), ['-ERR two NUL separate authorization id, user and password']);
  assert.deepEqual(said('AUTH CRAM-MD5\r\n'), ['-ERR Write AUTH with one of: PLAIN']);
  const other = Buffer.from('boss\0user\0secret word').toString('base64');
  assert.deepEqual(said(`AUTH PLAIN ${other}\r\n`), ['-ERR [AUTH] Nobody acts for somebody else here']);
  const self = Buffer.from('user\0user\0secret word').toString('base64');
  assert.deepEqual(said(`AUTH PLAIN ${self}\r\n`), ['+OK 5 messages']);
});

test('PASS takes the rest of the line with its blanks, UTF-8 too (RFC 1939 §7, RFC 6856 §2.1)', () => {
  const dialogue = new Pop3Dialogue();
  dialogue.send('UTF8\r\nUSER 李@例.test\r\nPASS  two  密码 \r\nPASS x\r\nUSER\r\n');
  assert.deepEqual(dialogue.logins, [{ user: '李@例.test', password: ' two  密码 ' }]);
  assert.deepEqual(dialogue.take().slice(1), [
    '+OK UTF8 enabled',
    '+OK',
    '-ERR [AUTH] Wrong user or password',
    '-ERR USER first',
    '-ERR USER needs a name',
  ]);
  assert.equal(dialogue.counts.get('pop3-login-refused'), 1);
});

test('commands belong to their state (RFC 1939 §4, §5)', () => {
  const dialogue = new Pop3Dialogue({ messages });
  dialogue.take();
  dialogue.send(`STAT\r\nRETR 1\r\nAPOP a b\r\n${login}USER x\r\nSTLS\r\nAUTH\r\nUTF8\r\n`);
  assert.deepEqual(dialogue.take(), [
    '-ERR Unknown command, or not before the log-in',
    '-ERR Unknown command, or not before the log-in',
    '-ERR [AUTH] APOP is not offered; log in with TLS',
    '+OK',
    '+OK 5 messages',
    ...Array.from({ length: 4 }, () => '-ERR Unknown command, or not after the log-in'),
  ]);
});

test('commands in clear behind STLS are dropped, USER before it is forgotten (RFC 2595 §4)', () => {
  for (let size = 1; size <= 20; size++) {
    const dialogue = new Pop3Dialogue({ secure: false });
    dialogue.take();
    const octets = 'STLS\r\nCAPA\r\nUSER evil\r\n';
    dialogue.send(octets, cutsOfSize(octets.length, size));
    assert.deepEqual(dialogue.take(), ['+OK Begin TLS']);
    assert.equal(dialogue.counts.get('pop3-stls-injection'), 1);
    dialogue.act(dialogue.session.answer({ kind: 'secured' }));
    dialogue.send(`PASS x\r\nSTLS\r\n${login}`);
    assert.deepEqual(dialogue.take(), ['-ERR USER first', '-ERR TLS is on', '+OK', '+OK 0 messages']);
  }
  assert.deepEqual(
    new Pop3Dialogue({ secure: false, settings: { stls: false } }).send('STLS\r\n').take().slice(1),
    ['-ERR STLS is not offered'],
  );
});

test('errors, commands before the log-in and lines have limits', () => {
  const errors = new Pop3Dialogue();
  errors.take();
  errors.send('FOO\r\n'.repeat(30));
  assert.deepEqual(
    [errors.take().slice(19), errors.closed],
    [['-ERR Unknown command, or not before the log-in', '-ERR Too many errors'], true],
  );
  assert.equal(errors.counts.get('pop3-too-many-errors'), 1);
  const idle = new Pop3Dialogue();
  idle.send('CAPA\r\n'.repeat(101));
  assert.deepEqual([idle.take().at(-1), idle.closed], ['-ERR Too many commands without a log-in', true]);
  assert.equal(idle.counts.get('pop3-too-many-commands'), 1);
  const busy = new Pop3Dialogue().send(`${login}${'NOOP\r\n'.repeat(1000)}`);
  assert.equal(busy.closed, false);
  const long = new Pop3Dialogue();
  long.take();
  long.send(`NOOP ${'x'.repeat(8185)}\r\nNOOP ${'x'.repeat(8186)}\r\nNOOP\r\n`);
  assert.deepEqual(long.take(), ['+OK', '-ERR Line over 8192 octets', '+OK']);
  assert.equal(long.counts.get('pop3-line-too-long'), 1);
  long.send('x'.repeat(70_000));
  assert.equal(long.closed, true);
  assert.equal(long.counts.get('pop3-line-endless'), 1);
});

test('bare CR or LF, HTTP and TLS on a plain port close', () => {
  for (const [octets, counter, said] of [
    ['NOOP\nQUIT\r\n', 'pop3-bare-cr-or-lf', ['-ERR A line ends in CRLF: bare LF received, closing']],
    ['GET / HTTP/1.0\r\n', 'pop3-http', []],
    ['\x16\x03\x01', 'pop3-tls-on-plain', []],
  ] as const) {
    const dialogue = new Pop3Dialogue({ secure: false });
    dialogue.take();
    dialogue.send(octets);
    assert.deepEqual([dialogue.take(), dialogue.closed, dialogue.counts.get(counter)], [said, true, 1]);
  }
});

test('at shutdown an idle session is told, a reply under way is finished first', () => {
  const idle = new Pop3Dialogue({ messages }).send(login);
  idle.take();
  idle.act(idle.session.shutDown());
  assert.deepEqual(
    [idle.take(), idle.closed],
    [['-ERR [SYS/TEMP] Shutting down; nothing was removed'], true],
  );
  const busy = new Pop3Dialogue({ messages, late: true }).send(login);
  busy.take();
  busy.act(busy.session.feed(Buffer.from('DELE 1\r\nQUIT\r\n')));
  busy.act(busy.session.shutDown());
  busy.settle();
  assert.deepEqual([busy.take(), busy.deleted], [['+OK Message 1 goes at QUIT', '+OK Bye'], [[0]]]);
});

test('every chunking gives the same replies, with answers at once or late', () => {
  for (const text of [
    `CAPA\r\n${login}STAT\r\nLIST\r\nRETR 1\r\nTOP 1 1\r\nRETR 3\r\nDELE 2\r\nQUIT\r\nNOOP\r\n`,
    `AUTH PLAIN\r\n${plainLogin}\r\nUIDL\r\nRSET\r\nFOO\r\n`,
    `AUTH\r\nUSER x\r\nPASS y\r\nAUTH PLAIN\r\n*\r\n${login}RETR 9\r\n`,
    'NOOP\r\nNOOP\rx\r\n',
  ]) {
    const octets = Buffer.from(text);
    const expected = trace(octets, []);
    for (let size = 1; size <= octets.length; size++) {
      assert.deepEqual(trace(octets, cutsOfSize(octets.length, size)), expected, `${text} by ${size}`);
      assert.deepEqual(
        trace(octets, cutsOfSize(octets.length, size), { late: true }),
        expected,
        `${text} by ${size}, late`,
      );
    }
  }
});

test('random commands in random chunks give the same replies', () => {
  const piece = fc.constantFrom(
    login,
    'CAPA\r\n',
    'AUTH PLAIN\r\n',
    `${plainLogin}\r\n`,
    '*\r\n',
    'STAT\r\n',
    'LIST\r\n',
    'RETR 1\r\n',
    'RETR 3\r\n',
    'TOP 2 1\r\n',
    'DELE 2\r\n',
    'RSET\r\n',
    'QUIT\r\n',
    'x'.repeat(60),
    '\r\n',
    '\r',
    '\n',
    'STLS\r\n',
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 25 }),
      fc.array(fc.nat(400)),
      fc.boolean(),
      fc.boolean(),
      (pieces, cuts, late, secure) => {
        const octets = Buffer.from(pieces.join(''));
        const sorted = cuts.filter((cut) => cut < octets.length).sort((left, right) => left - right);
        const options = { secure, settings: { lineBytesMax: 80 } };
        assert.deepEqual(trace(octets, sorted, { ...options, late }), trace(octets, [], options));
      },
    ),
    { numRuns: 1000 },
  );
});

test('a listing of a large maildrop comes in pieces', () => {
  const dialogue = new Pop3Dialogue({ messages: Array.from({ length: 2500 }, () => 'x') }).send(login);
  dialogue.take();
  const [effect] = dialogue.session.feed(Buffer.from('LIST\r\n'));
  assert.equal(effect?.kind, 'listing');
  if (effect?.kind !== 'listing') return;
  const pieces = [...effect.pieces];
  assert.equal(pieces.length, 3);
  assert.equal(pieces.join('').split('\r\n').length, 2503);
});

test('every counter of the engine has a meaning', () => {
  for (const [name, meaning] of Object.entries(pop3Counters)) {
    assert.match(name, /^pop3-[a-z-]+$/);
    assert.notEqual(meaning, '');
  }
});

const scram = { hasAppPasswords: () => true, binding: () => new Uint8Array(32) };
const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString('base64');

/** The client's final message; the dialogue takes proofs that begin with 1. */
const finalOf = (challenge: string, first: number): string => {
  const nonce = Buffer.from(challenge.slice(2), 'base64').toString().split(',')[0] ?? '';
  return base64(`c=${base64('n,,')},${nonce},p=${base64(new Uint8Array(32).fill(first))}`);
};

test('AUTH SCRAM-SHA-256 lets in after the client has seen the server’s signature (RFC 5034, 5802)', () => {
  const dialogue = new Pop3Dialogue({ channel: { hasAppPasswords: () => true } });
  dialogue.take();
  const [challenge = ''] = dialogue.send(`AUTH SCRAM-SHA-256 ${base64('n,,n=user,r=abc')}\r\n`).take();
  assert.match(challenge, /^\+ /);
  assert.deepEqual(dialogue.send(`${finalOf(challenge, 1)}\r\n`).take(), [
    `+ ${base64(`v=${base64(new Uint8Array(32))}`)}`,
  ]);
  assert.equal(dialogue.session.loggedIn, false);
  assert.deepEqual(dialogue.send('\r\nSTAT\r\n').take(), ['+OK 0 messages', '+OK 0 0']);
  assert.equal(dialogue.session.loggedIn, true);
});

test('a wrong proof is refused as a wrong password is; giving up after a right one closes', () => {
  const wrong = new Pop3Dialogue({ channel: scram });
  wrong.take();
  const [challenge = ''] = wrong.send(`AUTH scram-sha-256 ${base64('n,,n=user,r=abc')}\r\n`).take();
  assert.deepEqual(wrong.send(`${finalOf(challenge, 2)}\r\n`).take(), ['-ERR [AUTH] Wrong user or password']);
  assert.equal(wrong.counts.get('pop3-login-refused'), 1);
  assert.deepEqual(wrong.send('AUTH SCRAM-SHA-256 !\r\n').take(), ['-ERR Not base64']);

  const quitter = new Pop3Dialogue({ channel: scram });
  quitter.take();
  const [again = ''] = quitter.send(`AUTH SCRAM-SHA-256 ${base64('n,,n=user,r=abc')}\r\n`).take();
  quitter.send(`${finalOf(again, 1)}\r\n`).take();
  assert.deepEqual(quitter.send('*\r\n').take(), ['-ERR Cancelled']);
  assert.equal(quitter.closed, true);
  assert.equal(quitter.session.loggedIn, false);
});

test('CAPA and AUTH name SCRAM where it leads somewhere, PLUS where there is something to bind to', () => {
  const sasl = (dialogue: Pop3Dialogue): string | undefined => {
    dialogue.take();
    return dialogue
      .send('CAPA\r\n')
      .take()
      .find((line) => line.startsWith('SASL'));
  };
  assert.equal(sasl(new Pop3Dialogue()), 'SASL PLAIN');
  const bound = new Pop3Dialogue({ channel: scram });
  assert.equal(sasl(bound), 'SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN');
  assert.deepEqual(bound.send('AUTH \r\n').take(), [
    ...['+OK', 'SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256', 'PLAIN', '.'],
  ]);
  assert.equal(
    sasl(new Pop3Dialogue({ channel: { hasAppPasswords: () => true } })),
    'SASL SCRAM-SHA-256 PLAIN',
  );
  assert.equal(sasl(new Pop3Dialogue({ channel: scram, secure: false })), undefined);
});

test('a session whose log-in holds no longer is told so and removes nothing (RFC 3206 AUTH)', () => {
  const dialogue = new Pop3Dialogue({ messages: ['a\r\n'] });
  dialogue.send('USER user\r\nPASS secret word\r\nDELE 1\r\n').take();
  dialogue.act(dialogue.session.revoke());
  assert.deepEqual(dialogue.take(), ['-ERR [AUTH] This log-in is valid no longer; nothing was removed']);
  assert.equal(dialogue.closed, true);
  assert.deepEqual(dialogue.deleted, []);
  assert.equal(dialogue.counts.get('pop3-revoked'), 1);
});

test('a listing of 100,000 messages is whole', () => {
  const dialogue = new Pop3Dialogue({ messages: new Array<string>(100_000).fill('abc\r\n') });
  dialogue.send('USER user\r\nPASS secret word\r\n').take();
  const lines = dialogue.send('UIDL\r\n').take();
  assert.equal(lines.length, 100_002);
  assert.equal(lines[100_000], '100000 uidl-99999');
  assert.deepEqual(dialogue.send('STAT\r\nRETR 100000\r\n').take().slice(0, 3), [
    ...['+OK 100000 500000', '+OK 5 octets', 'abc'],
  ]);
});
