import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import { silentLogger } from '#base/logger';
import { commonPrefix, copyPrefix } from '#services/inbound';
import { type VerifyReport, verifyData } from '#services/integrity';
import {
  createMessageParser,
  createMessageSealer,
  type MailstoreOutcome,
  ownFileBytesMin,
} from '#services/mailstore';
import { Sealer, type SealerOutcome } from '#services/sealer';
import { addAccount, addDomain, eventOf, generationStart, openWriter, type Writer } from '#services/writer';
import { openBodyReaders } from '#store/bodies';
import {
  type Io,
  type IoFile,
  makeFolderDurable,
  nodeIo,
  randomNumbers,
  type SimCall,
  type SimFault,
  SimFs,
} from '#store/durable';
import {
  encodeRow,
  type LogEvent,
  type MailboxRow,
  type MailIndex,
  type MessageRow,
  type PlacementRow,
} from '#store/index';
import { openSpool } from '#store/large';
import { type GapInfo, gapSeqs, type KnownHead, type LogRefusal, newGeneration } from '#store/log';
import { createMemoryDirectory } from '#store/memory';
import { openFreshProjections, openProjectionSnapshot } from '#store/sqlite';
import {
  buildRecipientsTree,
  encodeAuthentication,
  encodeEnvelope,
  encodeLeaf,
  encodeSession,
} from '#trust/seal';
import { newFolder } from '../faults/injections.ts';
import { copyFiles } from './files.ts';
import type { Implementation, ProjectionStore, Projections } from './implementations.ts';

export const data = '/data';
export const hostname = 'mail.fengni.test';
export const dayMs = 86_400_000;

/** What a world is asked to go through before it is looked at again. */
export type Condition = 'plain' | 'crash' | 'rebuild' | 'restore';
export const conditions: readonly Condition[] = ['plain', 'crash', 'rebuild', 'restore'];

export interface WorldOptions {
  seed?: number;
  /** names of accounts of `fengni.test` */
  people?: readonly string[];
  /** days for which deleted mail can be brought back */
  recoverableDays?: number;
  /** an original of more octets lies in a file of its own */
  largeAboveBytes?: number;
  /** what reads see after a sync that failed */
  afterFailedSync?: 'cache' | 'disk';
}

type Draft = Parameters<Parameters<Writer['queue']['submit']>[0]['decide']>[0]['draft'];

export interface Sent {
  id: string;
  seq: number;
  octets: Uint8Array;
  /** `prefix ‖ original` of each copy, in the order of the recipients */
  prefixes: readonly Uint8Array[];
}

/**
 * A machine with a data folder, a sealer in a folder of its own, and one implementation's projections: what a case does things to.
 *
 * Files, clock and randomness are simulated, so that power can be cut at any operation and time passes when it is told to.
 */
export class World {
  readonly implementation: Implementation;
  readonly options: WorldOptions;
  machine: SimFs;
  store: ProjectionStore;
  /** what the wall clock says more than real time; a case may set it */
  wrongMs = 0;
  /** decides what each call of the machine meets; a case may set it */
  fault: ((call: SimCall) => SimFault) | null = null;
  /** octets that the store read since a case last set it to 0 */
  readBytes = 0;
  /** the sealer does not answer */
  isSealerDown = false;
  /** heads that were signed, in order: what somebody outside may have kept */
  readonly signed: KnownHead[] = [];
  /** told before the sealer is asked, and of what it answered before the writer hears it */
  onSigning: ((outcome: SealerOutcome | null) => void | Promise<void>) | null = null;
  /** told when the index, and with it every reader, has learnt of something up to a `seq` */
  onShown: ((seq: number) => void) | null = null;
  /** told what is applied to the index */
  onApply: ((events: readonly LogEvent[]) => void) | null = null;
  /** why the writer gave up */
  failure: FengniError | null = null;
  sealer: Sealer | null = null;
  #writer: Writer | null = null;
  #stores: ProjectionStore[] = [];
  #folders: string[] = [];
  #restarts = 0;

  private constructor(implementation: Implementation, options: WorldOptions) {
    this.implementation = implementation;
    this.options = options;
    this.machine = this.#newMachine();
    this.store = implementation.create();
    this.#stores.push(this.store);
  }

  #simOptions(seed: number) {
    return {
      seed,
      fault: (call: SimCall) => this.fault?.(call) ?? null,
      ...(this.options.afterFailedSync === undefined
        ? {}
        : { afterFailedSync: this.options.afterFailedSync }),
    };
  }

  #newMachine(): SimFs {
    return new SimFs(this.#simOptions(this.#nextSeed()));
  }

  #nextSeed(): number {
    this.#restarts += 1;
    return (this.options.seed ?? 1) * 1_000 + this.#restarts;
  }

  /** A world with its people. */
  static async begin(implementation: Implementation, options: WorldOptions = {}): Promise<World> {
    const world = new World(implementation, options);
    await world.start();
    await world.done(world.writer.queue.submit(addDomain('fengni.test')));
    for (const name of options.people ?? ['ann', 'bo'])
      await world.done(world.writer.queue.submit(addAccount(`${name}@fengni.test`)));
    return world;
  }

  /** What a power cut right now would leave, as a world of its own; this one goes on. */
  twin(seed = 1): World {
    const twin = this.#sibling();
    twin.machine = this.machine.wouldSurvive(twin.#simOptions(seed));
    twin.#take(this.store.after({ kind: 'power', lost: (randomNumbers(seed)() % 5) / 4 }));
    return twin;
  }

  /** Another machine with these files, without projections or with those given, not started. */
  async elsewhere(files: ReadonlyMap<string, Uint8Array>, store?: ProjectionStore): Promise<World> {
    const world = this.#sibling();
    world.machine.advance(this.machine.clock.nowMs() - world.machine.clock.nowMs());
    await world.moveTo(files);
    if (store !== undefined) world.#take(store);
    return world;
  }

  /** A world of the same implementation that has nothing to do with this one. */
  another(options: WorldOptions): Promise<World> {
    return World.begin(this.implementation, { ...options, seed: this.#nextSeed() });
  }

  #sibling(): World {
    const world = new World(this.implementation, { ...this.options, seed: this.#nextSeed() });
    world.wrongMs = this.wrongMs;
    return world;
  }

  get io(): Io {
    const { machine } = this;
    const counted = (file: IoFile): IoFile => ({
      read: async (into, position) => {
        const length = await file.read(into, position);
        this.readBytes += length;
        return length;
      },
      write: (pieces, position) => file.write(pieces, position),
      dataSync: () => file.dataSync(),
      sync: () => file.sync(),
      truncate: (size) => file.truncate(size),
      size: () => file.size(),
      close: () => file.close(),
    });
    return {
      open: async (name, how) => counted(await machine.open(name, how)),
      readFile: async (name) => {
        const octets = await machine.readFile(name);
        this.readBytes += octets.length;
        return octets;
      },
      readFolder: (name) => machine.readFolder(name),
      makeFolder: (name) => machine.makeFolder(name),
      rename: (from, to) => machine.rename(from, to),
      remove: (name) => machine.remove(name),
      stat: (name) => machine.stat(name),
      syncFolder: (name) => machine.syncFolder(name),
      clock: {
        nowMs: () => machine.clock.nowMs() + this.wrongMs,
        monotonicMs: () => machine.clock.monotonicMs(),
      },
      random: machine.random,
    };
  }

  get writer(): Writer {
    assert.ok(this.#writer, 'the writer runs');
    return this.#writer;
  }

  get index() {
    return this.writer.index;
  }

  get directory() {
    return this.writer.directory;
  }

  /** @throws the refusal */
  async start(): Promise<void> {
    const outcome = await this.tryStart();
    if (outcome !== null) throw outcome.error;
  }

  /** Starts writer and sealer. @returns the refusal of the log, null where it opens */
  async tryStart(
    more: { fresh?: boolean; knownHeads?: readonly KnownHead[]; snapshots?: boolean } = {},
  ): Promise<LogRefusal | null> {
    const { io } = this;
    this.failure = null;
    for (const name of ['', 'sealer', 'ledger']) await makeFolderDurable(io, path.posix.join(data, name));
    this.sealer = await this.openSealer();
    const head = await this.sealer?.head();
    const own: KnownHead[] = head?.kind === 'signed' ? [{ source: 'the sealer', ...head.head }] : [];
    const outcome = await openWriter({
      io,
      folder: data,
      shard: 0,
      hostname,
      projections: (fresh) => this.#watched(this.store.open(fresh || more.fresh === true)),
      parse: async (octets) => {
        const parser = createMessageParser();
        for await (const piece of octets) parser.write(piece);
        return parser.end();
      },
      sealer: { advance: (request) => this.#advance(request) },
      knownHeads: more.knownHeads ?? own,
      ...(more.snapshots === undefined ? {} : { useSnapshots: more.snapshots }),
      recoverableDays: this.options.recoverableDays ?? 14,
      logger: silentLogger,
      // A case says when heads are made: `seal`.
      schedule: () => () => {},
      failed: (error) => {
        this.failure = error;
      },
    });
    if (outcome.kind === 'refused') return outcome;
    this.#writer = outcome;
    await this.#beginGeneration();
    return null;
  }

  #watched({ index, directory }: Projections): Projections {
    const apply: MailIndex['apply'] = (...call) => {
      index.apply(...call);
      this.onApply?.(call[0]);
      this.onShown?.(call[1]);
    };
    return { index: { ...index, apply }, directory };
  }

  /** The sealer of this machine; null where its folder cannot be used. */
  async openSealer(folder = `${data}/sealer`): Promise<Sealer | null> {
    try {
      return await Sealer.open({
        io: this.machine,
        folder,
        ledgerFolder: (generation) => `${data}/ledger/g${generation}`,
      });
    } catch (error) {
      if (error instanceof FengniError) return null;
      throw error;
    }
  }

  async #advance(request: { generation: number; origin: string; size: number; root: Uint8Array }) {
    await this.onSigning?.(null);
    if (this.isSealerDown || this.sealer === null)
      throw new FengniError('ipc-closed', { subject: 'the sealer', remedy: 'wait', retryable: true });
    const outcome = await this.sealer.advance(request);
    await this.onSigning?.(outcome);
    if (outcome.kind === 'refused')
      return { kind: 'refused' as const, reason: `${outcome.reason}: ${outcome.detail}` };
    const { generation, size, root } = outcome.head;
    this.signed.push({ source: 'kept outside', generation, size, root });
    return { kind: 'signed' as const, note: outcome.head.note };
  }

  /** As a server does: a generation that has its key gets no second one. */
  async #beginGeneration(): Promise<void> {
    const { generation, origin } = await this.writer.status();
    const name = `key-g${generation}`;
    if (this.directory.row('setting', name) !== null) return;
    const outcome = await this.sealer?.create({ generation, origin });
    if (outcome?.kind !== 'signed') return;
    const { key } = outcome.head;
    const firstSeq = generationStart(this.directory, generation);
    await this.say((draft) => draft.row('setting', name, { firstSeq, generation, key }));
  }

  /** A group of the server's own. */
  async say(what: (draft: Draft) => unknown): Promise<void> {
    await this.done(
      this.writer.queue.submit<object>({
        accounts: [],
        reads: 'rows',
        bytes: 1_024,
        decide: ({ draft }) => {
          what(draft);
          return { kind: 'done' };
        },
      }),
    );
  }

  async stop(): Promise<void> {
    const writer = this.#writer;
    this.#writer = null;
    await writer?.swept;
    await writer?.stop();
  }

  #take(store: ProjectionStore): void {
    this.#stores.push(store);
    this.store = store;
  }

  /** The power goes and comes back, or all processes are killed. */
  async crash(end: 'power' | 'kill' = 'power'): Promise<void> {
    this.fault = null;
    await this.fall(end);
    await this.start();
  }

  /** As `crash`, without the start afterwards. */
  async fall(end: 'power' | 'kill' = 'power'): Promise<void> {
    const seed = this.#nextSeed();
    const store = this.store.after(
      end === 'kill' ? { kind: 'kill' } : { kind: 'power', lost: (randomNumbers(seed)() % 5) / 4 },
    );
    const before = this.machine;
    this.machine =
      end === 'kill' ? before.killProcess(this.#simOptions(seed)) : before.cutPower(this.#simOptions(seed));
    // What was under way in the old process ends with an error that nobody hears.
    await this.#writer?.queue.idle();
    this.#writer = null;
    this.#take(store);
  }

  /** `fengni index rebuild`. */
  async rebuild(): Promise<void> {
    await this.stop();
    assert.equal(await this.tryStart({ fresh: true }), null);
  }

  /** The data folder as a backup has it: no database, not the sealer's folder; put on another machine in any order of its files. */
  async restore(): Promise<void> {
    await this.stop();
    await this.moveTo(this.backup());
    await this.start();
  }

  /** What a backup has of the folder right now, in an order of files that says nothing. */
  backup(): Map<string, Uint8Array> {
    const numbers = randomNumbers(this.#nextSeed());
    const files = [...this.machine.contents(data)]
      .filter(
        ([name]) =>
          !/^\/data\/(?:sealer\/|run\/|lock$|index\.db|state\.db|search\.db|scratch\.db)/.test(name),
      )
      .map(([name, octets]) => ({ name, octets: octets.slice(), at: numbers() }))
      .sort((a, b) => a.at - b.at);
    return new Map(files.map(({ name, octets }) => [name, octets]));
  }

  /** Another machine, empty projections, these files, an hour later. */
  async moveTo(files: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const machine = this.#newMachine();
    machine.advance(Math.max(0, this.machine.clock.nowMs() - machine.clock.nowMs()) + 3_600_000);
    await copyFiles(machine, files);
    this.#writer = null;
    this.machine = machine;
    this.#take(this.implementation.create());
  }

  /** `fengni log new-generation` of a log that lost its end; `start` comes next. */
  async acceptLoss(knownHeads: readonly KnownHead[]): Promise<GapInfo> {
    this.#take(this.implementation.create());
    return newGeneration({
      io: this.machine,
      folder: data,
      shard: 0,
      knownHeads,
      segmentLeaf: (closed, { seq, timeMs }) => encodeLeaf({ kind: 'segment', seq, timeMs, ...closed }),
      gapLeaf: ({ before, after }, { seq, timeMs }) =>
        encodeLeaf({ kind: 'gap', seq, timeMs, before, after, uids: 2 ** 20, modSeqs: gapSeqs }),
      alsoSay: (group, { generation, after: firstSeq }) => {
        const timeMs = this.io.clock.nowMs();
        const leaf = encodeLeaf({ kind: 'genesis', seq: group.nextSeq(), timeMs, previous: null });
        group.add({ type: 'LEAF', critical: true, leaf, key: null, body: { kind: 'none' } });
        const octets = encodeRow(
          { table: 'setting', key: `begin-g${generation}`, value: { firstSeq, generation } },
          null,
        );
        group.add({ type: 'ROW', critical: true, leaf: null, key: null, body: { kind: 'clear', octets } });
      },
    });
  }

  async pass(condition: Condition): Promise<void> {
    if (condition === 'crash') await this.crash();
    if (condition === 'rebuild') await this.rebuild();
    if (condition === 'restore') await this.restore();
  }

  /** The end of a case: nothing stays open. */
  async end(): Promise<void> {
    this.fault = null;
    if (!this.machine.isOff && this.failure === null) await this.stop();
    for (const store of this.#stores) store.discard();
    for (const folder of this.#folders) fs.rmSync(folder, { recursive: true, force: true });
  }

  /** Waits for an answer that must be yes. */
  async done<T extends object>(outcome: Promise<MailstoreOutcome<T>>): Promise<T> {
    const answer = await outcome;
    if (answer.kind === 'refused') assert.fail(`refused: ${answer.text}`);
    return answer;
  }

  account(name: string): string {
    const row = this.directory.row('account', `${name}@fengni.test`);
    assert.ok(row, `${name} is there`);
    return row['id'] as string;
  }

  mailbox(name: string, mailbox = 'INBOX'): MailboxRow {
    const row = this.index.mailboxByName(this.account(name), mailbox);
    assert.ok(row, `${mailbox} of ${name}`);
    return row;
  }

  placements(mailbox: string): PlacementRow[] {
    return this.index.placements(mailbox, 0, 1_000_000);
  }

  /** `account` and `mailbox` of a request. */
  at(name: string, mailbox = 'INBOX'): { account: string; mailbox: string; origin: string } {
    return { account: this.account(name), mailbox: this.mailbox(name, mailbox).id, origin: '' };
  }

  /** A message from outside, sealed as the role that receives it does. */
  async deliver(octets: Uint8Array | string, to: readonly string[]): Promise<Sent> {
    const { message, copies, whole } = await this.sealMail(octets, to);
    const { id, seq } = await this.done(this.writer.deliver(message, copies));
    return { id, seq, octets: whole, prefixes: copies.map(({ prefix }) => prefix) };
  }

  async sealMail(text: Uint8Array | string, to: readonly string[]) {
    const whole = typeof text === 'string' ? utf8(text) : text;
    const { random, clock } = this.io;
    const parser = createMessageParser();
    const sealer = createMessageSealer(random, this.#large());
    for (let at = 0; at < whole.length; at += 50_000) {
      const piece = whole.subarray(at, at + 50_000);
      await sealer.write(piece);
      parser.write(piece);
    }
    const { id, sha256Hex } = await sealer.complete();
    const recipients = to.map((name) => ({ address: `${name}@fengni.test`, salt: random(32) }));
    const tree = await buildRecipientsTree(recipients, random);
    const timeMs = clock.nowMs();
    const common = commonPrefix({
      from: { helo: 'peer.example', address: '192.0.2.1', name: null, via: [] },
      hostname,
      protocol: 'ESMTP',
      tls: null,
      id,
      sha256Hex,
      onlyRecipient: null,
      timeMs,
      results: [],
      origin: this.writer.origin,
    });
    const message = sealer.seal({
      kind: 'received',
      evidence: {
        env: encodeEnvelope({ mailFrom: 'peer@example.org', parameters: [] }),
        ses: encodeSession({
          peer: '192.0.2.1',
          port: 2525,
          helo: 'peer.example',
          protocol: 'ESMTP',
          timeMs,
        }),
        aut: encodeAuthentication({ results: [], keys: [] }),
      },
      prefix: common,
      rcp: tree.root,
      parsed: parser.end(),
    });
    const copies = recipients.map(({ address, salt }, at) => {
      const place = tree.places[at];
      assert.ok(place);
      const above = copyPrefix({ mailFrom: 'peer@example.org', recipient: address });
      const prefix = new Uint8Array(above.length + common.length);
      prefix.set(above);
      prefix.set(common, above.length);
      return { account: this.account(to[at] ?? ''), address, prefix, proof: { ...place, salt } };
    });
    return { message, copies, whole };
  }

  #large() {
    return {
      spool: openSpool({ io: this.machine, folder: data, owner: 'mx' }),
      aboveBytes: this.options.largeAboveBytes ?? ownFileBytesMin,
    };
  }

  /** A message that a client puts into a mailbox. */
  async append(
    octets: Uint8Array | string,
    name: string,
    more: { mailbox?: string; flags?: readonly string[] } = {},
  ) {
    const whole = typeof octets === 'string' ? utf8(octets) : octets;
    const { random, clock } = this.io;
    const parser = createMessageParser();
    const sealer = createMessageSealer(random, this.#large());
    await sealer.write(whole);
    parser.write(whole);
    await sealer.complete();
    const message = sealer.seal({
      kind: 'added',
      evidence: {
        env: new Uint8Array(0),
        ses: encodeSession({ protocol: 'IMAP', account: name, timeMs: clock.nowMs() }),
        aut: encodeAuthentication({ results: [], keys: [] }),
      },
      prefix: new Uint8Array(0),
      rcp: null,
      parsed: parser.end(),
    });
    const at = this.at(name, more.mailbox);
    const { id } = message;
    const outcome = await this.done(
      this.writer.append({ ...at, message, flags: more.flags ?? [], dateMs: null }),
    );
    return { ...outcome, id, octets: whole };
  }

  /** A head over everything that is durable. */
  async seal(): Promise<void> {
    await this.writer.settleHeads();
  }

  message(id: string): MessageRow {
    const row = this.index.messageById(id);
    assert.ok(row, `message ${id}`);
    return row;
  }

  /** The original as a reader gets it, verified. */
  async read(id: string, start = 0, end?: number): Promise<Uint8Array> {
    const bodies = openBodyReaders({ io: this.machine, folder: data, shard: 0 });
    try {
      const body = await bodies.message(this.message(id));
      const pieces = await Array.fromAsync(body.read(start, end ?? body.sizeBytes), (piece) => piece.slice());
      return Buffer.concat(pieces);
    } finally {
      await bodies.close();
    }
  }

  /** `fengni index dump`. */
  dump(): string[] {
    return [...this.index.dump(), ...this.directory.dump()];
  }

  /** The data folder on a real disk, for programs that know of no simulated one. */
  toDisk(withProjections = true): string {
    const folder = newFolder();
    this.#folders.push(folder);
    for (const [name, octets] of this.machine.contents(data)) {
      const file = path.join(folder, path.posix.relative(data, name));
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, octets);
    }
    if (withProjections) this.store.putInto(folder);
    return folder;
  }

  /** `fengni verify` of the folder as it is now, without what it says of files that a world does not have. */
  async verify(): Promise<VerifyReport> {
    const folder = this.toDisk();
    const hasDatabases = fs.existsSync(path.join(folder, 'index.db'));
    verifications += 1;
    const report = await verifyData({
      io: nodeIo,
      folder,
      shard: 0,
      live: false,
      sealer: { kind: 'absent' },
      kept: null,
      account: null,
      decode: eventOf,
      parser: createMessageParser,
      projections: { openSnapshot: openProjectionSnapshot, openFresh: openFreshProjections },
      label: `fengni-conformance-${process.pid}-${verifications}`,
      directory: createMemoryDirectory,
    });
    const elsewhere = new Set(['FORMAT', 'lock', 'secrets.db', 'ledger/keys']);
    return {
      ...report,
      findings: report.findings.filter(
        ({ file }) =>
          !elsewhere.has(file ?? '') && (hasDatabases || !/^(?:index|state)\.db/.test(file ?? '')),
      ),
    };
  }

  /** Nothing is wrong that anybody could find. */
  async verifies(): Promise<VerifyReport> {
    const report = await this.verify();
    assert.deepEqual(
      report.findings.map(({ code, file, what }) => `${code} ${file}: ${what}`),
      [],
    );
    return report;
  }

  /** The files of the log, oldest first. */
  segments(): string[] {
    return [...this.machine.contents(`${data}/segments`).keys()]
      .filter((name) => name.endsWith('.fseg'))
      .sort();
  }
}

let verifications = 0;

/** A message with a subject and a body of about so many octets. */
export const mail = (subject: string, bytes = 200): string => {
  const head = `From: peer@example.org\r\nSubject: ${subject}\r\nMessage-ID: <${subject.replaceAll(/\W/g, '-')}@example.org>\r\n\r\n`;
  const lines: string[] = [];
  for (let size = head.length, line = 0; size < bytes; line++) {
    const text = `line ${String(line).padStart(6, '0')} of ${subject}`;
    lines.push(text);
    size += text.length + 2;
  }
  return `${head}${lines.join('\r\n')}\r\n`;
};
