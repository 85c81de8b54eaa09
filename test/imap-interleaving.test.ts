import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ImapLogin } from '#protocols/imap';
import { flagNames as flagNamesOf, type MailIndex } from '#store/index';
import { MemoryAccount, MemoryLogin } from './support/imap-memory-store.ts';
import { ImapClientModel, withoutRecent } from './support/imap-model.ts';
import { createImapServer, ImapPipe } from './support/imap-pipe.ts';
import { openImapRealStore } from './support/imap-real-store.ts';

/**
 * Several sessions change one mailbox; what each is told is predicted from its own replies and from what was done.
 *
 * One at a time: each answer is predicted whole. At the same time: nothing impossible is ever said, and when all have caught up
 * everybody knows the same.
 */

const flagNames = ['\\Seen', '\\Flagged', '\\Deleted', 'work'];

type Step =
  | { kind: 'append' | 'expunge' | 'noop' | 'search' | 'fetch' | 'reselect' }
  | {
      kind: 'store';
      operation: '+' | '-' | '';
      silent: boolean;
      byUid: boolean;
      flag: string;
      from: number;
      to: number;
    }
  | { kind: 'copy' | 'move'; from: number; to: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('append', 'expunge', 'noop', 'search', 'fetch') }),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'reselect' }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('store'),
      operation: fc.constantFrom('+', '-', ''),
      silent: fc.boolean(),
      byUid: fc.boolean(),
      flag: fc.constantFrom(...flagNames),
      from: fc.nat(9),
      to: fc.nat(9),
    }) as fc.Arbitrary<Step>,
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('copy', 'move'),
      from: fc.nat(9),
      to: fc.nat(9),
    }) as fc.Arbitrary<Step>,
  },
) as fc.Arbitrary<Step>;

/** One client: a session and what it knows. */
class Client {
  readonly pipe: ImapPipe;
  readonly model = new ImapClientModel();

  constructor(pipe: ImapPipe) {
    this.pipe = pipe;
  }

  async select(): Promise<void> {
    this.model.selected((await this.pipe.command('SELECT INBOX')).untagged);
  }

  async run(step: Step, truth: Truth | null): Promise<void> {
    const { pipe, model } = this;
    const count = model.uids.length;
    switch (step.kind) {
      case 'append': {
        const { untagged, tagged } = await pipe.command('APPEND INBOX {9+}\r\nA: b\r\n\r\nx');
        const uid = /^OK \[APPENDUID \d+ (\d+)\]/.exec(tagged);
        assert.ok(uid !== null, tagged);
        truth?.set(Number(uid[1]), '');
        model.replies(untagged, true);
        return;
      }
      case 'noop':
        model.replies((await pipe.command('NOOP')).untagged, true);
        if (truth !== null) this.knowsAll(truth);
        return;
      case 'expunge': {
        const { untagged } = await pipe.command('EXPUNGE');
        if (truth !== null)
          for (const [uid, flags] of truth)
            if (flags.includes('\\Deleted') && this.had(uid)) truth.delete(uid);
        model.replies(untagged, true);
        if (truth !== null) this.knowsAll(truth);
        return;
      }
      case 'search': {
        const { untagged } = await pipe.command('UID SEARCH NOT DELETED');
        const found = /^\* SEARCH([ \d]*)\r$/m.exec(untagged)?.[1]?.trim() ?? '';
        if (truth !== null) {
          const expected = [...truth].filter(([uid, flags]) => this.had(uid) && !flags.includes('\\Deleted'));
          assert.equal(found, expected.map(([uid]) => uid).join(' '));
        }
        model.replies(untagged, false);
        return;
      }
      case 'fetch': {
        if (count === 0) return;
        const { untagged, tagged } = await pipe.command('FETCH 1:* (UID FLAGS)');
        model.replies(untagged, false);
        if (truth === null) return;
        const there = model.uids.filter((uid) => uid !== null && truth.has(uid)).length;
        assert.match(tagged, there === count ? /^OK/ : /^NO \[EXPUNGEISSUED\]/);
        for (const uid of model.uids) {
          if (uid !== null && truth.has(uid))
            assert.equal(model.flags.get(uid), truth.get(uid), `flags of ${uid}`);
        }
        return;
      }
      case 'reselect':
        await this.select();
        return;
      case 'store': {
        if (count === 0) return;
        const numbers = range(step, count);
        const uids = numbers.map((number) => model.uids[number - 1] ?? null);
        const known = uids.every((uid) => uid !== null);
        const byUid = step.byUid && known;
        const set = byUid ? uids.join(',') : `${numbers[0]}:${numbers.at(-1)}`;
        const item = `${step.operation}FLAGS${step.silent ? '.SILENT' : ''}`;
        const { untagged, tagged } = await pipe.command(
          `${byUid ? 'UID ' : ''}STORE ${set} ${item} (${step.flag})`,
        );
        const change = (flags: string[]): string[] =>
          step.operation === '+'
            ? [...flags, step.flag]
            : step.operation === '-'
              ? flags.filter((flag) => flag !== step.flag)
              : [step.flag];
        const changed = uids.filter((uid) => uid !== null);
        if (truth !== null) {
          for (const uid of changed) {
            const before = truth.get(uid);
            if (before !== undefined)
              truth.set(uid, withoutRecent([...new Set(change(before.split(' ')))].join(' ')));
          }
          if (known) {
            assert.match(tagged, uids.every((uid) => truth.has(uid)) ? /^OK/ : /^NO \[EXPUNGEISSUED\]/);
          }
        }
        if (step.silent) {
          model.silently(
            changed.filter((uid) => truth?.has(uid) ?? true),
            change,
          );
        }
        model.replies(untagged, false);
        return;
      }
      case 'copy':
      case 'move': {
        if (count === 0) return;
        const numbers = range(step, count);
        const name = step.kind.toUpperCase();
        const { untagged, tagged } = await pipe.command(`${name} ${numbers[0]}:${numbers.at(-1)} INBOX`);
        const copied = /\[COPYUID \d+ (\S+) (\S+)\]/.exec(tagged + untagged);
        if (copied !== null && truth !== null) {
          const from = expand(copied[1] ?? '');
          const to = expand(copied[2] ?? '');
          assert.equal(from.length, to.length);
          for (const [index, uid] of to.entries()) truth.set(uid, truth.get(from[index] ?? 0) ?? '(missing)');
          if (step.kind === 'move') for (const uid of from) truth.delete(uid);
        }
        model.replies(untagged, true);
        if (truth !== null) this.knowsAll(truth);
        return;
      }
    }
  }

  /** Whether this client has been told of a message (its number may still have no uid for it). */
  had(uid: number): boolean {
    return this.told.has(uid);
  }

  /** uids that this session has been told of, from the truth at the time */
  readonly told = new Set<number>();

  /** After a command in which everything may be told. */
  knowsAll(truth: Truth): void {
    assert.equal(this.model.uids.length, truth.size, 'all messages and no others are told');
    const uids = [...truth.keys()].sort((a, b) => a - b);
    for (const [index, uid] of this.model.uids.entries()) {
      assert.ok(
        uid === null || uid === uids[index],
        `number ${index + 1} is ${uid}, should be ${uids[index]}`,
      );
      this.model.uids[index] = uids[index] ?? null;
    }
    for (const [uid, flags] of this.model.flags) {
      if (truth.has(uid)) assert.equal(flags, truth.get(uid), `flags of ${uid}`);
    }
    this.told.clear();
    for (const uid of uids) this.told.add(uid);
  }

  /** Reads everything anew. */
  async everything(): Promise<Map<number, string>> {
    this.model.replies((await this.pipe.command('NOOP')).untagged, true);
    const all = new Map<number, string>();
    if (this.model.uids.length === 0) return all;
    const { untagged, tagged } = await this.pipe.command('UID FETCH 1:* (FLAGS)');
    assert.match(tagged, /^OK/);
    const toldBefore = new Map(this.model.flags);
    this.model.replies(untagged, true);
    for (const uid of this.model.uids) {
      assert.ok(uid !== null);
      const flags = this.model.flags.get(uid) ?? '';
      const before = toldBefore.get(uid);
      assert.ok(before === undefined || before === flags, `flags of ${uid}: told ${before}, are ${flags}`);
      all.set(uid, flags);
    }
    return all;
  }
}

type Truth = Map<number, string>;

const range = ({ from, to }: { from: number; to: number }, count: number): number[] => {
  const first = 1 + (Math.min(from, to) % count);
  const last = Math.max(first, 1 + (Math.max(from, to) % count));
  return Array.from({ length: last - first + 1 }, (_none, index) => first + index);
};

const expand = (set: string): number[] =>
  set.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split(':').map(Number);
    return Array.from({ length: last - first + 1 }, (_none, index) => first + index);
  });

/** What the index has, which the writer made. */
const stored = (index: MailIndex, account: string): Truth => {
  const inbox = index.mailboxByName(account, 'INBOX');
  assert.ok(inbox !== null);
  return new Map(
    index
      .placements(inbox.id, 0, 1_000)
      .map(({ uid, flags, keywords }) => [
        uid,
        withoutRecent(flagNamesOf(flags, keywords, inbox.keywords).join(' ')),
      ]),
  );
};

const connect = async (logins: readonly ImapLogin[], user: string, count: number): Promise<Client[]> => {
  const servers = logins.map((login) => createImapServer(login));
  const clients: Client[] = [];
  for (let index = 0; index < count; index++) {
    const server = servers[index % servers.length];
    assert.ok(server !== undefined);
    const client = new Client(new ImapPipe(server));
    client.pipe.take();
    assert.match((await client.pipe.command(`LOGIN ${user} secret`)).tagged, /^OK/);
    await client.select();
    clients.push(client);
  }
  return clients;
};

test('one command at a time in any order: every answer is the predicted one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(3), step), { minLength: 5, maxLength: 60 }), async (steps) => {
      const login = new MemoryLogin();
      login.accounts.set('fred', { password: 'secret', account: new MemoryAccount() });
      const clients = await connect([login], 'fred', 4);
      const truth: Truth = new Map();
      for (const [who, each] of steps) {
        const client = clients[who];
        assert.ok(client !== undefined);
        await client.run(each, truth);
        // a command that tells everything but EXPUNGE leaves a client with what it knew, and what is new where nothing is gone
        const told = client.model.uids.length;
        if (each.kind === 'append' || each.kind === 'reselect') {
          assert.equal(told, truth.size);
          client.knowsAll(truth);
        } else if (told > client.told.size) client.knowsAll(truth);
      }
      const everything = await Promise.all(clients.map((client) => client.everything()));
      for (const each of everything) assert.deepEqual(each, truth);
    }),
    { numRuns: 150 },
  );
});

test('at the same time with waits anywhere: nothing impossible is told, and in the end all know the same', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { maxLength: 25 }), { minLength: 2, maxLength: 6 }),
      fc.array(fc.nat(3), { minLength: 1, maxLength: 20 }),
      async (scripts, waits) => {
        let turn = 0;
        const pause = async (): Promise<void> => {
          for (let left = waits[turn++ % waits.length] ?? 0; left > 0; left--) {
            await new Promise<void>((resolve) => setImmediate(resolve));
          }
        };
        const login = new MemoryLogin();
        login.accounts.set('fred', { password: 'secret', account: new MemoryAccount({ pause }) });
        const clients = await connect([login], 'fred', scripts.length);
        await Promise.all(
          clients.map(async (client, index) => {
            for (const each of scripts[index] ?? []) await client.run(each, null);
          }),
        );
        for (const client of clients) client.model.flags.clear();
        const [first, ...others] = await Promise.all(clients.map((client) => client.everything()));
        for (const other of others) assert.deepEqual(other, first);
      },
    ),
    { numRuns: 100 },
  );
});

test('on the real store, eight sessions over two readers: in the end all know the same', async () => {
  const store = await openImapRealStore();
  try {
    const logins = [store.login, store.anotherLogin()];
    let accounts = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(step, { maxLength: 12 }), { minLength: 8, maxLength: 8 }),
        async (scripts) => {
          const user = `u${++accounts}@fengni.test`;
          const account = await store.addAccount(user);
          const clients = await connect(logins, user, 8);
          await Promise.all(
            clients.map(async (client, index) => {
              for (const each of scripts[index] ?? []) await client.run(each, null);
            }),
          );
          for (const client of clients) client.model.flags.clear();
          const [first, ...others] = await Promise.all(clients.map((client) => client.everything()));
          for (const other of others) assert.deepEqual(other, first);
          assert.deepEqual(first, stored(store.writer.index, account));
          for (const client of clients) client.pipe.session.closed();
        },
      ),
      { numRuns: 15 },
    );
  } finally {
    await store.close();
  }
});
