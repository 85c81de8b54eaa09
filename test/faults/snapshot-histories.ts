import assert from 'node:assert/strict';
import { utf8 } from '#base/bytes';
import { purgeAccount, type Writer, type WriterOptions } from '#services/writer';
import { isPowerCut, randomNumbers, SimFs } from '#store/durable';
import { sha256 } from '#store/segments';
import { addPeople, seal, startMachine } from './writer-machine.ts';

const people = ['ann', 'cy', 'eve'] as const;
const days = 2;
const dayMs = 86_400_000;
const livesMax = 3;

/** so that a short life has snapshots of many pages */
const often: Partial<WriterOptions> = { recoverableDays: days, snapshotChangesMin: 8, snapshotPageUids: 3 };

export interface SnapshotsSeen {
  calls: number;
  /** projections made anew and compared */
  rebuilt: number;
  /** accounts that came from a snapshot */
  restored: number;
}

/**
 * One machine's life that writes snapshots all the time, until its power is cut at any operation: what is made from snapshots, what is made
 * from STATE frames alone and what was there say the same, whenever one looks.
 */
export const runSnapshotHistory = async (seed: number): Promise<SnapshotsSeen> => {
  const numbers = randomNumbers(seed);
  const upTo = (bound: number): number => numbers() % bound;
  const seen: SnapshotsSeen = { calls: 0, rebuilt: 0, restored: 0 };
  let machine = new SimFs({ seed });
  for (let life = 0; life < livesMax; life++) {
    const cutAt = 400 + upTo(1_200);
    const fault = (call: { index: number }) => (call.index >= cutAt ? ('power-cut' as const) : null);
    const running =
      life === 0 ? new SimFs({ seed: seed + life, fault }) : machine.cutPower({ seed: seed + life, fault });
    machine = running;
    try {
      const { writer, failed } = await startMachine(running, often);
      if (writer.kind === 'refused')
        assert.fail(`seed ${seed}: a start after a power cut refuses: ${writer.error.message}`);
      const missing = people.filter((name) => accountOf(writer, name) === null);
      if (missing.length > 0) await addPeople(writer, missing);
      const givenUp = failed.then((error) => {
        if (!running.isOff) throw error;
      });
      await Promise.race([live(running, writer, upTo, seed, seen), givenUp]);
    } catch (error) {
      if (!running.isOff) throw error;
    }
    seen.calls += running.calls;
    await compare(machine, null, seed + 50, seen);
  }
  return seen;
};

const accountOf = (writer: Writer, person: string): string | null =>
  (writer.directory.row('account', `${person}@fengni.test`)?.['id'] as string | undefined) ?? null;

const live = async (
  io: SimFs,
  writer: Writer,
  upTo: (bound: number) => number,
  seed: number,
  seen: SnapshotsSeen,
): Promise<void> => {
  const background: Promise<unknown>[] = [];
  for (let round = 0; round < 80 && !io.isOff; round++) {
    const jobs = Array.from({ length: 1 + upTo(4) }, () => step(io, writer, upTo, background));
    await Promise.all(jobs.map((job) => job.catch((error: unknown) => tolerate(io, error))));
    if (io.isOff) return;
    const jump = [dayMs + 3_600_000, dayMs + 3_600_000, -2 * dayMs][upTo(20)] ?? 0;
    // Whoever waits while days pass is told that he is late.
    if (jump !== 0 || upTo(6) === 0) await Promise.all(background.splice(0));
    io.advance(jump);
    if (upTo(3) === 0) await writer.eraseDue();
    if (upTo(12) === 0) await compare(io, writer, seed + round, seen);
  }
};

const tolerate = (io: SimFs, error: unknown): void => {
  if (!io.isOff && !isPowerCut(error)) throw error;
};

const linesOf = ({ index, directory }: Writer): string[] => [
  ...index.dump(),
  ...directory.dump(),
  ...index
    .accounts()
    .flatMap((account) => [
      `changes ${account} ${index.accountCounters(account).changes}`,
      ...index
        .snapshotFrames(account)
        .map(
          ({ mailbox, page, seq, base, commitment, at }) =>
            `snapshot ${account} ${mailbox} ${page} seq ${seq} base ${base} ${commitment} at ${at.segment}+${at.offset}+${at.lengthBytes}`,
        ),
    ]),
  JSON.stringify(index.marks()),
];

const same = (found: readonly string[], expected: readonly string[], what: string): void => {
  const lacks = expected.filter((line) => !found.includes(line)).slice(0, 5);
  const more = found.filter((line) => !expected.includes(line)).slice(0, 5);
  assert.deepEqual({ lacks, more }, { lacks: [], more: [] }, what);
  assert.equal(found.join('\n'), expected.join('\n'), what);
};

/** @param running null after a cut */
const compare = async (
  io: SimFs,
  running: Writer | null,
  seed: number,
  seen: SnapshotsSeen,
): Promise<void> => {
  const copy = io.wouldSurvive({ seed });
  const start = async (machine: SimFs, useSnapshots: boolean): Promise<Writer> => {
    // Nothing is written by the comparison itself.
    const { writer } = await startMachine(machine, {
      snapshotChangesMin: 1_000_000,
      recoverableDays: 1_000_000,
      useSnapshots,
    });
    if (writer.kind === 'refused') assert.fail(`seed ${seed}: recovery refuses: ${writer.error.message}`);
    return writer;
  };
  const copies = [copy.wouldSurvive({ seed: seed + 1 }), copy.wouldSurvive({ seed: seed + 1 })] as const;
  const plain = await start(copies[0], false);
  const restored = await start(copies[1], true);
  same(linesOf(restored), linesOf(plain), `seed ${seed}: snapshots say what STATE frames say`);
  seen.rebuilt += 1;
  seen.restored += restored.index
    .accounts()
    .filter((account) =>
      restored.index.snapshotFrames(account).some(({ mailbox, page }) => mailbox === '' && page === -1),
    ).length;
  if (running === null || running.index.appliedSeq() !== plain.index.appliedSeq()) return;
  same(linesOf(plain), linesOf(running), `seed ${seed}: what is made anew says what was there`);
};

const step = async (
  io: SimFs,
  writer: Writer,
  upTo: (bound: number) => number,
  background: Promise<unknown>[],
): Promise<void> => {
  const { index } = writer;
  const account = accountOf(writer, people[upTo(people.length)] ?? 'ann');
  const mailboxes = account === null ? [] : index.mailboxes(account);
  const mailbox =
    upTo(2) === 0 ? mailboxes.find(({ name }) => name === 'INBOX') : mailboxes[upTo(mailboxes.length)];
  if (account === null || mailbox === undefined) return;
  // Mostly where there is something.
  const there = index.placements(mailbox.id, 0, 1_000);
  const first = there[upTo(there.length + 1)]?.uid ?? 1 + upTo(Math.max(1, mailbox.uidNext));
  const uids = upTo(3) === 0 ? `${first}:${first + 1 + upTo(4)}` : String(first);
  const origin = '';
  switch (upTo(18)) {
    case 0:
    case 1:
    case 2: {
      const octets = `Subject: ${upTo(1000)}\r\nMessage-ID: <${upTo(9)}@x>\r\nReferences: <${upTo(9)}@x>\r\n\r\nx\r\n`;
      const to = people.flatMap((person) => {
        const id = upTo(2) === 0 ? accountOf(writer, person) : null;
        return id === null ? [] : [{ account: id, address: `${person}@fengni.test` }];
      });
      if (to.length === 0) return;
      const { message, copies } = await seal(io, utf8(octets), to);
      await writer.deliver(message, copies);
      break;
    }
    case 3: {
      const { message } = await seal(io, utf8(`Subject: own\r\n\r\n${upTo(1000)}\r\n`), [
        { account, address: '' },
      ]);
      await writer.append({
        account,
        mailbox: mailbox.id,
        message: { ...message, kind: 'added', leaf: { ...message.leaf, rcp: sha256(new Uint8Array(0)) } },
        flags: [`a${upTo(5)}`, '\\Seen'],
        dateMs: null,
        origin,
      });
      break;
    }
    case 4:
    case 12:
    case 13:
      await writer.expunge({ account, mailbox: mailbox.id, uids, deletedOnly: upTo(3) === 0, origin });
      break;
    case 5:
    case 6: {
      const target = mailboxes[upTo(mailboxes.length)];
      if (target !== undefined && target.id !== mailbox.id)
        await writer.copy({
          account,
          mailbox: mailbox.id,
          uids,
          target: target.id,
          move: upTo(2) === 0,
          origin,
        });
      break;
    }
    case 7:
      await writer.createMailbox({ account, name: `F ${upTo(4)}`, role: null, origin });
      break;
    case 8:
      if (upTo(2) === 0) await writer.deleteMailbox({ account, mailbox: mailbox.id, origin });
      else await writer.renameMailbox({ account, mailbox: mailbox.id, name: `G ${upTo(4)}`, origin });
      break;
    case 9:
      await writer.subscribe({ account, name: `F ${upTo(4)}`, subscribed: upTo(2) === 0, origin });
      break;
    case 10:
      // Others go on meanwhile.
      background.push(writer.snapshot(account).catch((error: unknown) => tolerate(io, error)));
      break;
    case 11: {
      if (upTo(12) > 0) return;
      const eve = accountOf(writer, 'eve');
      if (eve !== null) await writer.queue.submit(purgeAccount('eve@fengni.test', eve));
      break;
    }
    default:
      await writer.changeFlags({
        account,
        mailbox: mailbox.id,
        uids,
        mode: (['add', 'remove', 'replace'] as const)[upTo(3)] ?? 'add',
        flags: [['\\Seen'], ['\\Flagged', 'work'], ['$Label', 'WORK'], ['\\Deleted']][upTo(4)] ?? [],
        origin,
      });
  }
};
