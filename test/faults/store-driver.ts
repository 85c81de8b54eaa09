/**
 * The store alone, at work: what is durable it says on standard output, one JSON line each, and only then.
 *
 *     node store-driver.ts --folder DIR [--seed N] [--messages N] [--writers N] [--lives N] [--wait] [--without-sync] [--answer-early]
 *
 * `--messages` counts those of one writer in one life. `--wait` says `loaded` and begins when standard input ends, so that a tracer can be
 * put on before the first call. `--without-sync` and `--answer-early` are mistakes that the harness must find. Exit status 0 when all is
 * done, 3 when the store gave up, as a writer does.
 */

import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { addAccount, addAlias, addDomain, type Writer } from '#services/writer';
import { type Io, nodeIo } from '#store/durable';
import { keyFileName, keySlotBytes, keySlotOffset, segmentFileName } from '#store/segments';
import { contentOf, openStore, withoutSyncs } from './store-machine.ts';
import type { PromiseLine } from './store-promises.ts';
import { seal } from './writer-machine.ts';

const { values } = parseArgs({
  options: {
    folder: { type: 'string' },
    seed: { type: 'string', default: '1' },
    messages: { type: 'string', default: '12' },
    writers: { type: 'string', default: '1' },
    lives: { type: 'string', default: '1' },
    wait: { type: 'boolean', default: false },
    'without-sync': { type: 'boolean', default: false },
    'answer-early': { type: 'boolean', default: false },
  },
});
const { folder = '' } = values;
const seed = Number(values.seed);
const messagesMax = Number(values.messages);
const answersEarly = values['answer-early'];
const io: Io = values['without-sync'] ? withoutSyncs(nodeIo) : nodeIo;
/** messages that one writer hands over together */
const togetherMax = 3;

const say = (line: PromiseLine): void => void fs.writeSync(1, `${JSON.stringify(line)}\n`);

const giveUp = (error: unknown): never => {
  fs.writeSync(2, `gives up: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(3);
};

/** Whoever waits has been told by then, as in the role. */
const endWith = (error: unknown): void => void setImmediate(() => giveUp(error));

const people = ['ann', 'bo'];
const begin = async (writer: Writer): Promise<void> => {
  // Each by itself and only what is missing: an earlier life may have ended in between.
  if (writer.directory.row('domain', 'fengni.test') === null)
    await writer.queue.submit(addDomain('fengni.test'));
  for (const name of people) {
    const address = `${name}@fengni.test`;
    if (writer.directory.row('account', address) === null) await writer.queue.submit(addAccount(address));
  }
  if (writer.directory.row('alias', 'all@fengni.test') === null)
    await writer.queue.submit(
      addAlias(
        'all@fengni.test',
        people.map((name) => `${name}@fengni.test`),
      ),
    );
};

const placeOf = (writer: Writer, seq: number): Record<string, number> => {
  const row = writer.index.message(seq);
  if (row === null) throw new Error(`message ${seq} is durable and not in the index`);
  const { at, key } = row;
  return {
    [`segments/${segmentFileName(at.segment, 0)}`]: at.offset + at.lengthBytes,
    [`keys/${keyFileName(key.epoch)}`]: keySlotOffset(key.slot) + keySlotBytes,
  };
};

/** One message and what is done with it afterwards, by its number; each step is said when it is durable. */
const message = async (
  writer: Writer,
  accounts: readonly string[],
  number: number,
): Promise<PromiseLine[]> => {
  const octets = contentOf(seed, number);
  const to = number % 4 === 0 ? accounts : [accounts[number % accounts.length] as string];
  const { message: sealed, copies } = await seal(
    io,
    octets,
    to.map((account) => ({ account, address: `${account}@fengni.test` })),
    folder,
  );
  const delivered = { seed, number, id: sealed.id, accounts: to };
  const delivery = writer.deliver(sealed, copies);
  if (answersEarly) {
    delivery.catch(() => {});
    say({ kind: 'delivered', at: {}, ...delivered });
    return [];
  }
  const outcome = await delivery;
  if (outcome.kind !== 'done') throw new Error(`deliver: ${outcome.kind}`);
  const said: PromiseLine[] = [{ kind: 'delivered', at: placeOf(writer, outcome.seq), ...delivered }];
  const [account = ''] = to;
  const inbox = writer.index.mailboxByName(account, 'INBOX');
  const trash = writer.index.mailboxByName(account, 'Trash');
  const email = writer.index.emailsOfMessage(outcome.seq).find((each) => each.account === account);
  if (inbox === null || trash === null || email === undefined) return said;
  const uid = writer.index
    .placements(inbox.id, 0, 100_000)
    .find(({ emailSeq }) => emailSeq === email.emailSeq)?.uid;
  if (uid === undefined) return said;
  const uids = String(uid);
  const at = { account, mailbox: inbox.id, uids, origin: '' };
  switch (number % 5) {
    case 1: {
      const changed = await writer.changeFlags({ ...at, mode: 'add', flags: ['\\Flagged', 'work'] });
      if (changed.kind === 'done') said.push({ kind: 'flagged', id: sealed.id, account });
      break;
    }
    case 2: {
      const moved = await writer.copy({ ...at, target: trash.id, move: true });
      if (moved.kind === 'done') said.push({ kind: 'moved', id: sealed.id, account, mailbox: trash.id });
      break;
    }
    case 3: {
      const name = `Folder ${seed} ${number}`;
      const made = await writer.createMailbox({ account, name, role: null, origin: '' });
      if (made.kind === 'done') said.push({ kind: 'made', account, name, mailbox: made.mailbox });
      break;
    }
    default:
  }
  return said;
};

const work = async (writer: Writer, first: number): Promise<void> => {
  const accounts = writer.index.accounts();
  for (let done = 0; done < messagesMax; ) {
    const together = Math.min(1 + ((first + done) % togetherMax), messagesMax - done);
    const jobs = Array.from({ length: together }, (_, at) => message(writer, accounts, first + done + at));
    // What failed was answered with “try again later”; the store says for itself when it gives up.
    for (const outcome of await Promise.allSettled(jobs)) {
      if (outcome.status === 'fulfilled') for (const line of outcome.value) say(line);
      else fs.writeSync(2, `not done: ${String(outcome.reason)}\n`);
    }
    done += together;
  }
};

const writers = Number(values.writers);
const live = async (life: number): Promise<void> => {
  const opened = await openStore({ io, folder });
  if (opened.kind === 'refused') return giveUp(opened.error);
  const { writer, failed, stop } = opened;
  let ended = false;
  const heads = async (): Promise<void> => {
    while (!ended) {
      await writer.settleHeads();
      const note = await io.readFile(path.join(folder, 'ledger/g1/checkpoint')).catch(() => null);
      if (note !== null) say({ kind: 'head', note: Buffer.from(note).toString('base64') });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  void failed.then(endWith);
  await begin(writer);
  // With one writer nothing runs beside it, so that the order of calls is the same each time.
  const beside = writers === 1 ? null : heads();
  const base = life * 1_000_000;
  if (beside === null) {
    const accounts = writer.index.accounts();
    if (accounts.length < people.length) throw new Error('people are missing');
    await work(writer, base);
    ended = true;
    await writer.settleHeads();
    const note = await io.readFile(path.join(folder, 'ledger/g1/checkpoint')).catch(() => null);
    if (note !== null) say({ kind: 'head', note: Buffer.from(note).toString('base64') });
  } else {
    await Promise.all(Array.from({ length: writers }, (_, at) => work(writer, base + (at + 1) * 10_000)));
    ended = true;
    await beside;
  }
  await writer.swept;
  await stop();
};

if (values.wait) {
  fs.writeSync(1, '{"kind":"loaded"}\n');
  // Standard input ends when the tracer is on.
  fs.readFileSync(0);
}
try {
  for (let life = 0; life < Number(values.lives); life++) await live(life);
} catch (error) {
  giveUp(error);
}
