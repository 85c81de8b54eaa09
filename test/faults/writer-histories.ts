import assert from 'node:assert/strict';
import { utf8 } from '#base/bytes';
import type { Writer } from '#services/writer';
import { openBodyReaders } from '#store/bodies';
import { isPowerCut, randomNumbers, SimFs } from '#store/durable';
import { addPeople, dataFolder, seal, startMachine } from './writer-machine.ts';

/** calls of a history before its power is cut at the earliest */
export const callsMin = 200;
/** power cuts of one history, each followed by a start */
const livesMax = 3;

interface Promised {
  /** message id → octets and the accounts that were told of in the answer */
  delivered: Map<string, { octets: string; accounts: readonly string[] }>;
  /** the highest seq that any answer rested on */
  seq: number;
  /** mailbox names that were answered for, by account */
  created: Map<string, string>;
  head: number;
}

/**
 * One machine's life: people, mail, flags, moves, folders and heads, until its power is cut at any operation; then a start, which may be
 * cut too. After each start everything that was answered must be there, octet for octet, and a second start must change nothing.
 *
 * @returns I/O operations, and files of large bodies that were looked at
 */
export const runHistory = async (seed: number): Promise<{ calls: number; largeFiles: number }> => {
  const numbers = randomNumbers(seed);
  const upTo = (bound: number): number => numbers() % bound;
  const promised: Promised = { delivered: new Map(), seq: 0, created: new Map(), head: 0 };
  let machine = new SimFs({ seed });
  let total = 0;
  let largeFiles = 0;
  for (let life = 0; life < livesMax; life++) {
    const cutAt = life === 0 ? callsMin + upTo(400) : upTo(250);
    const fault = (call: { index: number }) => (call.index >= cutAt ? ('power-cut' as const) : null);
    const running =
      life === 0 ? new SimFs({ seed: seed + life, fault }) : machine.cutPower({ seed: seed + life, fault });
    machine = running;
    try {
      const { writer, timers } = await startMachine(running);
      if (writer.kind === 'refused')
        assert.fail(`seed ${seed}: a start after a power cut refuses: ${writer.error.message}`);
      if (writer.index.accounts().length < 2) await addPeople(writer, ['ann', 'bo']).catch(ignorePowerCut);
      await live(running, writer, timers, promised, upTo);
    } catch (error) {
      if (!running.isOff) throw error;
    }
    total += running.calls;
    largeFiles += await check(running, seed, promised);
  }
  return { calls: total, largeFiles };
};

const ignorePowerCut = (): void => {};

const live = async (
  io: SimFs,
  writer: Writer,
  timers: (() => void)[],
  promised: Promised,
  upTo: (bound: number) => number,
): Promise<void> => {
  const accounts = writer.index.accounts();
  for (let round = 0; round < 60 && !io.isOff; round++) {
    const jobs = Array.from({ length: 1 + upTo(4) }, () => step(io, writer, accounts, promised, upTo));
    await Promise.all(jobs.map((job) => job.catch((error: unknown) => tolerate(io, error))));
    if (upTo(3) === 0) for (const work of timers.splice(0)) work();
    if (upTo(4) === 0) await writer.settleHeads();
    const status = await writer.status();
    // Whoever saw a head may hold it against us for ever.
    promised.head = Math.max(promised.head, status.sealedLeafCount);
  }
};

const tolerate = (io: SimFs, error: unknown): void => {
  if (!io.isOff && !isPowerCut(error)) throw error;
};

const step = async (
  io: SimFs,
  writer: Writer,
  accounts: readonly string[],
  promised: Promised,
  upTo: (bound: number) => number,
): Promise<void> => {
  const account = accounts[upTo(accounts.length)];
  if (account === undefined) return;
  const inbox = writer.index.mailboxByName(account, 'INBOX');
  if (inbox === null) return;
  const uids = `1:${1 + upTo(5) + 1}`;
  const answered = (seq: number): void => {
    promised.seq = Math.max(promised.seq, seq);
  };
  switch (upTo(7)) {
    case 0:
    case 1:
    case 2: {
      const octets = `Subject: ${upTo(1000)}\r\nMessage-ID: <${upTo(50)}@x>\r\n\r\n${'line of text\r\n'.repeat(upTo(300))}`;
      const to = upTo(2) === 0 ? [account] : accounts;
      const { message, copies } = await seal(
        io,
        utf8(octets),
        to.map((each) => ({ account: each, address: 'ann@fengni.test' })),
      );
      const outcome = await writer.deliver(message, copies);
      assert.equal(outcome.kind, 'done');
      if (outcome.kind === 'done') {
        promised.delivered.set(outcome.id, { octets, accounts: to });
        answered(outcome.seq);
      }
      break;
    }
    case 3: {
      const outcome = await writer.changeFlags({
        account,
        mailbox: inbox.id,
        uids,
        mode: (['add', 'remove', 'replace'] as const)[upTo(3)] ?? 'add',
        flags: upTo(2) === 0 ? ['\\Seen'] : ['\\Flagged', 'work'],
        origin: '',
      });
      assert.equal(outcome.kind, 'done');
      break;
    }
    case 4: {
      const trash = writer.index.mailboxByName(account, 'Trash');
      if (trash === null) return;
      await writer.copy({
        account,
        mailbox: inbox.id,
        uids,
        target: trash.id,
        move: upTo(2) === 0,
        origin: '',
      });
      break;
    }
    case 5: {
      const name = `Folder ${upTo(1_000_000)}`;
      const outcome = await writer.createMailbox({ account, name, role: null, origin: '' });
      if (outcome.kind === 'done') promised.created.set(`${account} ${name}`, outcome.mailbox);
      break;
    }
    default:
      await writer.markRecent({ account, mailbox: inbox.id, below: inbox.uidNext });
  }
};

/** Starts from what survived, on a machine of its own that nobody cuts, and looks at everything that was promised. */
const check = async (machine: SimFs, seed: number, promised: Promised): Promise<number> => {
  let largeFiles = 0;
  const dumps: string[] = [];
  let survivor = machine.cutPower({ seed: seed + 77 });
  for (let start = 0; start < 2; start++) {
    const { writer } = await startMachine(survivor);
    // I3: a head that was signed and seen has its leaves; without them the log refuses.
    if (writer.kind === 'refused') assert.fail(`seed ${seed}: recovery refuses: ${writer.error.message}`);
    const { index } = writer;
    const status = await writer.status();
    assert.ok(
      status.leafCount >= promised.head,
      `seed ${seed}: a signed head of ${promised.head} leaves, ${status.leafCount} are there`,
    );
    assert.ok(index.appliedSeq() >= promised.seq, `seed ${seed}: seq ${promised.seq} was answered for`);
    const bodies = openBodyReaders({ io: survivor, folder: dataFolder, shard: 0 });
    for (const [id, { octets, accounts }] of promised.delivered) {
      const row = index.messageById(id);
      assert.ok(row, `seed ${seed}: message ${id} was acknowledged (I1)`);
      const body = await bodies.message(row);
      const pieces: Uint8Array[] = [];
      for await (const piece of body.read(0, body.sizeBytes)) pieces.push(piece);
      assert.equal(
        Buffer.concat(pieces).toString(),
        octets,
        `seed ${seed}: message ${id} octet for octet (I1)`,
      );
      const emails = index.emailsOfMessage(row.seq);
      for (const email of emails) {
        const places = index
          .mailboxes(email.account)
          .flatMap(({ id: mailbox }) => index.placements(mailbox, 0, 10_000))
          .filter(({ emailSeq }) => emailSeq === email.emailSeq);
        assert.ok(
          places.length > 0,
          `seed ${seed}: ${email.emailId} was moved out of one mailbox and into none (I2)`,
        );
      }
      const owners = emails.map((email) => email.account);
      assert.deepEqual(
        owners.sort(),
        [...accounts].sort(),
        `seed ${seed}: all or none of the recipients (I1, I2)`,
      );
    }
    for (const [key, mailbox] of promised.created) {
      const [account = '', ...name] = key.split(' ');
      assert.equal(
        index.mailboxByName(account, name.join(' '))?.id,
        mailbox,
        `seed ${seed}: a folder that was answered for`,
      );
    }
    await bodies.close();
    await writer.swept;
    const files = [...survivor.contents(dataFolder).keys()];
    assert.deepEqual(
      files.filter((file) => file.startsWith(`${dataFolder}/spool/`)),
      [],
      `seed ${seed}: nothing is left in spool/`,
    );
    for (const file of files.filter((name) => name.startsWith(`${dataFolder}/large/`))) {
      const id = /([a-z2-7]{26})\.flarge$/.exec(file)?.[1] ?? '';
      assert.ok(index.messageById(id), `seed ${seed}: ${file} belongs to a message`);
      largeFiles += 1;
    }
    dumps.push([...index.dump(), ...writer.directory.dump()].join('\n'));
    // I5: what recovery did needs no second time, also when the power goes right after it.
    survivor = survivor.cutPower({ seed: seed + 78 });
  }
  assert.equal(
    dumps[1],
    withoutGenesis(dumps[0] ?? '', dumps[1] ?? ''),
    `seed ${seed}: a second start changes nothing (I5)`,
  );
  return largeFiles;
};

/** A log that held nothing gets its first leaf at each start until that is durable: the only thing that a start may add. */
const withoutGenesis = (first: string, second: string): string => (first === '' ? second : first);
