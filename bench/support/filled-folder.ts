import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { utf8 } from '#base/bytes';
import { createMessageParser, createMessageSealer } from '#services/mailstore';
import type { Writer } from '#services/writer';
import { nodeIo } from '#store/durable';
import { sha256 } from '#store/segments';
import { openStore, withoutSyncs } from '../../test/faults/store-machine.ts';
import { fengniUsers, startDovecotReading, startFengniReading } from '../peers/reading-peer.ts';
import { type LoadMessages, loadMessages } from './load-message.ts';
import { WireClient } from './wire-client.ts';

// Folders with many messages, made before the bench that reads them: a million by APPEND over a socket take hours.

/** What a prepared folder says of itself, in `prepared.json`. */
export interface Prepared {
  /** of `loadMessages`: who reads the folder back knows each message's SHA-256 */
  readonly tag: string;
  readonly count: number;
  readonly sizeBytes: number;
}

const preparedFile = 'prepared.json';

export const readPrepared = (folder: string): Prepared | null => {
  const file = path.join(folder, preparedFile);
  return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, 'utf8')) as Prepared) : null;
};

/** What the prepared folders of these servers have, which is the same. @throws where one is missing or another */
export const preparedIn = (folder: string, peers: readonly string[]): Prepared => {
  const found = peers.map((peer) => {
    const prepared = readPrepared(path.join(folder, peer));
    if (prepared === null)
      throw new Error(`${path.join(folder, peer)} is not ready: npm run bench -- prepare`);
    return prepared;
  });
  const [first] = found;
  if (first === undefined || found.some((each) => JSON.stringify(each) !== JSON.stringify(first)))
    throw new Error(`${folder}: the servers have different messages`);
  return first;
};

interface Filling {
  folder: string;
  count: number;
  sizeBytes: number;
  told(done: number): void;
}

const tag = 'r1';

const finished = ({ folder, count, sizeBytes }: Filling): void => {
  execFileSync('sync', ['--file-system', folder]);
  const prepared: Prepared = { tag, count, sizeBytes };
  fs.writeFileSync(path.join(folder, preparedFile), `${JSON.stringify(prepared, null, 2)}\n`);
};

export const wholeMessage = (messages: LoadMessages, number: number): Buffer => {
  const head = messages.head();
  messages.number(head, number);
  return Buffer.concat([head, messages.rest]);
};

/** messages that wait for a group at once: as many as one takes */
const atOnce = 2_000;
/** messages between two heads: what no head covers is kept in memory */
const headEvery = 20_000;

/**
 * Makes `folder`/data: two accounts with a password, the first one's INBOX with `count` messages, by the store's own writer in this
 * process. A folder that was left unfinished is gone on with.
 */
export const fillFengni = async (filling: Filling): Promise<void> => {
  const { folder, count, sizeBytes } = filling;
  const data = path.join(folder, 'data');
  if (!fs.existsSync(data)) {
    fs.mkdirSync(folder, { recursive: true });
    // A server makes the folder, and its accounts with their passwords.
    await (await startFengniReading(folder)).stop();
  }
  // Nothing is lost with a folder that can be made again: no sync is waited for but the last.
  const store = await openStore({ io: withoutSyncs(nodeIo), folder: data });
  if (store.kind === 'refused') throw store.error;
  const { writer } = store;
  const { id } = writer.directory.row('account', fengniUsers[0]) ?? {};
  const inbox = typeof id === 'string' ? writer.index.mailboxByName(id, 'INBOX') : null;
  if (typeof id !== 'string' || inbox === null) throw new Error(`no INBOX of ${fengniUsers[0]}`);
  const messages = loadMessages(tag, fengniUsers[0], sizeBytes);
  let next = inbox.uidNext;
  while (next <= count) {
    const last = Math.min(count, next + headEvery - 1);
    const line = async (): Promise<void> => {
      while (next <= last) await append(writer, id, inbox.id, wholeMessage(messages, next++));
    };
    await Promise.all(Array.from({ length: atOnce }, line));
    await writer.settleHeads();
    filling.told(last);
  }
  await store.stop();
  finished(filling);
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

/** messages of one APPEND (RFC 3502) */
const together = 100;

/** The same for Dovecot, by APPEND of many at once to a server that syncs nothing while it is filled. */
export const fillDovecot = async (filling: Filling, format: 'Maildir' | 'sdbox'): Promise<void> => {
  const { folder, count, sizeBytes } = filling;
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  const peer = await startDovecotReading(folder, format, { fsync: false });
  if ('couldNotRun' in peer) throw new Error(peer.couldNotRun);
  try {
    const messages = loadMessages(tag, peer.users[0], sizeBytes);
    const client = await WireClient.connect(peer.imap ?? 0, null);
    await client.ask('l', `LOGIN ${peer.users[0]} "${peer.password}"`);
    for (let next = 1; next <= count; ) {
      client.send('a APPEND INBOX');
      for (const last = Math.min(count, next + together - 1); next <= last; next++) {
        const octets = wholeMessage(messages, next);
        client.send(Buffer.concat([Buffer.from(` {${octets.length}+}\r\n`), octets]));
      }
      client.send('\r\n');
      const reply = await client.until((line) => line.startsWith('a '));
      if (!reply.startsWith('a OK')) throw new Error(reply);
      if ((next - 1) % 10_000 === 0) filling.told(next - 1);
    }
    client.close();
  } finally {
    await peer.stop();
  }
  finished(filling);
};
