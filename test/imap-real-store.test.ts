import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { fromLatin1 } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { ImapLogin } from '#protocols/imap';
import type { MailIndex } from '#store/index';
import { createImapServer, ImapPipe } from './support/imap-pipe.ts';
import { type ImapRealStore, openImapRealStore } from './support/imap-real-store.ts';

let store: ImapRealStore;
let accounts = 0;
before(async () => {
  store = await openImapRealStore();
});
after(() => store.close());

const newUser = async (): Promise<string> => {
  const user = `real${++accounts}@fengni.test`;
  await store.addAccount(user);
  return user;
};

const connect = async (user: string, login: ImapLogin = store.login): Promise<ImapPipe> => {
  const pipe = new ImapPipe(createImapServer(login));
  pipe.take();
  assert.match((await pipe.command(`LOGIN ${user} secret`)).tagged, /^OK/);
  return pipe;
};

const append = async (pipe: ImapPipe, mailbox: string, octets: Uint8Array): Promise<number> => {
  pipe.send(`ap APPEND ${mailbox} ~{${octets.length}+}\r\n`);
  pipe.send(octets);
  pipe.send('\r\n');
  const uid = /^ap OK \[APPENDUID \d+ (\d+)\]/m.exec(await pipe.until(/^ap /m));
  assert.ok(uid !== null);
  return Number(uid[1]);
};

test('every account has the mailboxes with their roles, subscribed (WIRE, RFC 6154)', async () => {
  const pipe = await connect(await newUser());
  const expected = ['INBOX', 'Archive', 'Drafts', 'Junk', 'Sent', 'Trash'];
  const listed = (await pipe.command('LIST "" *')).untagged;
  assert.deepEqual(
    [...listed.matchAll(/"([^"/]+)"\r$/gm)].map((match) => match[1]),
    expected,
  );
  for (const role of expected.slice(1)) assert.match(listed, new RegExp(`\\\\${role}\\) "/" "${role}"`));
  const subscribed = (await pipe.command('LSUB "" *')).untagged;
  assert.deepEqual(
    [...subscribed.matchAll(/"([^"/]+)"\r$/gm)].map((match) => match[1]),
    expected,
  );
});

test('what is appended comes back octet for octet, whole and in parts, small and large', async () => {
  const pipe = await connect(await newUser());
  await pipe.command('SELECT INBOX');
  for (const size of [1, 100, 65_535, 65_536, 65_537, 262_144, 300_000, 1_048_576, 1_500_000]) {
    const octets = Buffer.alloc(size);
    for (let at = 0; at < size; at++) octets[at] = (at * 31 + (at >> 8)) & 255;
    const header = fromLatin1(`Subject: ${size}\r\n\r\n`);
    const message = Buffer.concat([header, octets]);
    const uid = await append(pipe, 'INBOX', message);
    const whole = (await pipe.command(`UID FETCH ${uid} BODY.PEEK[]`)).untagged;
    const start = whole.indexOf('\r\n') + 2;
    assert.ok(
      message.equals(Buffer.from(whole.slice(start, start + message.length), 'latin1')),
      `${size} octets`,
    );
    for (const from of [0, 65_530, 131_060, size - 3]) {
      if (from < 0 || from >= message.length) continue;
      const part = (await pipe.command(`UID FETCH ${uid} BODY.PEEK[]<${from}.20>`)).untagged;
      const expected = message.subarray(from, from + 20);
      assert.ok(
        part.includes(`BODY[]<${from}> {${expected.length}}\r\n${expected.toString('latin1')})`),
        `${size} from ${from}`,
      );
    }
    assert.ok(
      (await pipe.command(`UID FETCH ${uid} (RFC822.SIZE)`)).untagged.includes(
        `RFC822.SIZE ${message.length}`,
      ),
    );
  }
});

test('changes of another process arrive in IDLE, and \\Recent is given once between processes', async () => {
  const user = await newUser();
  const other = store.anotherLogin();
  const here = await connect(user);
  const there = await connect(user, other);
  await append(here, 'INBOX', fromLatin1('Subject: 1\r\n\r\nx'));
  assert.match((await here.command('SELECT INBOX')).untagged, /\* 1 RECENT/);
  assert.match((await there.command('SELECT INBOX')).untagged, /\* 1 EXISTS\r\n\* 0 RECENT/);
  there.send('i IDLE\r\n');
  await there.until(/^\+/);
  await append(here, 'INBOX', fromLatin1('Subject: 2\r\n\r\nx'));
  assert.match(await there.until(/EXISTS/), /^\* 2 EXISTS\r\n/);
  await here.command('STORE 1 +FLAGS (\\Seen Later)');
  let told = '';
  while (!told.includes('* 1 FETCH')) told += await there.until(/FETCH/);
  assert.match(told, /\* FLAGS \(.* Later\)\r\n.*\* 1 FETCH \(FLAGS \(\\Seen Later\)\)/s);
  await here.command('STORE 1 +FLAGS.SILENT (\\Deleted)');
  await here.command('EXPUNGE');
  told = '';
  while (!told.includes('EXPUNGE')) told += await there.until(/EXPUNGE/);
  there.send('DONE\r\n');
  await there.until(/^i OK/m);
  assert.equal((await there.command('UID SEARCH ALL')).untagged, '* SEARCH 2\r\n');
  for (const pipe of [here, there]) pipe.session.closed();
});

test('idle sessions hear of a message before it is known to whom it is recent, and one of them asks for all', async (t) => {
  const user = await newUser();
  const idling: ImapPipe[] = [];
  for (let count = 0; count < 5; count++) {
    const pipe = await connect(user);
    await pipe.command('SELECT INBOX');
    pipe.send('i IDLE\r\n');
    await pipe.until(/^\+/);
    idling.push(pipe);
  }
  const { writer } = store;
  const markRecent = writer.markRecent;
  const held = Promise.withResolvers<void>();
  let asked = 0;
  t.after(() => Object.assign(writer, { markRecent }));
  Object.assign(writer, {
    markRecent: async (request: Parameters<typeof markRecent>[0]) => {
      asked += 1;
      await held.promise;
      return markRecent(request);
    },
  });
  const sender = await connect(user, store.anotherLogin());
  await append(sender, 'INBOX', fromLatin1('Subject: 1\r\n\r\nx'));
  for (const pipe of idling) assert.equal(await pipe.until(/EXISTS\r\n/), '* 1 EXISTS\r\n');
  assert.equal(asked, 1);
  held.resolve();
  for (const pipe of idling) pipe.send('DONE\r\n');
  const told = await Promise.all(idling.map((pipe) => pipe.until(/^i OK/m)));
  assert.equal(told.filter((each) => each.includes('* 1 RECENT')).length, 1);
  assert.equal(asked, 1);
  for (const pipe of [...idling, sender]) pipe.session.closed();
});

test('own silent changes are not told back by the writer', async () => {
  const pipe = await connect(await newUser());
  for (let count = 0; count < 3; count++) await append(pipe, 'INBOX', fromLatin1('Subject: x\r\n\r\nx'));
  await pipe.command('SELECT INBOX');
  for (let count = 0; count < 20; count++) {
    assert.equal(
      (await pipe.command(`STORE 1:3 ${count % 2 === 0 ? '+' : '-'}FLAGS.SILENT (\\Flagged)`)).untagged,
      '',
    );
    await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal((await pipe.command('NOOP')).untagged, '');
  }
});

test('two processes never name their commands alike: each would take the other’s changes for its own', async () => {
  const user = await newUser();
  const origins: string[] = [];
  const { changeFlags } = store.writer;
  store.writer.changeFlags = (request) => {
    origins.push(request.origin);
    return changeFlags(request);
  };
  try {
    for (const login of [store.anotherLogin(), store.anotherLogin()]) {
      const pipe = await connect(user, login);
      await append(pipe, 'INBOX', fromLatin1('Subject: x\r\n\r\nx'));
      await pipe.command('SELECT INBOX');
      for (const flag of ['a', 'b']) await pipe.command(`STORE 1 FLAGS.SILENT (${flag})`);
    }
  } finally {
    store.writer.changeFlags = changeFlags;
  }
  assert.equal(new Set(origins).size, 4, origins.join(' '));
});

test('names that come back have another UIDVALIDITY; MOVE and COPY keep dates and flags', async () => {
  const pipe = await connect(await newUser());
  const validity = async (): Promise<number> =>
    Number(/UIDVALIDITY (\d+)/.exec((await pipe.command('STATUS again (UIDVALIDITY)')).untagged)?.[1]);
  await pipe.command('CREATE again');
  const first = await validity();
  await pipe.command('DELETE again');
  await pipe.command('CREATE again');
  assert.ok((await validity()) > first);
  pipe.send('a APPEND INBOX (\\Flagged) "01-Jan-2020 00:00:00 +0100" {12+}\r\nA: b\r\n\r\ntext\r\n');
  await pipe.until(/^a OK/m);
  await pipe.command('SELECT INBOX');
  assert.match((await pipe.command('MOVE 1 again')).tagged, /^OK/);
  await pipe.command('SELECT again');
  assert.equal(
    (await pipe.command('FETCH 1 (FLAGS INTERNALDATE)')).untagged,
    '* 1 FETCH (FLAGS (\\Flagged \\Recent) INTERNALDATE "31-Dec-2019 23:00:00 +0000")\r\n',
  );
  assert.match((await pipe.command('RENAME again deeper/again')).tagged, /^OK/);
  assert.match((await pipe.command('LIST "" deeper*')).untagged, /"deeper"\r\n.*"deeper\/again"/);
  assert.match((await pipe.command('NOOP')).tagged, /^OK/, 'a renamed mailbox stays selected');
  await pipe.command('COPY 1 INBOX');
  assert.match((await pipe.command('RENAME INBOX old')).tagged, /^OK/);
  assert.match((await pipe.command('STATUS INBOX (MESSAGES)')).untagged, /MESSAGES 0/);
  assert.match((await pipe.command('STATUS old (MESSAGES UNSEEN)')).untagged, /MESSAGES 1 UNSEEN 1/);
  assert.match((await pipe.command('CREATE "&ZeVnLIqe-/x"')).tagged, /^OK/);
  assert.match((await pipe.command('CREATE "Other Users/x"')).tagged, /^NO \[CANNOT\]/);
});

test('a flipped octet on disk: metadata, no body, named; nothing of it is served', async () => {
  const pipe = await connect(await newUser());
  const body = 'q'.repeat(5000);
  await append(pipe, 'INBOX', fromLatin1(`From: a@example.org\r\nSubject: good\r\n\r\n${body}`));
  const before = segmentSizes();
  await append(pipe, 'INBOX', fromLatin1(`From: a@example.org\r\nSubject: bad\r\n\r\n${body}`));
  const [file, from] = [...before].at(-1) ?? ['', 0];
  const at = Math.floor((from + fs.statSync(file).size) / 2);
  const octet = Buffer.alloc(1);
  const descriptor = fs.openSync(file, 'r+');
  fs.readSync(descriptor, octet, 0, 1, at);
  fs.writeSync(descriptor, Buffer.of((octet[0] ?? 0) ^ 1), 0, 1, at);
  try {
    await pipe.command('SELECT INBOX');
    const reply = await pipe.command('FETCH 1:* (UID RFC822.SIZE ENVELOPE BODY.PEEK[])');
    assert.match(reply.tagged, /^NO \[CORRUPTION\] UID 2:/);
    assert.match(reply.untagged, /\* 1 FETCH \(RFC822\.SIZE 5038 .* BODY\[\] \{5038\}/);
    assert.match(reply.untagged, /\* 2 FETCH \(RFC822\.SIZE 5037 ENVELOPE \(NIL "bad" .* UID 2\)\r\n$/);
    assert.match((await pipe.command('FETCH 2 BODY[HEADER.FIELDS (Subject)]')).tagged, /^NO \[CORRUPTION\]/);
    assert.doesNotMatch((await pipe.command('FETCH 2 FLAGS')).untagged, /Seen/);
  } finally {
    fs.writeSync(descriptor, octet, 0, 1, at);
    fs.closeSync(descriptor);
  }
  assert.match((await pipe.command('FETCH 2 BODY[]')).tagged, /^OK/);
});

test('a damaged row of the index costs its own message’s body only', async () => {
  const user = await newUser();
  const writer = await connect(user);
  for (const subject of ['1', '2', '3'])
    await append(writer, 'INBOX', fromLatin1(`Subject: ${subject}\r\n\r\n${subject}`));
  const inbox = store.writer.index.mailboxByName(store.accountOf(user), 'INBOX');
  const [placement] = store.writer.index.placementsByUid(inbox?.id ?? '', [2]);
  const refuseDamaged = (seqs: readonly number[]): void => {
    if (placement === undefined || !seqs.includes(placement.emailSeq)) return;
    throw new FengniError('index-row-damaged', { subject: 'a row', remedy: 'run "fengni index rebuild"' });
  };
  const damagedRow = store.anotherLogin((index) =>
    Object.assign(Object.create(index) as typeof index, {
      emails: (seqs: readonly number[]) => {
        refuseDamaged(seqs);
        return index.emails(seqs);
      },
      texts: (seqs: readonly number[]) => {
        refuseDamaged(seqs);
        return index.texts(seqs);
      },
      mailboxes: (account: string) => index.mailboxes(account),
      mailbox: (id: string) => index.mailbox(id),
      mailboxByName: (account: string, name: string) => index.mailboxByName(account, name),
      threadIds: (seqs: readonly number[]) => index.threadIds(seqs),
      placements: (id: string, after: number, limit: number) => index.placements(id, after, limit),
      countPlacements: (id: string) => index.countPlacements(id),
      changedUids: (...asked: Parameters<MailIndex['changedUids']>) => index.changedUids(...asked),
      changesSince: (id: string, modSeq: number) => index.changesSince(id, modSeq),
      close: () => index.close(),
    }),
  );
  const pipe = await connect(user, damagedRow);
  await pipe.command('SELECT INBOX');
  const reply = await pipe.command('FETCH 1:* (UID BODY.PEEK[TEXT])');
  assert.equal(
    reply.untagged,
    '* 1 FETCH (UID 1 BODY[TEXT] {1}\r\n1)\r\n* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 3 BODY[TEXT] {1}\r\n3)\r\n',
  );
  assert.match(reply.tagged, /^NO \[CORRUPTION\] UID 2:/);
  const envelopes = await pipe.command('FETCH 1:* (ENVELOPE EMAILID)');
  assert.match(
    envelopes.untagged,
    /^\* 1 FETCH \(EMAILID .* ENVELOPE .*\r\n\* 2 FETCH \(EMAILID \(\S+\)\)\r\n\* 3 FETCH .* ENVELOPE /,
  );
  assert.match(envelopes.tagged, /^NO \[CORRUPTION\] UID 2:/);
  assert.equal((await pipe.command('FETCH 2 ENVELOPE')).untagged, '* 2 FETCH (UID 2)\r\n');
  assert.deepEqual(await pipe.command('FETCH 1:3 PREVIEW'), {
    untagged: '* 1 FETCH (PREVIEW "1")\r\n* 2 FETCH (PREVIEW NIL)\r\n* 3 FETCH (PREVIEW "3")\r\n',
    tagged: 'OK Fetched',
  });
  const searched = await pipe.command('UID SEARCH TEXT Subject');
  assert.equal(searched.untagged, '* SEARCH 1 3\r\n');
  assert.match(searched.tagged, /^NO \[CORRUPTION\] UID 2:/);
  assert.match((await pipe.command('FETCH 1 ENVELOPE')).tagged, /^OK/);
});

test('STOREs that are sent together share a group of the log, and each is answered as if it were alone (RFC 9051 §5.5)', async () => {
  const pipe = await connect(await newUser());
  const count = 20;
  for (let number = 1; number <= count; number++)
    await append(pipe, 'INBOX', fromLatin1(`Subject: ${number}\r\n\r\n`));
  await pipe.command('SELECT INBOX');
  const send = async (commands: readonly string[]): Promise<string> => {
    pipe.send(commands.map((command, at) => `p${at} ${command}\r\n`).join(''));
    return (await pipe.until(new RegExp(`^p${commands.length - 1} .*\r\n$`, 'm'))).replace(
      /\\Recent ?| \\Recent/g,
      '',
    );
  };
  const numbers = Array.from({ length: count }, (_, at) => at + 1);
  const { groups } = store.writer.queue.stats();
  assert.equal(
    await send(numbers.map((number) => `STORE ${number} +FLAGS (\\Flagged)`)),
    numbers.map((number) => `* ${number} FETCH (FLAGS (\\Flagged))\r\np${number - 1} OK Stored\r\n`).join(''),
  );
  assert.ok(store.writer.queue.stats().groups - groups <= count / 4, 'few groups');
  // The same message: each answer says what its own command made.
  assert.equal(
    await send(['STORE 1 +FLAGS (\\Seen)', 'STORE 1:2 -FLAGS (\\Flagged)', 'UID STORE 3 FLAGS.SILENT ()']),
    '* 1 FETCH (FLAGS (\\Flagged \\Seen))\r\np0 OK Stored\r\n* 1 FETCH (FLAGS (\\Seen))\r\n* 2 FETCH (FLAGS ())\r\np1 OK Stored\r\np2 OK Stored\r\n',
  );
  // What is no STORE, or none that can be done, keeps its place; so does a line that is no command.
  const mixed = await send([
    'STORE 4 +FLAGS.SILENT (\\Seen)',
    'STORE 99 +FLAGS (\\Seen)',
    'STORE 5 +FLAGS.SILENT (\\Seen)',
    'SEARCH SEEN',
    'STORE 6 +FLAGS.SILENT (\\Seen)',
    'STORE',
    'FETCH 3:4 FLAGS',
    'STORE 7 +FLAGS.SILENT (\\Seen)',
    '=',
    'NOOP',
  ]);
  assert.deepEqual(
    mixed.split('\r\n').map((line) => line.replace(/^(p\d+ BAD).*/, '$1')),
    [
      'p0 OK Stored',
      'p1 BAD',
      'p2 OK Stored',
      '* SEARCH 1 4 5',
      'p3 OK Searched',
      'p4 OK Stored',
      'p5 BAD',
      '* 3 FETCH (FLAGS ())',
      '* 4 FETCH (FLAGS (\\Flagged \\Seen))',
      'p6 OK Fetched',
      'p7 OK Stored',
      'p8 BAD',
      'p9 OK Nothing done',
      '',
    ],
  );
});

test('a mailbox that is deleted while STOREs are under way ends the session once (RFC 2180 §3.3)', async () => {
  const user = await newUser();
  const [pipe, other] = [await connect(user), await connect(user)];
  await other.command('CREATE Gone');
  for (let number = 1; number <= 10; number++) await append(other, 'Gone', fromLatin1('Subject: x\r\n\r\n'));
  await pipe.command('SELECT Gone');
  const deleted = other.command('DELETE Gone');
  pipe.send(
    Array.from({ length: 10 }, (_, at) => `p${at} STORE ${at + 1} +FLAGS (\\Seen)\r\n`).join('') +
      'p10 NOOP\r\n',
  );
  await deleted;
  while (!pipe.ended) await pipe.until(/BYE/);
  const said = pipe.take();
  assert.ok(pipe.ended);
  assert.ok((said.match(/BYE/g) ?? []).length <= 1, said);
});

const segmentSizes = (): Map<string, number> => {
  const folder = path.join(store.folder, 'segments');
  return new Map(
    fs
      .readdirSync(folder)
      .sort()
      .map((name) => [path.join(folder, name), fs.statSync(path.join(folder, name)).size]),
  );
};

test('the 101st keyword is refused, and nothing of the command is done', async () => {
  const user = await newUser();
  const pipe = await connect(user);
  await append(pipe, 'INBOX', fromLatin1('Subject: x\r\n\r\nx'));
  await pipe.command('SELECT INBOX');
  assert.match((await pipe.command('STORE 1 +FLAGS (a-keyword)')).tagged, /^OK/);
  const many = Array.from({ length: 100 }, (_none, index) => `k${index}`).join(' ');
  assert.match((await pipe.command(`STORE 1 +FLAGS (${many})`)).tagged, /^NO \[LIMIT\]/);
  assert.match((await pipe.command('FETCH 1 FLAGS')).untagged, /FLAGS \(\\Recent a-keyword\)/);
});

test('EMAILID goes along with COPY and MOVE, replies share a THREADID, MAILBOXID outlives RENAME (RFC 8474 §4, §5)', async () => {
  const user = await newUser();
  const pipe = await connect(user);
  await append(pipe, 'INBOX', fromLatin1('Message-ID: <1@x>\r\nSubject: plan\r\n\r\nx'));
  await append(
    pipe,
    'INBOX',
    fromLatin1('Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\nSubject: Re: plan\r\n\r\nx'),
  );
  await append(pipe, 'INBOX', fromLatin1('Message-ID: <3@x>\r\nSubject: other\r\n\r\nx'));
  await pipe.command('SELECT INBOX');
  const ids = async (): Promise<string[][]> =>
    [
      ...(await pipe.command('FETCH 1:* (EMAILID THREADID)')).untagged.matchAll(
        /EMAILID \(([^\s)]+)\) THREADID \(([^\s)]+)\)/g,
      ),
    ].map(([, email = '', thread = '']) => [email, thread]);
  const before = await ids();
  assert.equal(new Set(before.map(([email]) => email)).size, 3);
  assert.equal(before[0]?.[1], before[1]?.[1]);
  assert.notEqual(before[0]?.[1], before[2]?.[1]);
  await pipe.command('COPY 1 Archive');
  await pipe.command('MOVE 2 Archive');
  const mailbox = /MAILBOXID \(([^\s)]+)\)/.exec((await pipe.command('SELECT Archive')).untagged)?.[1];
  assert.deepEqual(await ids(), before.slice(0, 2));
  assert.deepEqual(await pipe.command(`UID SEARCH THREADID ${before[0]?.[1]} EMAILID ${before[1]?.[0]}`), {
    untagged: '* SEARCH 2\r\n',
    tagged: 'OK Searched',
  });
  await pipe.command('RENAME Archive Kept');
  assert.match((await pipe.command('STATUS Kept (MAILBOXID)')).untagged, new RegExp(`\\(${mailbox}\\)`));
});

test('messages of one MULTIAPPEND that answer each other share a THREADID', async () => {
  const pipe = await connect(await newUser());
  const one = 'Message-ID: <a@x>\r\nSubject: plan\r\n\r\nx';
  const two = 'Message-ID: <b@x>\r\nIn-Reply-To: <a@x>\r\nSubject: Re: plan\r\n\r\nx';
  await pipe.command(`APPEND INBOX {${one.length}+}\r\n${one} {${two.length}+}\r\n${two}`);
  await pipe.command('SELECT INBOX');
  const threads = [
    ...(await pipe.command('FETCH 1:2 THREADID')).untagged.matchAll(/THREADID \(([^\s)]+)\)/g),
  ].map(([, id]) => id);
  assert.equal(threads.length, 2);
  assert.equal(threads[0], threads[1]);
});

test('what is resumed from after a restart of the reader is what it was (RFC 7162 §3.2.5)', async () => {
  const user = await newUser();
  const pipe = await connect(user);
  for (const text of ['1', '2', '3', '4'])
    await append(pipe, 'INBOX', fromLatin1(`Subject: ${text}\r\n\r\nx`));
  const [, uidValidity, modSeq] =
    /UIDVALIDITY (\d+)[\s\S]*HIGHESTMODSEQ (\d+)/.exec((await pipe.command('SELECT INBOX')).untagged) ?? [];
  await pipe.command('STORE 2 +FLAGS.SILENT (\\Deleted)');
  await pipe.command('EXPUNGE');
  await pipe.command('STORE 3 +FLAGS.SILENT (\\Seen)');
  const again = await connect(user, store.anotherLogin());
  await again.command('ENABLE QRESYNC');
  const { untagged } = await again.command(`SELECT INBOX (QRESYNC (${uidValidity} ${modSeq} 1:4))`);
  assert.match(
    untagged,
    /\* VANISHED \(EARLIER\) 2\r\n\* 3 FETCH \(FLAGS \(\\Seen\) UID 4 MODSEQ \(\d+\)\)\r\n$/,
  );
});

test('a damaged row of a mailbox costs its own message only: it keeps its place, is named, and is never shown', async () => {
  const user = await newUser();
  const writing = await connect(user);
  for (let number = 1; number <= 5; number++) {
    await append(writing, 'INBOX', fromLatin1(`Subject: number ${number}\r\n\r\nbody\r\n`));
  }
  const database = new DatabaseSync(path.join(store.folder, 'index.db'));
  const plant = (uid: number): void => {
    const { changes } = database
      .prepare(
        'UPDATE placement SET flags = flags + 1 WHERE uid = ? AND mailbox = (SELECT max(mailbox) FROM placement)',
      )
      .run(uid);
    assert.equal(changes, 1);
  };
  // beside one another, and the last one
  for (const uid of [2, 3, 5]) plant(uid);
  database.close();
  const another = store.anotherLogin();
  const pipe = await connect(user, another);
  const selected = await pipe.command('SELECT INBOX');
  assert.match(selected.tagged, /^OK/);
  assert.match(selected.untagged, /\* 5 EXISTS/);
  const fetched = await pipe.command('FETCH 1:* (FLAGS RFC822.SIZE ENVELOPE BODY[])');
  assert.match(fetched.tagged, /^NO \[CORRUPTION\] UID 2:3,5: the message is damaged and not shown/);
  for (const seq of [2, 3, 5]) {
    assert.ok(fetched.untagged.includes(`* ${seq} FETCH (UID ${seq})\r\n`), fetched.untagged);
  }
  for (const seq of [1, 4]) {
    assert.match(
      fetched.untagged,
      new RegExp(
        `\\* ${seq} FETCH \\(FLAGS [^\\r]*RFC822\\.SIZE \\d+ ENVELOPE [^]*Subject: number ${seq}\\r\\n`,
      ),
    );
  }
  assert.match((await pipe.command('FETCH 4 (FLAGS BODY[])')).tagged, /^OK/);
  const searched = await pipe.command('SEARCH SUBJECT number');
  assert.match(searched.untagged, /^\* SEARCH 1 4\r\n/);
  assert.match(searched.tagged, /^NO \[CORRUPTION\] UID 2:3,5/);
  // changes are for those that can be read
  assert.match((await pipe.command('STORE 2 +FLAGS (\\Flagged)')).tagged, /^NO \[CORRUPTION\]/);
  assert.match((await pipe.command('COPY 3 Archive')).tagged, /^NO \[CORRUPTION\]/);
  assert.match((await pipe.command('STORE 1,4 +FLAGS (\\Deleted)')).tagged, /^OK/);
  const expunged = await pipe.command('EXPUNGE');
  assert.match(expunged.tagged, /^OK/);
  assert.equal(expunged.untagged.match(/EXPUNGE\r$/gm)?.length, 2);
  const late = await append(pipe, 'INBOX', fromLatin1('Subject: number 6\r\n\r\nbody\r\n'));
  assert.equal(late, 6);
  assert.match((await pipe.command('UID FETCH 6 (FLAGS BODY[])')).tagged, /^OK/);
  another.close();
});
