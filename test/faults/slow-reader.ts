import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import tls from 'node:tls';
import { ImapTestClient } from '../support/imap-client.ts';
import { MailLoad } from '../support/mail-load.ts';
import type { TestServer } from '../support/server.ts';

/** The write-ahead log of the index never grows beyond this, whoever reads how slowly: twice what SQLite starts over at (1,000 pages). */
export const walBytesMax = 8 * 1024 * 1024;
/** an answer that takes longer was held up */
export const answerMsMax = 10_000;
/** of the messages answered a second before there were slow readers */
export const paceMin = 0.2;

/** more than the socket buffers of both ends hold (4 and 6 MiB at most by default), so that the server stands in the middle of it */
const largeBytes = 24 * 1024 * 1024;
const messages = 150;
const octetEveryMs = 1_000;
const storeEveryMs = 60;
/** how long the pace is taken before there are slow readers */
const paceMs = 2_000;

export interface SlowReaderOutcome {
  seconds: number;
  /** octets that each slow reader took */
  octets: number[];
  /** slow readers that the server had closed by the end */
  closed: number;
  walBytesMax: number;
  acknowledged: number;
  stores: number;
  /** of answers to other sessions, in milliseconds */
  storeMs: { p50: number; p99: number; max: number };
  /** messages answered a second, before and meanwhile */
  pace: { before: number; meanwhile: number };
  problems: string[];
}

/**
 * A POP3 and an IMAP session read one octet a second in the middle of a large RETR and FETCH, while mail comes in and flags change.
 *
 * @param options.control a mistake on purpose: a reader that keeps a database cursor between its octets
 */
export const readSlowly = async (
  server: TestServer,
  options: { seconds: number; control?: boolean; progress?(text: string): void },
): Promise<SlowReaderOutcome> => {
  const outcome: SlowReaderOutcome = {
    seconds: options.seconds,
    octets: [],
    closed: 0,
    walBytesMax: 0,
    acknowledged: 0,
    stores: 0,
    storeMs: { p50: 0, p99: 0, max: 0 },
    pace: { before: 0, meanwhile: 0 },
    problems: [],
  };
  await fill(server);
  const wal = path.join(server.data, 'index.db-wal');
  const walBytes = (): number => fs.statSync(wal, { throwIfNoEntry: false })?.size ?? 0;

  const flags = await FlagClient.open(server);
  const load = new MailLoad({ port: server.ports.smtp, to: server.address, senders: 1, tag: 'slow-reader' });
  await sleep(paceMs);
  outcome.pace.before = (load.acknowledged.length * 1_000) / paceMs;

  const slow = options.control === true ? [] : [await slowPop3(server), await slowImap(server)];
  const cursor = options.control === true ? openCursor(server) : null;
  const acknowledgedBefore = load.acknowledged.length;
  const start = performance.now();
  const taken: number[] = [];
  let nextOctet = start;
  let nextWord = start + 30_000;
  while (performance.now() - start < options.seconds * 1_000) {
    if (performance.now() >= nextOctet) {
      for (const reader of slow) reader.takeOctet();
      nextOctet += octetEveryMs;
    }
    taken.push(await flags.store());
    outcome.walBytesMax = Math.max(outcome.walBytesMax, walBytes());
    if (outcome.walBytesMax > walBytesMax && options.control === true) break;
    if (performance.now() >= nextWord) {
      options.progress?.(
        `${Math.round((performance.now() - start) / 1_000)} s, WAL at most ${outcome.walBytesMax} octets`,
      );
      nextWord += 30_000;
    }
    await sleep(storeEveryMs);
  }
  const seconds = (performance.now() - start) / 1_000;
  outcome.octets = slow.map(({ octets }) => octets);
  outcome.closed = slow.filter(({ isClosed }) => isClosed).length;
  outcome.acknowledged = load.acknowledged.length - acknowledgedBefore;
  outcome.pace.meanwhile = outcome.acknowledged / seconds;
  outcome.stores = taken.length;
  taken.sort((a, b) => a - b);
  const at = (share: number): number => Math.round(taken[Math.floor(taken.length * share)] ?? 0);
  outcome.storeMs = { p50: at(0.5), p99: at(0.99), max: Math.round(taken.at(-1) ?? 0) };
  await load.stop();
  await flags.close();
  for (const reader of slow) reader.close();
  cursor?.close();

  const { problems } = outcome;
  if (outcome.walBytesMax > walBytesMax)
    problems.push(`the write-ahead log grew to ${outcome.walBytesMax} octets, ${walBytesMax} are allowed`);
  if (outcome.storeMs.max > answerMsMax) problems.push(`an answer took ${outcome.storeMs.max} ms`);
  if (outcome.pace.meanwhile < outcome.pace.before * paceMin)
    problems.push(
      `${outcome.pace.meanwhile.toFixed(1)} messages a second, ${outcome.pace.before.toFixed(1)} before there were slow readers`,
    );
  if (load.temporary > 0 || load.broken > 0)
    problems.push(`${load.temporary} messages were put off, ${load.broken} sessions broke`);
  if (options.control !== true && outcome.octets.some((octets) => octets < options.seconds / 2 - 2))
    problems.push(`the slow readers got ${outcome.octets.join(' and ')} octets`);
  for (const reader of slow) {
    if (!reader.hasBegun) problems.push(`${reader.name}: the message did not begin`);
    if (reader.isClosed && options.seconds < 60) problems.push(`${reader.name} was closed`);
  }
  return outcome;
};

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A message that fills both ends' buffers, and some whose flags change. */
const fill = async (server: TestServer): Promise<void> => {
  const socket = net.connect(server.ports.smtp, '127.0.0.1');
  const ask = lines(socket);
  await ask(null);
  await ask('EHLO peer.example');
  const line = `${'x'.repeat(76)}\r\n`;
  const send = async (subject: string, bytes: number): Promise<void> => {
    await ask('MAIL FROM:<peer@example.org>');
    await ask(`RCPT TO:<${server.address}>`);
    await ask('DATA');
    const reply = await ask(`Subject: ${subject}\r\n\r\n${line.repeat(Math.ceil(bytes / line.length))}.`);
    if (!/^250 2\.0\.0 Ok id=/m.test(reply)) throw new Error(`${subject}: ${reply}`);
  };
  await send('large', largeBytes);
  for (let at = 1; at < messages; at++) await send(`small ${at}`, 200);
  socket.destroy();
};

const lines = (socket: net.Socket): ((line: string | null) => Promise<string>) => {
  let text = '';
  let wake = (): void => {};
  socket.setEncoding('latin1').on('data', (part: string) => {
    text += part;
    wake();
  });
  socket.on('error', () => {});
  return async (line) => {
    if (line !== null) socket.write(`${line}\r\n`);
    for (;;) {
      const match = /^\d{3} .*\r\n/m.exec(text);
      if (match !== null) {
        text = text.slice(match.index + match[0].length);
        return match[0];
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
};

/** Changes the flags of every message, one command after the other. */
class FlagClient {
  readonly #client: ImapTestClient;
  #count = 0;

  private constructor(client: ImapTestClient) {
    this.#client = client;
  }

  static async open(server: TestServer): Promise<FlagClient> {
    const client = await ImapTestClient.connect({ port: server.ports.imaps, secure: true, ca: server.ca });
    await client.reply();
    await client.command('a', `LOGIN ${server.address} "${server.password}"`);
    await client.command('b', 'SELECT INBOX');
    return new FlagClient(client);
  }

  /** @returns milliseconds until the answer */
  async store(): Promise<number> {
    const start = performance.now();
    const sign = this.#count % 2 === 0 ? '+' : '-';
    this.#count += 1;
    const tag = `s${this.#count}`;
    const replies = await this.#client.command(
      tag,
      `UID STORE 1:${messages} ${sign}FLAGS.SILENT (\\Flagged)`,
    );
    if (!replies.at(-1)?.startsWith(`${tag} OK`)) throw new Error(`STORE: ${replies.at(-1)}`);
    return performance.now() - start;
  }

  async close(): Promise<void> {
    await this.#client.command('z', 'LOGOUT');
    this.#client.close();
  }
}

/** Asks for a large message and takes one octet of the answer when it is told to. */
class SlowReader {
  readonly name: string;
  readonly #socket: tls.TLSSocket;
  octets = 0;
  isClosed = false;
  /** what came is the answer that was asked for */
  hasBegun = false;
  #text = '';

  constructor(name: string, socket: tls.TLSSocket) {
    this.name = name;
    this.#socket = socket;
    socket.on('close', () => {
      this.isClosed = true;
    });
    socket.on('error', () => {
      this.isClosed = true;
    });
  }

  static async connect(name: string, port: number, ca: string): Promise<SlowReader> {
    const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca });
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('error', reject);
    });
    return new SlowReader(name, socket);
  }

  /** While it logs in it reads as others do. */
  async ask(line: string | null, end: RegExp): Promise<void> {
    if (line !== null) this.#socket.write(`${line}\r\n`);
    let text = '';
    while (!end.test(text)) {
      const octets: Buffer | null = this.#socket.read();
      if (octets === null) await new Promise((resolve) => this.#socket.once('readable', resolve));
      else text += octets.toString('latin1');
    }
  }

  begin(line: string): void {
    this.#socket.write(`${line}\r\n`);
  }

  takeOctet(): void {
    const octet: Buffer | null = this.#socket.read(1);
    if (octet === null) return;
    this.octets += 1;
    if (this.#text.length < 8) this.#text += octet.toString('latin1');
    this.hasBegun = /^(?:\+OK|\* \d)/.test(this.#text);
  }

  close(): void {
    this.#socket.destroy();
  }
}

const slowPop3 = async (server: TestServer): Promise<SlowReader> => {
  const reader = await SlowReader.connect('POP3', server.ports.pop3s, server.ca);
  const ok = /^\+OK.*\r\n/m;
  await reader.ask(null, ok);
  await reader.ask(`USER ${server.address}`, ok);
  await reader.ask(`PASS ${server.password}`, ok);
  reader.begin('RETR 1');
  return reader;
};

const slowImap = async (server: TestServer): Promise<SlowReader> => {
  const reader = await SlowReader.connect('IMAP', server.ports.imaps, server.ca);
  await reader.ask(null, /\r\n/);
  await reader.ask(`a LOGIN ${server.address} "${server.password}"`, /^a OK.*\r\n/m);
  await reader.ask('b EXAMINE INBOX', /^b OK.*\r\n/m);
  // The large one is the first of many: everything behind it is still to be read.
  reader.begin('c FETCH 1:* (UID FLAGS ENVELOPE BODY.PEEK[])');
  return reader;
};

/** What no reader of ours does: a read that is not finished between two octets, and with it a snapshot that holds the log. */
const openCursor = (server: TestServer): DatabaseSync => {
  const db = new DatabaseSync(path.join(server.data, 'index.db'), { readOnly: true });
  // As long as the transaction lasts: a statement alone would end when the collector comes by.
  db.exec('BEGIN');
  db.prepare('SELECT count(*) FROM placement').get();
  return db;
};
