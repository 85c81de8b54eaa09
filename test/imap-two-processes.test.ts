import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { serveIpc } from '#net/ipc';
import { mailstoreMethods } from '#net/mailstore';
import { flagNames, type MailIndex } from '#store/index';
import { ImapTestClient } from './support/imap-client.ts';
import { openImapRealStore } from './support/imap-real-store.ts';

/**
 * Eight sessions in two access processes, one mailbox, random commands at the same time.
 *
 * What the index held after each group is kept; each answer is held against it: flags that are told are those of the MODSEQ beside
 * them, numbers name the messages that the session has been told of, nothing is told that never was, and what a client resumes from
 * is what it would get anew. Runs for `FENGNI_MINUTES`, otherwise for a number of commands.
 */

const minutes = Number(process.env['FENGNI_MINUTES'] ?? 0);
const commandsEach = 80;
const seed = Number(process.env['FENGNI_SEED'] ?? 20261124);

const random = (from: number): (() => number) => {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

const sorted = (flags: readonly string[]): string => [...new Set(flags)].sort().join(' ');

/** Everything that ever stood in the mailbox. */
class Truth {
  /** flags by uid and MODSEQ, MODSEQs ascending */
  readonly flags = new Map<number, Map<number, string>>();
  readonly gone = new Set<number>();
  /** messages that a conditional command changed */
  conditional = 0;
  /** MODSEQs of changes of flags, also of those that another of the same group covers */
  readonly #changes = new Map<number, number[]>();
  readonly #index: MailIndex;
  readonly #mailbox: string;
  #modSeq = 0;

  constructor(index: MailIndex, mailbox: string) {
    this.#index = index;
    this.#mailbox = mailbox;
  }

  look(): void {
    const { changed, vanished } = this.#index.changesSince(this.#mailbox, this.#modSeq);
    const row = this.#index.mailbox(this.#mailbox);
    assert.ok(row !== null);
    for (const { uid, flags, keywords, modSeq } of changed) {
      const history = this.flags.get(uid) ?? new Map<number, string>();
      history.set(modSeq, sorted(flagNames(flags, keywords, row.keywords)));
      this.flags.set(uid, history);
    }
    for (const uid of vanished) this.gone.add(uid);
    this.#modSeq = row.highestModSeq;
  }

  /** A change of flags as the writer decided it: a conditional one found what it counted on. */
  did(uids: string, modSeq: number, unchangedSince: number | undefined): void {
    for (const uid of expand(uids)) {
      const changes = this.#changes.get(uid) ?? [];
      this.#changes.set(uid, changes);
      if (unchangedSince !== undefined) {
        const before = [...changes, ...(this.flags.get(uid)?.keys() ?? [])].filter((at) => at < modSeq);
        assert.ok(Math.max(0, ...before) <= unchangedSince, `${uid} had changed since ${unchangedSince}`);
        this.conditional++;
      }
      changes.push(modSeq);
    }
  }

  alive(): number[] {
    return [...this.flags.keys()].filter((uid) => !this.gone.has(uid)).sort((a, b) => a - b);
  }

  now(uid: number): { modSeq: number; flags: string } {
    const [modSeq = 0, flags = ''] = [...(this.flags.get(uid) ?? [])].at(-1) ?? [];
    return { modSeq, flags };
  }

  /** what a message's flags have been from a MODSEQ on */
  since(uid: number, modSeq: number): string[] {
    return [...(this.flags.get(uid) ?? [])].filter(([at]) => at >= modSeq).map(([, flags]) => flags);
  }

  /** the last MODSEQ before one */
  before(uid: number, modSeq: number): number {
    return [...(this.flags.get(uid)?.keys() ?? [])].filter((at) => at < modSeq).at(-1) ?? 0;
  }
}

interface Known {
  modSeq: number;
  flags: string;
}

interface Resumable {
  readonly uidValidity: number;
  readonly modSeq: number;
  readonly cache: ReadonlyMap<number, Known>;
}

const flagChoices = ['\\Seen', '\\Flagged', '\\Deleted', 'work', 'home'];

class Client {
  readonly name: string;
  readonly #client: ImapTestClient;
  readonly #truth: Truth;
  readonly #random: () => number;
  readonly #qresync: boolean;
  /** by number, minus 1; null: not told which */
  uids: (number | null)[] = [];
  readonly known = new Map<number, Known>();
  #uidValidity = 0;
  #highest = 0;
  #tags = 0;
  commands = 0;
  /** the last lines, for a complaint */
  readonly #trail: string[] = [];

  constructor(name: string, client: ImapTestClient, truth: Truth, own: number, qresync: boolean) {
    this.name = name;
    this.#client = client;
    this.#truth = truth;
    this.#random = random(seed + own);
    this.#qresync = qresync;
  }

  async start(account: string): Promise<void> {
    await this.#client.reply();
    await this.#send(`LOGIN ${account} secret`, true);
    await this.#send(`ENABLE ${this.#qresync ? 'QRESYNC' : 'CONDSTORE'}`, true);
    await this.#select();
  }

  close(): void {
    this.#client.close();
  }

  #chance(part: number): boolean {
    return this.#random() < part;
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  /** Sends a command, takes over what is told and returns the tagged reply. */
  async #send(command: string, expunges: boolean, each: (line: string) => void = () => {}): Promise<string> {
    const tag = `x${++this.#tags}`;
    this.commands++;
    const replies = await this.#client.command(tag, command);
    const tagged = replies.at(-1) ?? '';
    this.#trail.push(command, ...replies);
    this.#trail.splice(0, this.#trail.length - 150);
    try {
      assert.ok(tagged.startsWith(`${tag} `), 'answered');
      for (const line of replies.slice(0, -1)) {
        this.#take(line, expunges);
        each(line);
      }
    } catch (error) {
      throw new Error(`${this.name}: ${command}: ${String(error)}\n${replies.join('\n')}`, { cause: error });
    }
    return tagged.slice(tag.length + 1);
  }

  #take(line: string, expunges: boolean): void {
    const expunge = /^\* (\d+) EXPUNGE$/.exec(line);
    if (expunge !== null) {
      assert.ok(expunges && !this.#qresync, 'EXPUNGE has no place here');
      const number = Number(expunge[1]);
      assert.ok(number >= 1 && number <= this.uids.length, 'a number that there is');
      this.#went(this.uids.splice(number - 1, 1)[0] ?? null);
      return;
    }
    const vanished = /^\* VANISHED (\S+)$/.exec(line);
    if (vanished !== null) {
      assert.ok(expunges && this.#qresync, 'VANISHED has no place here');
      for (const uid of expand(vanished[1] ?? '')) {
        // a message that is not known by its uid yet is told of by it all the same: it lies between those that are
        const known = this.uids.indexOf(uid);
        const below = this.uids.findLastIndex((each) => each !== null && each < uid);
        const index = known === -1 ? below + 1 : known;
        assert.ok(known !== -1 || this.uids[index] === null, `there is a place for ${uid}`);
        this.uids.splice(index, 1);
        this.#went(uid);
      }
      return;
    }
    const exists = /^\* (\d+) EXISTS$/.exec(line);
    if (exists !== null) {
      assert.ok(Number(exists[1]) >= this.uids.length, 'EXISTS takes nothing away');
      while (this.uids.length < Number(exists[1])) this.uids.push(null);
      return;
    }
    const fetch = /^\* (\d+) FETCH \((.*)\)$/.exec(line);
    if (fetch === null) return;
    const index = Number(fetch[1]) - 1;
    const items = fetch[2] ?? '';
    assert.ok(index < this.uids.length, 'FETCH of a message that there is');
    const told = /\bUID (\d+)/.exec(items);
    if (told !== null) {
      const uid = Number(told[1]);
      const before = this.uids[index] ?? null;
      assert.ok(before === null || before === uid, `number ${index + 1} was ${before}, is ${uid}`);
      assert.ok(this.#truth.flags.has(uid), 'a message that ever was');
      this.uids[index] = uid;
    }
    const uid = this.uids[index] ?? null;
    const flags = /\bFLAGS \(([^)]*)\)/.exec(items)?.[1];
    const modSeq = Number(/\bMODSEQ \((\d+)\)/.exec(items)?.[1] ?? 0);
    if (flags === undefined) return;
    assert.ok(modSeq > 0, 'flags come with their MODSEQ');
    if (uid === null) return;
    const plain = sorted(flags.split(' ').filter((flag) => flag !== '' && flag !== '\\Recent'));
    assert.equal(plain, this.#truth.flags.get(uid)?.get(modSeq), `flags of ${uid} at ${modSeq}`);
    assert.ok((this.known.get(uid)?.modSeq ?? 0) <= modSeq, `MODSEQ of ${uid} falls`);
    this.known.set(uid, { modSeq, flags: plain });
  }

  #went(uid: number | null): void {
    if (uid === null) return;
    assert.ok(this.#truth.gone.has(uid), `${uid} is really gone`);
    this.known.delete(uid);
  }

  /** Of what is known by its uid: still as the client believes. */
  #believes(uid: number, told: string): void {
    const known = this.known.get(uid);
    if (known === undefined) return;
    const flags = this.#truth.flags.get(uid)?.get(known.modSeq);
    // of what is gone nothing more is told but that
    if (known.flags === flags || this.#truth.gone.has(uid)) return;
    const history = JSON.stringify([...(this.#truth.flags.get(uid) ?? [])].slice(-4));
    assert.fail(
      `${this.name} believes of ${uid} ${known.flags} at ${known.modSeq}, it was ${flags}\n${history}\n${told}\n\n${this.#trail.join('\n')}`,
    );
  }

  async #select(): Promise<void> {
    this.uids = [];
    this.known.clear();
    this.#selected(await this.#selectWith(''));
    await this.#fetchAll();
  }

  async #selectWith(parameters: string): Promise<string[]> {
    const lines: string[] = [];
    const tag = `x${++this.#tags}`;
    lines.push(...(await this.#client.command(tag, `SELECT INBOX${parameters}`)));
    this.#trail.push(`SELECT INBOX${parameters}`, ...lines);
    assert.match(lines.at(-1) ?? '', /^x\d+ OK \[READ-WRITE\]/);
    return lines;
  }

  #selected(lines: readonly string[]): void {
    const text = lines.join('\n');
    this.uids = new Array<number | null>(Number(/^\* (\d+) EXISTS$/m.exec(text)?.[1])).fill(null);
    this.#uidValidity = Number(/UIDVALIDITY (\d+)/.exec(text)?.[1]);
    this.#highest = Number(/HIGHESTMODSEQ (\d+)/.exec(text)?.[1]);
  }

  async #fetchAll(): Promise<void> {
    await this.#send('NOOP', true);
    if (this.uids.length > 0) await this.#send('FETCH 1:* (UID FLAGS MODSEQ)', false);
  }

  /** Leaves and comes back with what it knew: what it is told then makes its cache what is there. */
  async #resume(): Promise<void> {
    await this.#fetchAll();
    if (this.uids.includes(null)) return;
    const expunged = await this.#send('EXPUNGE', true);
    // new messages of which it has not been told the flags
    if (this.uids.includes(null)) return;
    const highest = Number(/HIGHESTMODSEQ (\d+)/.exec(expunged)?.[1] ?? this.#highest);
    const saved: Resumable = { uidValidity: this.#uidValidity, modSeq: highest, cache: new Map(this.known) };
    await this.#send(this.#chance(0.5) ? 'UNSELECT' : 'CLOSE', false);
    for (let turn = this.#below(3); turn > 0; turn--)
      await this.#send('STATUS INBOX (MESSAGES HIGHESTMODSEQ)', true);
    const cache = new Map(saved.cache);
    const lines = await this.#selectWith(` (QRESYNC (${saved.uidValidity} ${saved.modSeq}))`);
    this.known.clear();
    this.#selected(lines);
    for (const line of lines) {
      const vanished = /^\* VANISHED \(EARLIER\) (\S+)$/.exec(line);
      for (const uid of expand(vanished?.[1] ?? '')) {
        assert.ok(this.#truth.gone.has(uid));
        cache.delete(uid);
      }
      const fetch = /^\* (\d+) FETCH \(FLAGS \(([^)]*)\) UID (\d+) MODSEQ \((\d+)\)\)$/.exec(line);
      if (fetch === null) continue;
      const [, number, flags = '', uid, modSeq] = fetch;
      const plain = sorted(flags.split(' ').filter((flag) => flag !== '' && flag !== '\\Recent'));
      assert.equal(plain, this.#truth.flags.get(Number(uid))?.get(Number(modSeq)));
      cache.set(Number(uid), { modSeq: Number(modSeq), flags: plain });
      this.uids[Number(number) - 1] = Number(uid);
    }
    assert.equal(
      cache.size,
      this.uids.length,
      `${this.name}: as many as in its cache after resuming from ${saved.modSeq}`,
    );
    const ascending = [...cache.keys()].sort((a, b) => a - b);
    for (const [index, uid] of this.uids.entries()) assert.ok(uid === null || uid === ascending[index]);
    this.uids = ascending;
    for (const [uid, known] of cache) this.known.set(uid, known);
    // the rest must be what it was: a message told now with a higher MODSEQ changed since
    const before = new Map(this.known);
    const toldAgain = new Set<number>();
    await this.#send('UID FETCH 1:* (FLAGS MODSEQ)', false, (line) => {
      const uid = Number(/\bUID (\d+)/.exec(line)?.[1] ?? 0);
      if (uid > 0) toldAgain.add(uid);
    });
    for (const uid of toldAgain) {
      const was = before.get(uid);
      const is = this.known.get(uid);
      // new mail since
      if (was === undefined || is === undefined) continue;
      if (was.modSeq === is.modSeq) assert.equal(was.flags, is.flags);
      else
        assert.ok(
          is.modSeq > saved.modSeq,
          `${this.name}: ${uid} had changed by ${is.modSeq}, before ${saved.modSeq}`,
        );
    }
  }

  async #store(): Promise<void> {
    const count = this.uids.length;
    if (count === 0) return;
    const first = 1 + this.#below(count);
    const last = Math.min(count, first + this.#below(4));
    const asked = this.uids.slice(first - 1, last);
    const byUid = this.#chance(0.5) && !asked.includes(null);
    const set = byUid ? asked.join(',') : `${first}:${last}`;
    const operation = ['+', '-', ''][this.#below(3)] ?? '';
    const flag = flagChoices[this.#below(flagChoices.length)] ?? '';
    const silent = this.#chance(0.5);
    const since = this.#chance(0.3)
      ? Math.max(0, ...[...this.known.values()].map(({ modSeq }) => modSeq))
      : null;
    const before = new Map(this.known);
    const modifier = since === null ? '' : `(UNCHANGEDSINCE ${since}) `;
    const command = `${byUid ? 'UID ' : ''}STORE ${set} ${modifier}${operation}FLAGS${silent ? '.SILENT' : ''} (${flag})`;
    const told = [command];
    const tagged = await this.#send(command, false, (line) => {
      told.push(line);
      const [, number, modSeq] = /^\* (\d+) FETCH \((?:UID \d+ )?MODSEQ \((\d+)\)\)$/.exec(line) ?? [];
      const uid = number === undefined ? null : (this.uids[Number(number) - 1] ?? null);
      if (uid !== null && silent) {
        // what a client makes of it that is told no more
        const had = (this.known.get(uid)?.flags ?? '').split(' ').filter((each) => each !== '');
        const makes =
          operation === '+'
            ? [...had, flag]
            : operation === '-'
              ? had.filter((each) => each !== flag)
              : [flag];
        if (before.has(uid)) this.known.set(uid, { modSeq: Number(modSeq), flags: sorted(makes) });
      }
    });
    assert.match(tagged, /^(?:OK|NO \[(?:EXPUNGEISSUED|MODIFIED))/);
    for (const uid of asked) {
      if (uid === null) continue;
      this.#believes(uid, `${JSON.stringify(before.get(uid))}\n${told.join('\n')}`);
    }
  }

  async #search(): Promise<void> {
    const keys = { DELETED: '\\Deleted', FLAGGED: '\\Flagged', 'KEYWORD work': 'work', SEEN: '\\Seen' };
    const [key, flag] = Object.entries(keys)[this.#below(4)] ?? ['SEEN', '\\Seen'];
    const before = new Map(this.known);
    let found: number[] = [];
    await this.#send(`UID SEARCH RETURN (ALL) ${key}`, false, (line) => {
      const [, set] = /^\* ESEARCH \(TAG "x\d+"\) UID(?: ALL (\S+))?$/.exec(line) ?? [];
      if (set !== undefined) found = expand(set);
    });
    for (const uid of this.uids) {
      if (uid === null) continue;
      const known = before.get(uid);
      if (known === undefined) continue;
      const could = this.#truth.since(uid, known.modSeq).map((flags) => flags.split(' ').includes(flag));
      const is = found.includes(uid);
      assert.ok(
        could.includes(is) || (!is && this.#truth.gone.has(uid)),
        `${this.name}: ${key} of ${uid}: ${is}`,
      );
    }
    if (!this.uids.includes(null))
      for (const uid of found) assert.ok(this.uids.includes(uid), 'only what was told');
  }

  async step(): Promise<void> {
    const dice = this.#random();
    const count = this.uids.length;
    if (dice < 0.14 && (count < 40 || dice < 0.02)) {
      const tagged = await this.#send('APPEND INBOX (work) {9+}\r\nA: b\r\n\r\nx', true);
      assert.match(tagged, /^OK \[APPENDUID \d+ \d+\]/);
    } else if (dice < 0.2) {
      const gone = [...this.known].filter(([, { flags }]) => flags.includes('\\Deleted')).map(([uid]) => uid);
      await this.#send('EXPUNGE', true);
      for (const uid of gone) {
        const known = this.known.get(uid);
        assert.ok(
          known === undefined || !known.flags.includes('\\Deleted'),
          `${this.name}: ${uid} stays after EXPUNGE with \\Deleted`,
        );
      }
    } else if (dice < 0.26 && count > 0) {
      const at = 1 + this.#below(count);
      assert.match(
        await this.#send(`${this.#chance(0.5) ? 'MOVE' : 'COPY'} ${at} INBOX`, true),
        /^(?:OK|NO \[EXPUNGEISSUED\])/,
      );
    } else if (dice < 0.3 && this.#qresync) await this.#resume();
    else if (dice < 0.32) await this.#select();
    else if (dice < 0.42) await this.#search();
    else if (dice < 0.52 && count > 0) {
      assert.match(await this.#send('FETCH 1:* (UID FLAGS MODSEQ)', false), /^(?:OK|NO \[EXPUNGEISSUED\])/);
    } else if (dice < 0.57 && count > 0) {
      const since = Math.max(0, ...[...this.known.values()].map(({ modSeq }) => modSeq)) - this.#below(20);
      const told = new Map<number, number>();
      const must = [...this.known]
        .filter(([, { modSeq }]) => modSeq > Math.max(0, since))
        .map(([uid]) => uid);
      await this.#send(`UID FETCH 1:* (FLAGS) (CHANGEDSINCE ${Math.max(0, since)})`, false, (line) => {
        const [, modSeq, uid] = /MODSEQ \((\d+)\)(?: UID (\d+))?/.exec(line) ?? [];
        if (uid !== undefined) told.set(Number(uid), Number(modSeq));
      });
      for (const uid of must) assert.ok(told.has(uid) || this.#truth.gone.has(uid), `${uid} has changed`);
    } else if (dice < 0.67) await this.#send('NOOP', true);
    else await this.#store();
  }

  /** Whether it knows what there is, all told. */
  async isUpToDate(): Promise<boolean> {
    await this.#fetchAll();
    const alive = this.#truth.alive();
    if (alive.length !== this.uids.length) return false;
    for (const [index, uid] of alive.entries()) assert.equal(this.uids[index], uid);
    return alive.every((uid) => this.known.get(uid)?.modSeq === this.#truth.now(uid).modSeq);
  }
}

const expand = (set: string): number[] =>
  set === ''
    ? []
    : set.split(',').flatMap((part) => {
        const [first = 0, last = first] = part.split(':').map(Number);
        return Array.from({ length: last - first + 1 }, (_none, index) => first + index);
      });

const startAccess = async (
  folder: string,
  name: string,
): Promise<{ child: ChildProcess; socket: string }> => {
  const socket = path.join(folder, `${name}.sock`);
  const child = spawn(
    process.execPath,
    [
      path.join(import.meta.dirname, 'support/imap-access-process.ts'),
      folder,
      path.join(folder, 'w'),
      socket,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`access process ended with ${code}`)));
  });
  return { child, socket };
};

const connect = (socketPath: string): Promise<ImapTestClient> =>
  new Promise((resolve, reject) => {
    const socket = net.connect(socketPath);
    socket.once('connect', () => resolve(new ImapTestClient(socket)));
    socket.once('error', reject);
  });

test('eight sessions in two processes: each answer is one that the mailbox allows, and in the end all know the same', async (t) => {
  const store = await openImapRealStore();
  const account = await store.addAccount('busy@fengni.test');
  const inbox = store.writer.index.mailboxByName(account, 'INBOX');
  assert.ok(inbox !== null);
  const truth = new Truth(store.writer.index, inbox.id);
  truth.look();
  // before anybody else hears of it
  store.writer.onChange(() => truth.look());
  const { changeFlags } = store.writer;
  store.writer.changeFlags = async (request) => {
    const outcome = await changeFlags(request);
    if (outcome.kind === 'done') truth.did(outcome.uids, outcome.modSeq, request.unchangedSince);
    return outcome;
  };
  const server = net.createServer();
  const mailstore = mailstoreMethods(store.writer);
  const ipc = serveIpc(server, { methods: mailstore.methods, onClose: mailstore.forget });
  await new Promise<void>((resolve) => void server.listen(path.join(store.folder, 'w'), resolve));
  const processes = await Promise.all(['a', 'b'].map((name) => startAccess(store.folder, name)));
  const clients: Client[] = [];
  try {
    for (let index = 0; index < 8; index++) {
      const { socket } = processes[index % 2] ?? assert.fail();
      const client = new Client(`client ${index}`, await connect(socket), truth, index, index < 4);
      await client.start(account);
      clients.push(client);
    }
    const endMs = Date.now() + minutes * 60_000;
    await Promise.all(
      clients.map(async (client) => {
        for (let turn = 0; minutes > 0 ? Date.now() < endMs : turn < commandsEach; turn++)
          await client.step();
      }),
    );
    for (const client of clients) {
      // notices of the last changes may still be on their way
      while (!(await client.isUpToDate())) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const commands = clients.reduce((sum, client) => sum + client.commands, 0);
    assert.ok(truth.conditional > 0);
    t.diagnostic(`${commands} commands, ${truth.flags.size} messages, seed ${seed}`);
  } finally {
    for (const client of clients) client.close();
    for (const { child } of processes) {
      child.removeAllListeners('exit');
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.stdin?.end();
      await ended;
    }
    await ipc.close(0);
    server.close();
    await store.close();
  }
});
