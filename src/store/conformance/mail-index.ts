import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '#base/bytes';
import {
  type Directory,
  idOf,
  type LogEvent,
  type MailIndex,
  type MessageEvent,
  type StateChange,
} from '#store/index';
import { createMemoryDirectory, createMemoryIndex } from '#store/memory';

const at = (seq: number) => ({ segment: 1, offset: 512 * seq, lengthBytes: 512 });
const account = idOf('a', 1);
const key = { epoch: 1, slot: 0 };

/** A sequence of events as a writer would log them, from random choices; numbers stand absolute. */
const story = (choices: readonly (readonly [number, number, number])[]): LogEvent[] => {
  const events: LogEvent[] = [];
  const mailboxes: { id: string; name: string; uidNext: number }[] = [];
  const emails: string[] = [];
  let seq = 0;
  let modSeq = 0;
  let days = 0;
  const state = (mailbox: string, change: StateChange): void => {
    seq += 1;
    modSeq = Math.max(seq, modSeq + 1);
    events.push({ type: 'state', seq, account, key, mailbox, modSeq, actor: 'owner', timeMs: seq, change });
  };
  const create = (name: string): void => {
    const id = idOf('m', seq + 1);
    state(id, { op: 'create', name, role: null, uidValidity: 1_000 + seq, subscribed: true });
    mailboxes.push({ id, name, uidNext: 1 });
  };
  create('INBOX');
  const flagSets = [
    ['\\Seen'],
    ['\\Seen', 'work'],
    ['WORK', '$Label1'],
    [],
    ['\\Deleted', '\\Draft', '重要'],
  ];
  for (const [what, a, b] of choices) {
    const mailbox = mailboxes[a % mailboxes.length];
    if (mailbox === undefined) continue;
    const uids = `${1 + (b % 5)}:${1 + (b % 5) + 1 + (a % 4)}`;
    switch (what % 17) {
      case 0:
      case 1: {
        seq += 1;
        const message: MessageEvent = {
          type: 'message',
          seq,
          at: at(seq),
          key: { epoch: 1, slot: seq },
          id: idOf('b', seq).padEnd(26, 'a'),
          kind: 'received',
          timeMs: seq * 1_000,
          leafIndex: seq,
          sha256Hex: 'ab'.repeat(32),
          sizeBytes: 100 + a,
          parsed: {
            envelope: utf8(`("${b}" NIL)`),
            bodyStructure: utf8('("text" "plain")'),
            body: new Uint8Array(0),
            structure: utf8(`{${a}}`),
            threadKeys: [`k${a % 7}`, `k${b % 7}`],
            preview: `第 ${a} 封 ${b}`,
          },
        };
        events.push(message);
        seq += 1;
        modSeq = Math.max(seq, modSeq + 1);
        const emailId = idOf('e', seq);
        events.push({
          type: 'deliver',
          seq,
          at: at(seq),
          key: { epoch: 1, slot: seq },
          account,
          messageSeq: message.seq,
          emailId,
          threadId: idOf('t', seq),
          address: `x+${a}@fengni.test`,
          prefix: utf8(
            `Return-Path: <${'y'.repeat(b % 20)}>\r\nReceived: x\r\n${['', `Authentication-Results: m.test; dmarc=pass header.from=${authors[b % authors.length]}\r\n`][a % 2]}`,
          ),
          mailbox: mailbox.id,
          uid: mailbox.uidNext,
          modSeq,
          dateMs: seq * 1_000,
          flags: flagSets[b % flagSets.length] ?? [],
          uidl: seq.toString(16).padStart(16, '0'),
        });
        mailbox.uidNext += 1;
        emails.push(emailId);
        break;
      }
      case 2:
        if (mailboxes.length < 5) create(`Folder ${seq}`);
        break;
      case 3:
        state(mailbox.id, {
          op: 'flags',
          mode: (['add', 'remove', 'replace'] as const)[b % 3] ?? 'add',
          flags: flagSets[a % flagSets.length] ?? [],
          uids,
        });
        break;
      case 4:
        state(mailbox.id, { op: 'expunge', uids });
        break;
      case 5: {
        const emailId = emails[b % Math.max(1, emails.length)];
        if (emailId === undefined) break;
        const placed = {
          emailId,
          flags: ['\\Flagged'],
          dateMs: seq,
          savedMs: seq,
          uidl: seq.toString(16).padStart(16, 'f'),
        };
        state(mailbox.id, { op: 'place', placements: [{ uid: mailbox.uidNext, ...placed }] });
        mailbox.uidNext += 1;
        break;
      }
      case 6:
        state(mailbox.id, { op: 'rename', name: `Renamed ${seq}` });
        break;
      case 7:
        if (mailboxes.length > 1) {
          mailboxes.splice(mailboxes.indexOf(mailbox), 1);
          state(mailbox.id, { op: 'delete' });
        } else state(mailbox.id, { op: 'recent', below: 1 + (b % 5) });
        break;
      case 8: {
        const name = b % 3 === 0 ? `Nowhere ${b % 4}` : mailbox.name;
        state(b % 3 === 0 ? '' : mailbox.id, { op: 'subscribe', name, subscribed: a % 2 === 0 });
        break;
      }
      case 9: {
        const gone = events.filter((event) => event.type === 'message' || event.type === 'deliver')[a];
        if (gone === undefined) break;
        seq += 1;
        events.push({ type: 'erased', seq, keys: [gone.key] });
        break;
      }
      case 10:
        seq += 1;
        events.push({
          type: 'leaf',
          seq,
          leafIndex: seq,
          kind: 'gap',
          timeMs: seq * 1_000,
          dayCount: null,
          uidGap: 1_000 + b,
        });
        for (const each of mailboxes) each.uidNext += 1_000 + b;
        break;
      case 11:
        days += 1;
        seq += 1;
        events.push({
          type: 'leaf',
          seq,
          leafIndex: seq,
          kind: 'day',
          timeMs: seq * 1_000,
          dayCount: days,
        });
        break;
      case 12:
        seq += 1;
        events.push({
          type: 'leaf',
          seq,
          leafIndex: seq,
          kind: 'clock',
          timeMs: (seq - (b % seq)) * 1_000,
          dayCount: null,
        });
        break;
      case 13:
        state('', { op: 'numbers', uidNexts: [{ mailbox: mailbox.id, uidNext: mailbox.uidNext + (b % 3) }] });
        mailbox.uidNext += b % 3;
        break;
      case 14: {
        const keys = events.flatMap((event) => (event.type === 'row' ? (event.rowKey ?? []) : []));
        if (keys.length === 0) break;
        seq += 1;
        events.push({ type: 'erased', seq, keys: keys.filter((_, at) => (at + a) % (1 + (b % 3)) === 0) });
        break;
      }
      case 15:
        // The account's own key goes: seldom, since nothing is left then.
        if (b % 7 !== 0) break;
        seq += 1;
        events.push({ type: 'erased', seq, keys: [key] });
        break;
      default:
        seq += 1;
        events.push({
          type: 'row',
          seq,
          table: b % 2 === 0 ? 'account' : 'alias',
          key: `k${a % 5}`,
          value: b % 3 === 0 ? null : { n: b },
          rowKey: a % 4 === 0 ? null : { epoch: 1, slot: seq },
        });
    }
  }
  return events;
};

const authors = ['example.org', 'news.example.org', 'example.net', 'xexample.org', 'example.organic'];

const stories = fc.array(fc.tuple(fc.nat(16), fc.nat(50), fc.nat(50)), { maxLength: 60 }).map(story);

/**
 * The suite for one implementation of `MailIndex` and `Directory`; the memory implementation is the model.
 *
 * @param open a fresh, empty pair; `reopen` closes and opens the same data again
 */
export const mailIndexSuite = (
  name: string,
  open: () => {
    index: MailIndex;
    directory: Directory;
    reopen(): { index: MailIndex; directory: Directory };
    discard(): void;
  },
): void => {
  test(`${name}: after any events it answers what the model answers, also in batches, twice and reopened`, () => {
    fc.assert(
      fc.property(stories, fc.integer({ min: 1, max: 7 }), (events, batch) => {
        const model = createMemoryIndex();
        const modelDirectory = createMemoryDirectory();
        model.apply(events, events.at(-1)?.seq ?? 0);
        modelDirectory.apply(events, events.at(-1)?.seq ?? 0);
        const opened = open();
        try {
          let { index, directory } = opened;
          for (let from = 0; from < events.length; from += batch) {
            const part = events.slice(from, from + batch);
            const last = part.at(-1)?.seq ?? 0;
            // A message and its copy are one group in life: a batch that cuts them is applied with what came before.
            index.apply(events.slice(0, from + batch), last);
            directory.apply(part, last);
          }
          assert.deepEqual([...index.dump()], [...model.dump()]);
          assert.deepEqual([...directory.dump()], [...modelDirectory.dump()]);
          index.apply(events, events.at(-1)?.seq ?? 0);
          ({ index, directory } = opened.reopen());
          assert.equal(index.appliedSeq(), events.at(-1)?.seq ?? 0);
          assert.deepEqual([...index.dump()], [...model.dump()]);
          assert.deepEqual([...directory.dump()], [...modelDirectory.dump()]);
          assert.deepEqual(index.marks(), model.marks());
          for (const mailbox of model.mailboxes(account)) {
            for (const since of [0, 5, 20]) {
              assert.deepEqual(index.changesSince(mailbox.id, since), model.changesSince(mailbox.id, since));
            }
            assert.deepEqual(index.placements(mailbox.id, 1, 3), model.placements(mailbox.id, 1, 3));
            assert.deepEqual(
              index.placementsByUid(mailbox.id, [3, 1]),
              model.placementsByUid(mailbox.id, [3, 1]),
            );
            assert.equal(index.countPlacements(mailbox.id), model.countPlacements(mailbox.id));
            const emails = model.placements(mailbox.id, 0, 100).map(({ emailSeq }) => emailSeq);
            assert.deepEqual(index.threadIds([999_999, ...emails]), model.threadIds(emails));
          }
          for (let k = 0; k < 7; k++)
            assert.equal(index.findThread(account, [`k${k}`]), model.findThread(account, [`k${k}`]));
          for (const domain of ['example.org', 'news.example.org', 'org', 'example.net'])
            for (const beforeMs of [20_000, 1_000_000])
              assert.equal(
                index.hasKeptMailOf(account, domain, beforeMs),
                model.hasKeptMailOf(account, domain, beforeMs),
                domain,
              );
          assert.deepEqual(index.unplaced(2, 5, 3), model.unplaced(2, 5, 3));
          const copies = model.emailSeqs(0, 1_000);
          assert.deepEqual(index.emailSeqs(0, 1_000), copies);
          assert.deepEqual(index.emailSeqs(copies[1] ?? 0, 2), model.emailSeqs(copies[1] ?? 0, 2));
          for (const seq of [...copies, 999_999])
            assert.deepEqual(index.placementsOf(seq), model.placementsOf(seq));
          assert.deepEqual(directory.versions('alias'), modelDirectory.versions('alias'));
          index.clear();
          assert.deepEqual([...index.dump()], []);
        } finally {
          opened.discard();
        }
      }),
      { numRuns: 60 },
    );
  });

  test(`${name}: kept mail is what came long enough ago, was seen and left, for whose author DMARC spoke`, () => {
    const opened = open();
    try {
      const { index } = opened;
      const mailboxes = { inbox: idOf('m', 1), junk: idOf('m', 2) };
      const results = (value: string) => `Authentication-Results: m.test; ${value}\r\n`;
      const events: LogEvent[] = [];
      const state = (mailbox: string, change: StateChange): void => {
        const seq = events.length + 1;
        events.push({
          type: 'state',
          seq,
          account,
          key,
          mailbox,
          modSeq: seq,
          actor: 'owner',
          timeMs: seq,
          change,
        });
      };
      let uid = 0;
      const mail = (mailbox: string, flags: string[], above: string, below: string): void => {
        const [seq, at_] = [events.length + 1, events.length + 2];
        uid += 1;
        const parsed = {
          envelope: utf8('x'),
          bodyStructure: utf8('x'),
          body: utf8('x'),
          structure: utf8('x'),
        };
        events.push({
          type: 'message',
          seq,
          at: at(seq),
          key: { epoch: 1, slot: seq },
          id: idOf('b', seq).padEnd(26, 'a'),
          kind: 'received',
          timeMs: 1_000,
          leafIndex: seq,
          sha256Hex: 'ab'.repeat(32),
          sizeBytes: 1,
          parsed: { ...parsed, threadKeys: [], preview: '' },
        });
        events.push({
          type: 'deliver',
          seq: at_,
          at: at(at_),
          key: { epoch: 1, slot: at_ },
          account,
          messageSeq: seq,
          emailId: idOf('e', at_),
          threadId: idOf('t', at_),
          address: 'x@m.test',
          prefix: utf8(`${above}Received: from x by m.test; date\r\n${below}Fengni-Seal: id=x\r\n`),
          mailbox,
          uid,
          modSeq: at_,
          dateMs: 1_000,
          flags,
          uidl: 'x'.repeat(16),
        });
      };
      const path = 'Return-Path: <>\r\n';
      state(mailboxes.inbox, { op: 'create', name: 'INBOX', role: null, uidValidity: 1, subscribed: true });
      state(mailboxes.junk, { op: 'create', name: 'Junk', role: 'Junk', uidValidity: 2, subscribed: true });
      const pass = (domain: string) => results(`dmarc=pass header.from=${domain} policy.dmarc=reject`);
      mail(mailboxes.inbox, ['\\Seen'], path, pass('news.kept.example'));
      mail(mailboxes.inbox, [], path, pass('unread.example'));
      mail(mailboxes.inbox, ['\\Seen', '\\Deleted'], path, pass('deleted.example'));
      mail(mailboxes.junk, ['\\Seen'], path, pass('junk.example'));
      mail(mailboxes.inbox, ['\\Seen'], path, results('dmarc=fail header.from=failed.example'));
      mail(
        mailboxes.inbox,
        ['\\Seen'],
        `${path}${pass('above.example')}`,
        results('spf=pass smtp.mailfrom=x'),
      );
      mail(
        mailboxes.inbox,
        ['\\Seen'],
        path,
        results('dkim=fail reason="dmarc=pass header.from=quoted.example" header.d=quoted.example'),
      );
      index.apply(events, events.length);
      const kept = (domain: string, beforeMs = 1_001) => index.hasKeptMailOf(account, domain, beforeMs);
      assert.deepEqual([kept('kept.example'), kept('news.kept.example')], [true, true]);
      assert.deepEqual(
        [kept('other.kept.example'), kept('t.example'), kept('kept.example', 1_000)],
        [false, false, false],
      );
      for (const name of ['unread', 'deleted', 'junk', 'failed', 'above', 'quoted'])
        assert.equal(kept(`${name}.example`), false, name);
      assert.equal(index.hasKeptMailOf(idOf('a', 2), 'kept.example', 1_001), false, 'another account');
    } finally {
      opened.discard();
    }
  });

  test(`${name}: what is placed of a message that was erased has the size of its prefix, whatever was applied together`, () => {
    const events = story([
      [0, 0, 0],
      [9, 0, 0],
      [5, 0, 0],
    ]);
    for (const batch of [1, events.length]) {
      const opened = open();
      try {
        for (let from = 0; from < events.length; from += batch) {
          const upTo = events.slice(0, from + batch);
          opened.index.apply(upTo, upTo.at(-1)?.seq ?? 0);
        }
        const model = createMemoryIndex();
        model.apply(events, events.at(-1)?.seq ?? 0);
        assert.deepEqual([...opened.index.dump()], [...model.dump()]);
        assert.match([...model.dump()].join('\n'), /^placement 2 .* size 30 /m);
      } finally {
        opened.discard();
      }
    }
  });

  test(`${name}: after a gap no mailbox gives out a UID that the lost part may have given out (FORMATS §3)`, () => {
    const opened = open();
    try {
      const events = story([
        [0, 0, 0],
        [10, 0, 24],
      ]);
      opened.index.apply(events, events.at(-1)?.seq ?? 0);
      const uidNext = opened.index.mailboxes(account).map((mailbox) => mailbox.uidNext);
      assert.deepEqual(uidNext, [2 + 1_024]);
    } finally {
      opened.discard();
    }
  });

  test(`${name}: a UID, UIDVALIDITY or MODSEQ of an account never falls, also when its mailboxes are gone`, () => {
    const opened = open();
    try {
      const events = story([
        [0, 0, 0],
        [2, 0, 0],
        [7, 1, 0],
      ]);
      opened.index.apply(events, events.at(-1)?.seq ?? 0);
      const { modSeq, uidValidity } = opened.index.accountCounters(account);
      assert.equal(modSeq, events.at(-1)?.seq);
      assert.ok(uidValidity > 1_000);
    } finally {
      opened.discard();
    }
  });
};
