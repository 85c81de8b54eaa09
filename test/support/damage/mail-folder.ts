import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { connectIpc } from '#net/ipc';
import { nodeIo } from '#store/durable';
import { encodeRow } from '#store/index';
import { openLog } from '#store/log';
import { encodeLeaf } from '#trust/seal';
import { LineClient } from '../line-client.ts';
import { startServer, type TestServer } from '../server.ts';

/** What was sent, by the address that it went to: subject → the original's octets, one a character. */
export type Sent = Map<string, Map<string, string>>;

export interface MailFolder {
  server: TestServer;
  /** at rest */
  data: string;
  /** a copy of `data` from the middle of its life, and the head that was kept outside at the end */
  older: string;
  checkpoint: string;
  sent: Sent;
}

const password = 'correct horse battery staple';
export const accounts = ['ada@fengni.test', 'ben@fengni.test', 'cho@fengni.test'] as const;

/**
 * A data folder with about thirty messages for several accounts, aliases among them, in three segments: one ended by SEAL, one by a torn
 * group that the next start put out of the way.
 */
export const buildMailFolder = async (): Promise<MailFolder> => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-damage-'));
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const server = await startServer({ folder });
  const { data } = server;
  const sent: Sent = new Map();
  const mail = async (first: number, count: number): Promise<void> => {
    for (let number = first; number < first + count; number++) await send(server, sent, number);
  };

  const control = await connectIpc(path.join(data, 'run/control'));
  for (const address of accounts) await control.call('accountAdd', { address, password });
  await control.call('aliasAdd', { address: 'team@fengni.test', targets: [accounts[0], accounts[1]] });
  await control.call('aliasAdd', { address: 'postmaster@fengni.test', targets: [accounts[2]] });
  control.close();
  await mail(0, 12);
  await server.stop();
  await closeSegment(data);
  await server.start();
  await mail(12, 9);
  await server.stop();
  const older = path.join(folder, 'older');
  copyFolder(data, older);
  tearEnd(data);
  await server.start();
  await mail(21, 9);
  // One is read and deleted, so that an expunge stands in the log too.
  const pop = await logIn(server, accounts[2]);
  await pop.ask('DELE 1\r\n', /\r\n/);
  await pop.ask('QUIT\r\n', /\r\n/);
  pop.destroy();
  await server.stop();
  const checkpoint = path.join(folder, 'kept.checkpoint');
  fs.copyFileSync(path.join(data, 'ledger/g1/checkpoint'), checkpoint);
  return { server, data, older, checkpoint, sent };
};

/** Copies everything but what a running process leaves in `run/`. */
export const copyFolder = (from: string, to: string): void => {
  fs.cpSync(from, to, {
    recursive: true,
    filter: (name) => path.relative(from, name) === 'run' || !path.relative(from, name).startsWith('run/'),
  });
};

/** Recipients of the message with a number: every address form and several at once. */
const recipientsOf = (number: number): readonly string[] => {
  switch (number % 6) {
    case 0:
      return [accounts[0]];
    case 1:
      return [accounts[1], accounts[2]];
    case 2:
      return ['team@fengni.test'];
    case 3:
      return [accounts[2]];
    case 4:
      return ['ada+lists@fengni.test', 'postmaster@fengni.test'];
    default:
      return [...accounts];
  }
};

const mailboxesOf = (address: string): readonly string[] =>
  address === 'team@fengni.test'
    ? [accounts[0], accounts[1]]
    : address === 'postmaster@fengni.test'
      ? [accounts[2]]
      : address.startsWith('ada+')
        ? [accounts[0]]
        : [address];

const send = async (server: TestServer, sent: Sent, number: number): Promise<void> => {
  const subject = `letter-${String(number).padStart(3, '0')}`;
  // Most have one size, so that two can change places; some have several chunks of 64 KiB.
  const lines = number % 14 === 10 ? 14_000 : number % 7 === 3 ? 4_000 : 20;
  const body = Array.from(
    { length: lines },
    (_, line) => `${subject} line ${String(line).padStart(5, '0')} of it`,
  );
  const original = `Subject: ${subject}\r\nMessage-ID: <${subject}@example.org>\r\nFrom: peer@example.org\r\n\r\n${body.join('\r\n')}\r\n`;
  const client = await LineClient.connect(server.ports.smtp);
  await client.until(/^220 .*\r\n/m);
  await client.ask('EHLO peer.example.org\r\n', /^250 .*\r\n/m);
  await client.ask('MAIL FROM:<peer@example.org>\r\n', /^250 .*\r\n/m);
  const recipients = recipientsOf(number);
  for (const address of recipients) await client.ask(`RCPT TO:<${address}>\r\n`, /^250 .*\r\n/m);
  await client.ask('DATA\r\n', /^354 .*\r\n/m);
  await client.ask(`${original}.\r\n`, /^250 2\.0\.0 Ok id=.*\r\n/m);
  client.send('QUIT\r\n');
  client.destroy();
  for (const address of recipients.flatMap(mailboxesOf)) {
    const own = sent.get(address) ?? new Map<string, string>();
    sent.set(address, own.set(subject, original));
  }
};

export const logIn = async (
  server: { ports: Readonly<Record<string, number>>; ca: string },
  address: string,
): Promise<LineClient> => {
  const client = await LineClient.connect(server.ports['pop3s'] ?? 0, { ca: server.ca });
  await client.until(/^\+OK.*\r\n/m);
  await client.ask(`USER ${address}\r\n`, /^\+OK.*\r\n/m);
  await client.ask(`PASS ${password}\r\n`, /^(\+OK|-ERR).*\r\n/m);
  return client;
};

/** Ends the newest segment, as it would end by itself with 64 MiB, 65,536 frames or a day. */
const closeSegment = async (data: string): Promise<void> => {
  const log = await openLog({
    io: nodeIo,
    folder: data,
    shard: 0,
    knownHeads: [],
    segmentLeaf: (closed, { seq, timeMs }) => encodeLeaf({ kind: 'segment', seq, timeMs, ...closed }),
    limits: { segmentFramesMax: 1 },
  });
  if (log.kind === 'refused') throw log.error;
  const group = log.beginGroup();
  const octets = encodeRow({ table: 'setting', key: 'test', value: { closed: true } }, null);
  group.add({ type: 'ROW', critical: true, leaf: null, key: null, body: { kind: 'clear', octets } });
  await log.commit(group);
  await log.close();
};

/** As a power cut leaves it: half of a group that nobody was told of. */
const tearEnd = (data: string): void => {
  const file = fs
    .readdirSync(path.join(data, 'segments'))
    .filter((name) => name.endsWith('.fseg'))
    .sort()
    .at(-1);
  fs.appendFileSync(path.join(data, 'segments', String(file)), Buffer.alloc(700, 'torn'));
};
