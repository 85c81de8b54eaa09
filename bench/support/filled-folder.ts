import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { utf8 } from '#base/bytes';
import { createMessageParser, createMessageSealer } from '#services/mailstore';
import type { Writer } from '#services/writer';
import { nodeIo } from '#store/durable';
import { sha256 } from '#store/segments';
import { openStore, withoutSyncs } from '../../test/faults/store-machine.ts';
import { fengniUsers, startFengniReading } from '../peers/reading-peer.ts';
import { loadMessages } from './load-message.ts';

// A data folder with many messages, made by the store's own writer in this process: by APPEND over a socket a million of them take hours.

/** What a prepared folder says of itself, in `prepared.json`. */
export interface Prepared {
  /** of `loadMessages`: who reads the folder back knows each message's SHA-256 */
  readonly tag: string;
  readonly count: number;
  readonly sizeBytes: number;
}

export const preparedFile = 'prepared.json';

/** messages that wait for a group at once: as many as one takes */
const atOnce = 2_000;
/** messages between two heads: what no head covers is kept in memory */
const headEvery = 20_000;

export const readPrepared = (folder: string): Prepared | null => {
  const file = path.join(folder, preparedFile);
  return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, 'utf8')) as Prepared) : null;
};

/**
 * Makes `folder`/data: two accounts with a password, the first one's INBOX with `count` messages of `sizeBytes`. A folder that was left
 * unfinished is gone on with.
 */
export const fillFolder = async (options: {
  folder: string;
  count: number;
  sizeBytes: number;
  told(done: number): void;
}): Promise<Prepared> => {
  const { folder, count, sizeBytes } = options;
  const data = path.join(folder, 'data');
  const tag = 'r1';
  if (!fs.existsSync(data)) {
    fs.mkdirSync(folder, { recursive: true });
    // A server makes the folder, and its accounts with their passwords.
    await (await startFengniReading(folder)).stop();
  }
  // Nothing is lost with a folder that can be made again: no sync is waited for but the last.
  const store = await openStore({ io: withoutSyncs(nodeIo), folder: data });
  if (store.kind === 'refused') throw store.error;
  const { writer } = store;
  const account = writer.index
    .accounts()
    .find((each) =>
      writer.directory
        .rows('account')
        .some(({ key, value }) => key === fengniUsers[0] && value['id'] === each),
    );
  const inbox = account === undefined ? null : writer.index.mailboxByName(account, 'INBOX');
  if (account === undefined || inbox === null) throw new Error('no INBOX to fill');
  const messages = loadMessages(tag, fengniUsers[0], sizeBytes);
  const head = messages.head();
  let next = inbox.uidNext;
  while (next <= count) {
    const until = Math.min(count, next + headEvery - 1);
    await atOnceUntil(
      until,
      () => {
        const number = next++;
        messages.number(head, number);
        return append(writer, account, inbox.id, Buffer.concat([head, messages.rest]));
      },
      () => next,
    );
    await writer.settleHeads();
    options.told(until);
  }
  await store.stop();
  execFileSync('sync', ['--file-system', data]);
  const prepared: Prepared = { tag, count, sizeBytes };
  fs.writeFileSync(path.join(folder, preparedFile), `${JSON.stringify(prepared, null, 2)}\n`);
  return prepared;
};

const atOnceUntil = async (last: number, job: () => Promise<void>, next: () => number): Promise<void> => {
  const line = async (): Promise<void> => {
    while (next() <= last) await job();
  };
  await Promise.all(Array.from({ length: atOnce }, line));
};

const append = async (
  writer: Writer,
  account: string,
  mailbox: string,
  octets: Uint8Array,
): Promise<void> => {
  const sealer = createMessageSealer(nodeIo.random);
  await sealer.write(octets);
  await sealer.complete();
  const parser = createMessageParser();
  parser.write(octets);
  const message = sealer.seal({
    kind: 'added',
    evidence: { env: utf8(''), ses: utf8('protocol IMAP\n'), aut: utf8('') },
    prefix: new Uint8Array(0),
    rcp: sha256(new Uint8Array(0)),
    parsed: parser.end(),
  });
  const outcome = await writer.append({ account, mailbox, message, flags: [], dateMs: null, origin: '' });
  if (outcome.kind !== 'done') throw new Error(`append: ${outcome.kind}`);
};
