import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { equalBytes } from '#base/bytes';
import { silentLogger } from '#base/logger';
import { openAccessGate } from '#services/access';
import { createPop3Login } from '#services/maildrop';
import { randomNumbers, SimFs } from '#store/durable';
import { formatUidSet } from '#store/index';
import { openLog } from '#store/log';
import { encodeLeaf } from '#trust/seal';
import { copyFiles } from './files.ts';
import type { Case, Point } from './suite.ts';
import { data, mail, type World } from './world.ts';

// Made to fail once, by a mistake in the code: recovery believes a group whose key slots are missing; 16 of 40 runs failed.

/** `FENGNI_CUTS=all` cuts at every octet, as `npm run faults` does; otherwise so many octets of each group are chosen. */
const everyByte = process.env['FENGNI_CUTS'] === 'all';

interface Cuts {
  /** places of the group, spread over it and others in each run; borders of sectors, frames and the group come on top */
  places: number;
  /** of these cuts so many are looked at by a whole writer, with projections made anew */
  whole: number;
}

const empty = new Uint8Array(0);

/** `fengni index dump`, as one hash: that of 20,000 lines is compared often. */
const digest = (world: World): string => hash('sha256', world.dump().join('\n'));

/**
 * Does something that is one group, then starts again from what a cut in the middle of that group leaves: the log up to any of its octets,
 * its key slots there or not. Each start finds all of it or nothing.
 */
const allOrNone = async (world: World, operation: () => Promise<unknown>, cuts: Cuts): Promise<void> => {
  const before = { files: world.machine.contents(data), dump: digest(world), seq: world.index.appliedSeq() };
  const groups = world.index.appliedSeq();
  await operation();
  const after = { files: world.machine.contents(data), dump: digest(world), seq: world.index.appliedSeq() };
  assert.ok(after.seq > groups);
  const grown = [...after.files].filter(
    ([name, octets]) => name.endsWith('.fseg') && octets.length !== (before.files.get(name)?.length ?? 0),
  );
  assert.equal(grown.length, 1, 'one segment has grown');
  const [segment = '', octets = new Uint8Array(0)] = grown[0] ?? [];
  const from = before.files.get(segment)?.length ?? 0;
  const keys = [...after.files.keys()].filter((name) => name.endsWith('.fkeys'));
  const takesSlots = keys.some(
    (name) => !equalBytes(after.files.get(name) ?? empty, before.files.get(name) ?? empty),
  );
  const kept = (length: number, slots: boolean): Map<string, Uint8Array> => {
    const files = new Map(after.files);
    files.set(segment, octets.subarray(0, length));
    // Slots are synced beside the group: neither waits for the other.
    for (const name of slots ? [] : keys) {
      const old = before.files.get(name);
      if (old === undefined) files.delete(name);
      else files.set(name, old);
    }
    return files;
  };
  const length = octets.length - from;
  const numbers = randomNumbers(world.machine.calls);
  const places = new Set<number>();
  if (everyByte) for (let at = from; at <= octets.length; at++) places.add(at);
  const step = Math.max(1, Math.floor(length / cuts.places));
  for (let at = from + (numbers() % step); at <= octets.length; at += step) places.add(at);
  // The last sectors hold COMMIT; their borders and those of the first are where a disk really cuts.
  for (const border of [from + 512, octets.length - 512])
    for (const at of [border - 1, border, border + 1]) if (at > from && at < octets.length) places.add(at);
  places.add(from).add(octets.length);

  // What is durable may be applied too, never more: the log alone says how far it goes.
  const machine = new SimFs({ seed: 5 });
  let isFilled = false;
  const outcomes = { all: 0, none: 0 };
  for (const slots of [true, false]) {
    for (const place of places) {
      const files = kept(place, slots);
      if (!isFilled) await copyFiles(machine, files);
      isFilled = true;
      for (const name of [segment, ...keys]) {
        const stays = files.get(name) ?? new Uint8Array(0);
        machine.tamper(name, () => stays.slice());
      }
      const log = await openLog({
        io: machine,
        folder: data,
        shard: 0,
        knownHeads: [],
        segmentLeaf: (closed, { seq, timeMs }) => encodeLeaf({ kind: 'segment', seq, timeMs, ...closed }),
      });
      assert.ok(log.kind === 'log', log.kind === 'refused' ? `${place}: ${log.error.message}` : '');
      const last = log.durableSeq;
      await log.close();
      assert.ok(
        last === before.seq || last === after.seq,
        `cut at ${place - from} of ${length}: seq ${last}`,
      );
      outcomes[last === after.seq ? 'all' : 'none'] += 1;
      // A group whose keys are not there is not believed, however whole it is.
      if (!slots && takesSlots) assert.equal(last, before.seq, `without its slots, cut at ${place - from}`);
      if (place === octets.length && slots) assert.equal(last, after.seq, 'whole');
      if (place === from) assert.equal(last, before.seq, 'nothing written');
    }
  }
  assert.ok(outcomes.none > 0 && outcomes.all > 0);

  const sample = [...places].filter(
    (_, at) => cuts.whole > 0 && at % Math.ceil(places.size / cuts.whole) === 0,
  );
  for (const place of [...sample, octets.length]) {
    const other = await world.elsewhere(kept(place, true));
    try {
      await other.start();
      const isAll = other.index.appliedSeq() === after.seq;
      assert.ok(isAll || other.index.appliedSeq() === before.seq);
      assert.equal(digest(other), isAll ? after.dump : before.dump, `cut at ${place - from} of ${length}`);
    } finally {
      await other.end();
    }
  }
};

const cutCase = (
  title: string,
  prepare: (world: World) => Promise<unknown>,
  operation: (world: World) => Promise<unknown>,
  cuts: Cuts,
  people?: readonly string[],
): Case => ({
  title,
  ...(people === undefined ? {} : { options: { people } }),
  run: async (world) => {
    await prepare(world);
    await world.seal();
    return () => allOrNone(world, () => operation(world), cuts);
  },
});

const hundred = Array.from({ length: 100 }, (_, at) => `person-${at}`);

/** One message in many places of one mailbox, by copying again and again. */
const fill = async (world: World, count: number): Promise<void> => {
  await world.deliver(mail('in many places'), ['ann']);
  const { id } = world.mailbox('ann');
  for (let have = 1; have < count; ) {
    const more = Math.min(have, count - have);
    await world.done(
      world.writer.copy({
        ...world.at('ann'),
        uids: formatUidSet(Array.from({ length: more }, (_, at) => at + 1)),
        target: id,
        move: false,
      }),
    );
    have += more;
  }
  assert.equal(world.index.countPlacements(id), count);
};

export const point2: Point = {
  number: 2,
  title: 'All or none after a cut at every byte of the group',
  cases: [
    cutCase(
      'a message for one recipient',
      async () => {},
      (world) => world.deliver(mail('for one'), ['ann']),
      { places: 24, whole: 2 },
    ),
    cutCase(
      'a message for 100 recipients',
      async () => {},
      (world) => world.deliver(mail('for all'), hundred),
      { places: 5, whole: 0 },
      ['ann', ...hundred],
    ),
    cutCase(
      'MOVE of several messages to another mailbox',
      async (world) => {
        for (let at = 0; at < 5; at++) await world.deliver(mail(`moved ${at}`), ['ann']);
      },
      async (world) => {
        const target = world.mailbox('ann', 'Trash').id;
        await world.done(world.writer.copy({ ...world.at('ann'), uids: '1:4', target, move: true }));
      },
      { places: 24, whole: 2 },
    ),
    {
      title: 'MOVE between two accounts',
      later: 'no account sees another’s mailboxes before the issue on shared mailboxes (ACL)',
    },
    cutCase(
      'COPY of 10,000 messages',
      (world) => fill(world, 10_000),
      async (world) => {
        const target = world.mailbox('ann', 'Trash').id;
        const { to } = await world.done(
          world.writer.copy({ ...world.at('ann'), uids: '1:10000', target, move: false }),
        );
        assert.equal(to.length, 10_000);
      },
      { places: 2, whole: 0 },
    ),
    cutCase(
      'POP3 QUIT with deletions',
      async (world) => {
        for (let at = 0; at < 6; at++) await world.deliver(mail(`popped ${at}`), ['ann']);
      },
      async (world) => {
        const login = createPop3Login({
          login: {
            verify: async () => ({ kind: 'granted', account: world.account('ann'), key: 'ann@fengni.test' }),
          },
          index: world.index,
          gate: openAccessGate({ io: world.machine, folder: data, shard: 0, damaged: () => {} }),
          writer: world.writer,
          logger: silentLogger,
        });
        const peer = { address: '192.0.2.1', port: 1 };
        const verdict = await login.verify({ user: 'ann', password: 'x', peer } as never);
        assert.ok(verdict.kind === 'granted');
        assert.equal(verdict.maildrop.messages.length, 6);
        assert.deepEqual(await verdict.maildrop.quit([0, 2, 3, 5]), { kind: 'done' });
        assert.equal(world.index.countPlacements(world.mailbox('ann').id), 2);
      },
      { places: 24, whole: 2 },
    ),
  ],
};
