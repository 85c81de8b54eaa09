import assert from 'node:assert/strict';
import { utf8 } from '#base/bytes';
import { addHold, purgeAccount, releaseHold, type Writer } from '#services/writer';
import { openBodyReaders } from '#store/bodies';
import { isPowerCut, randomNumbers, SimFs } from '#store/durable';
import type { KeyRef } from '#store/index';
import { openKeyReader, scanFrames } from '#store/log';
import { frameTypes, parseErasedKeys, sha256 } from '#store/segments';
import { addPeople, dataFolder, seal, startMachine } from './writer-machine.ts';

/** `ann` keeps all, `cy` deletes, `di` deletes and is held at times, `eve` is purged */
const people = ['ann', 'cy', 'di', 'eve'] as const;
type Person = (typeof people)[number];

const days = 2;
const dayMs = 86_400_000;
/** a little more, so that no boundary is met exactly */
const stepMs = dayMs + 3_600_000;
const livesMax = 3;
/** octets from which a body lies in a file of its own here */
const largeAboveBytes = 2_000;

interface Known {
  octets: string;
  to: Set<Person>;
  key: KeyRef;
  /** `day` leaves when somebody first asked to delete what lay there, by person */
  deletedAt: Map<Person, number>;
  /** must stay whatever is asked, while the hold is on */
  held: boolean;
  /** seen to be erased */
  erased: boolean;
}

interface Promised {
  messages: Map<string, Known>;
  isHeld: boolean;
  /** times that somebody asked for the hold to be released */
  releases: number;
  /** ids of accounts that are gone for good, with their own keys */
  purged: Map<string, KeyRef>;
}

export interface Seen {
  calls: number;
  erased: number;
  held: number;
  purged: number;
  rebuilt: number;
}

/**
 * One machine's life: mail, deletions, holds, purges, days and years that pass, until its power is cut at any operation. After each start:
 * what was erased stays erased, what is held or not due is there octet for octet, a slot is destroyed only where a durable ERASED frame
 * names it, and projections made anew say what those in use said.
 */
export const runEraseHistory = async (seed: number): Promise<Seen> => {
  const numbers = randomNumbers(seed);
  const upTo = (bound: number): number => numbers() % bound;
  const promised: Promised = { messages: new Map(), isHeld: false, releases: 0, purged: new Map() };
  const seen: Seen = { calls: 0, erased: 0, held: 0, purged: 0, rebuilt: 0 };
  let machine = new SimFs({ seed });
  for (let life = 0; life < livesMax; life++) {
    const cutAt = 150 + upTo(life === 0 ? 700 : 500);
    const fault = (call: { index: number }) => (call.index >= cutAt ? ('power-cut' as const) : null);
    const running =
      life === 0 ? new SimFs({ seed: seed + life, fault }) : machine.cutPower({ seed: seed + life, fault });
    machine = running;
    try {
      const { writer, failed } = await startMachine(running, { recoverableDays: days });
      if (writer.kind === 'refused')
        assert.fail(`seed ${seed}: a start after a power cut refuses: ${writer.error.message}`);
      const missing = people.filter(
        (name) => writer.directory.row('account', `${name}@fengni.test`) === null,
      );
      if (missing.length > 0) await addPeople(writer, missing);
      // A writer that gives up answers nobody.
      const givenUp = failed.then((error) => {
        if (!running.isOff) throw error;
      });
      await Promise.race([live(running, writer, promised, seen, upTo, seed), givenUp]);
    } catch (error) {
      if (!running.isOff) throw error;
    }
    seen.calls += running.calls;
    await check(running, seed, promised);
  }
  return seen;
};

const idOf = (writer: Writer, person: Person): string | null =>
  (writer.directory.row('account', `${person}@fengni.test`)?.['id'] as string | undefined) ?? null;

const live = async (
  io: SimFs,
  writer: Writer,
  promised: Promised,
  seen: Seen,
  upTo: (bound: number) => number,
  seed: number,
): Promise<void> => {
  for (let round = 0; round < 60 && !io.isOff; round++) {
    const deleting = new Map<Person, number>();
    const jobs = Array.from({ length: 1 + upTo(3) }, () => step(io, writer, promised, deleting, seen, upTo));
    await Promise.all(jobs.map((job) => job.catch((error: unknown) => tolerate(io, error))));
    for (const [person, dayCount] of deleting) {
      for (const known of promised.messages.values())
        if (known.to.has(person) && !known.deletedAt.has(person)) known.deletedAt.set(person, dayCount);
    }
    if (io.isOff) return;
    if (upTo(2) === 0) io.advance(stepMs);
    // A clock that is a year ahead counts as one day.
    if (upTo(12) === 0) io.advance(365 * dayMs);
    if (upTo(2) === 0) {
      await writer.eraseDue();
      for (const [id, known] of promised.messages) {
        if (known.erased || writer.index.messageById(id) !== null) continue;
        known.erased = true;
        seen.erased += 1;
      }
    }
    if (upTo(10) === 0) {
      await writer.eraseDue();
      const copy = io.wouldSurvive({ seed: seed + round });
      const { writer: other } = await startMachine(copy, { recoverableDays: days });
      assert.equal(other.kind, 'writer');
      if (other.kind !== 'writer') return;
      await other.eraseDue();
      assert.deepEqual(
        dumpOf(other),
        dumpOf(writer),
        `seed ${seed}: made anew from a log with erased frames`,
      );
      seen.rebuilt += 1;
    }
  }
};

const dumpOf = (writer: Writer): string[] => [...writer.index.dump(), ...writer.directory.dump()];

const tolerate = (io: SimFs, error: unknown): void => {
  if (!io.isOff && !isPowerCut(error)) throw error;
};

const step = async (
  io: SimFs,
  writer: Writer,
  promised: Promised,
  deleting: Map<Person, number>,
  seen: Seen,
  upTo: (bound: number) => number,
): Promise<void> => {
  const { index } = writer;
  const deleter = (['cy', 'di'] as const)[upTo(2)] ?? 'cy';
  const account = idOf(writer, deleter);
  switch (upTo(11)) {
    case 0:
    case 1:
    case 2:
    case 3: {
      const to = people.filter((person) => upTo(2) === 0 && idOf(writer, person) !== null);
      if (to.length === 0) return;
      const octets = `Subject: ${upTo(1000)}\r\nMessage-ID: <${upTo(9)}@x>\r\nReferences: <${upTo(9)}@x>\r\n\r\n${'line\r\n'.repeat(upTo(600))}`;
      const { message, copies } = await seal(
        io,
        utf8(octets),
        to.map((person) => ({ account: idOf(writer, person) as string, address: `${person}@fengni.test` })),
        dataFolder,
        largeAboveBytes,
      );
      const outcome = await writer.deliver(message, copies);
      // Somebody may have been purged meanwhile.
      if (outcome.kind !== 'done') return;
      const key = index.messageById(outcome.id)?.key;
      // Erased already: by a purge in the same breath.
      if (key === undefined) return;
      promised.messages.set(outcome.id, {
        octets,
        to: new Set(to),
        key,
        deletedAt: new Map(),
        held: promised.isHeld && to.includes('di'),
        erased: false,
      });
      break;
    }
    case 4:
    case 5: {
      const inbox = account === null ? null : index.mailboxByName(account, 'INBOX');
      if (account === null || inbox === null) return;
      if (!deleting.has(deleter)) deleting.set(deleter, index.marks().dayCount);
      const uids = `${1 + upTo(3)}:${inbox.uidNext}`;
      await writer.expunge({ account, mailbox: inbox.id, uids, deletedOnly: false, origin: '' });
      break;
    }
    case 6: {
      // Keywords, copies, moves and folders that go: what else leads to a copy without a placement.
      const inbox = account === null ? null : index.mailboxByName(account, 'INBOX');
      if (account === null || inbox === null) return;
      const name = `F ${upTo(3)}`;
      const made = await writer.createMailbox({ account, name, role: null, origin: '' });
      const target = made.kind === 'done' ? made.mailbox : index.mailboxByName(account, name)?.id;
      if (target === undefined) return;
      const moved = { account, mailbox: inbox.id, uids: `1:${1 + upTo(9)}`, target, move: upTo(2) === 0 };
      await writer.copy({ ...moved, origin: '' });
      await writer.changeFlags({
        account,
        mailbox: target,
        uids: '1:9',
        mode: 'add',
        flags: [`k${upTo(4)}`],
        origin: '',
      });
      if (upTo(2) === 0) break;
      if (!deleting.has(deleter)) deleting.set(deleter, index.marks().dayCount);
      await writer.deleteMailbox({ account, mailbox: target, origin: '' });
      break;
    }
    case 7: {
      // With keywords that the mailbox has not seen.
      const inbox = account === null ? null : index.mailboxByName(account, 'INBOX');
      if (account === null || inbox === null) return;
      const { message } = await seal(io, utf8(`Subject: own\r\n\r\n${upTo(1000)}\r\n`), [
        { account, address: '' },
      ]);
      await writer.append({
        account,
        mailbox: inbox.id,
        message: { ...message, kind: 'added', leaf: { ...message.leaf, rcp: sha256(new Uint8Array(0)) } },
        flags: [`a${upTo(5)}`, '\\Seen'],
        dateMs: null,
        origin: '',
      });
      break;
    }
    case 8: {
      const di = idOf(writer, 'di');
      if (di === null) return;
      const { releases } = promised;
      const outcome = await writer.queue.submit(addHold(di, 'why'));
      // Released already by who came right behind.
      if (outcome.kind !== 'done' || promised.releases > releases) return;
      promised.isHeld = true;
      for (const [id, known] of promised.messages) {
        const row = index.messageById(id);
        if (row === null || !index.emailsOfMessage(row.seq).some((email) => email.account === di)) continue;
        known.held = true;
        seen.held += 1;
      }
      break;
    }
    case 9: {
      const di = idOf(writer, 'di');
      if (di === null) return;
      promised.isHeld = false;
      promised.releases += 1;
      for (const known of promised.messages.values()) known.held = false;
      await writer.queue.submit(releaseHold(di));
      break;
    }
    default: {
      const eve = idOf(writer, 'eve');
      const key = eve === null ? null : index.accountKey(eve);
      if (eve === null || key === null || upTo(2) === 0) return;
      for (const known of promised.messages.values()) known.to.delete('eve');
      const outcome = await writer.queue.submit(purgeAccount('eve@fengni.test', eve));
      for (const known of promised.messages.values()) known.to.delete('eve');
      if (outcome.kind !== 'done') return;
      await writer.eraseDue();
      promised.purged.set(eve, key);
      seen.purged += 1;
    }
  }
};

/** Starts from what survived, on a machine of its own that nobody cuts, and looks at everything that was promised. */
const check = async (machine: SimFs, seed: number, promised: Promised): Promise<void> => {
  const dumps: string[][] = [];
  let survivor = machine.cutPower({ seed: seed + 77 });
  for (let start = 0; start < 2; start++) {
    const { writer } = await startMachine(survivor, { recoverableDays: days });
    if (writer.kind === 'refused') assert.fail(`seed ${seed}: recovery refuses: ${writer.error.message}`);
    await writer.eraseDue();
    const { index } = writer;
    const { dayCount } = index.marks();
    const named = await erasedKeys(survivor, index.appliedSeq());
    const keys = openKeyReader({ io: survivor, folder: dataFolder, shard: 0 });
    const bodies = openBodyReaders({ io: survivor, folder: dataFolder, shard: 0 });
    for (const [id, known] of promised.messages) {
      const what = `seed ${seed}: message ${id}`;
      const row = index.messageById(id);
      const slot = await keys.fileKey(known.key);
      if (known.erased) assert.equal(row, null, `${what} was erased and is there again`);
      if (row === null)
        assert.equal(slot.kind, 'destroyed', `${what} is not in the index and its key is ${slot.kind}`);
      if (slot.kind === 'destroyed')
        assert.ok(named.has(`${known.key.epoch}/${known.key.slot}`), `${what}: destroyed without ERASED`);
      const owners = [...known.to].filter((person) => {
        const deletedAt = known.deletedAt.get(person);
        return (known.held && person === 'di') || deletedAt === undefined || dayCount - deletedAt < days;
      });
      if (owners.length === 0) continue;
      assert.ok(row, `${what} is ${owners.join()}'s and must be there`);
      const body = await bodies.message(row);
      const pieces: Uint8Array[] = [];
      for await (const piece of body.read(0, body.sizeBytes)) pieces.push(piece);
      assert.equal(Buffer.concat(pieces).toString(), known.octets, `${what} octet for octet`);
      const accounts = index.emailsOfMessage(row.seq).map((email) => email.account);
      for (const person of owners)
        assert.ok(accounts.includes(idOf(writer, person) ?? ''), `${what} has ${person}'s copy`);
    }
    for (const [account, key] of promised.purged) {
      assert.equal((await keys.fileKey(key)).kind, 'destroyed', `seed ${seed}: the key of a purged account`);
      assert.ok(!index.accounts().includes(account), `seed ${seed}: a purged account is there again`);
    }
    const large = await survivor.readFolder(`${dataFolder}/large`);
    for (const name of large) {
      const id = name.split('.')[0] ?? '';
      if (promised.messages.get(id)?.erased === true && start === 1)
        assert.fail(`seed ${seed}: the file of the erased message ${id} is there`);
    }
    await bodies.close();
    await keys.close();
    dumps.push(dumpOf(writer));
    survivor = survivor.cutPower({ seed: seed + 78 });
  }
  if ((dumps[0] ?? []).length > 0)
    assert.deepEqual(dumps[1], dumps[0], `seed ${seed}: a second start changes nothing`);
};

const erasedKeys = async (io: SimFs, lastSeq: number): Promise<Set<string>> => {
  const named = new Set<string>();
  if (lastSeq === 0) return named;
  for await (const { head, clearBody } of scanFrames(io, dataFolder, 0, 1, lastSeq)) {
    if (head.record.type !== frameTypes.ERASED || clearBody === null) continue;
    for (const { epoch, slot } of parseErasedKeys(clearBody) ?? []) named.add(`${epoch}/${slot}`);
  }
  return named;
};
