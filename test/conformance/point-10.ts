import assert from 'node:assert/strict';
import { scanFrames } from '#store/log';
import { parseLeaf } from '#trust/seal';
import { days } from './point-01.ts';
import type { Case, Point } from './suite.ts';
import { data, dayMs, mail, type World } from './world.ts';

// Made to fail once, by a mistake in the code: days are counted by the clock alone; 20 of 20 runs failed.

const yearMs = 365 * dayMs;

/** Leaf times never fall without a `clock` leaf, and each of those names the time before it. */
const timesHold = async (world: World): Promise<number> => {
  let lastMs = 0;
  let clocks = 0;
  for await (const frame of scanFrames(world.machine, data, 0, 1, world.index.appliedSeq())) {
    if (frame.leaf.length === 0) continue;
    const leaf = parseLeaf(frame.leaf);
    if (leaf.kind === 'clock') {
      assert.equal(leaf.beforeMs, lastMs);
      clocks += 1;
    } else assert.ok(leaf.timeMs >= lastMs, `frame ${leaf.seq} (${leaf.kind})`);
    lastMs = leaf.timeMs;
  }
  return clocks;
};

const again = async (world: World): Promise<number> => {
  const account = world.account('ann');
  const { mailbox } = await world.done(
    world.writer.createMailbox({ account, name: 'Again', role: null, origin: '' }),
  );
  const { uidValidity } = world.mailbox('ann', 'Again');
  await world.done(world.writer.deleteMailbox({ account, mailbox, origin: '' }));
  return uidValidity;
};

const jumpCase = (first: number): Case => ({
  title: `a clock that jumps a year ${first > 0 ? 'ahead and back' : 'back and ahead'} erases nothing, and numbers and times go on`,
  options: { recoverableDays: 3 },
  run: async (world) => {
    const gone = await world.deliver(mail('deleted before'), ['ann']);
    await world.writer.expunge({ ...world.at('ann'), uids: '1', deletedOnly: false });
    const validities = [await again(world)];
    await world.seal();
    world.wrongMs += first;
    const meanwhile = await world.deliver(mail('meanwhile'), ['ann']);
    validities.push(await again(world));
    await world.writer.eraseDue();
    await world.writer.expunge({ ...world.at('ann'), uids: '2', deletedOnly: false });
    await world.seal();
    return async () => {
      world.wrongMs -= first;
      validities.push(await again(world));
      const after = await world.deliver(mail('after'), ['ann']);
      await world.writer.eraseDue();
      for (const { id } of [gone, meanwhile]) assert.ok(world.index.messageById(id), 'erased by a jump');
      assert.ok(validities.every((value, at) => at === 0 || value > (validities[at - 1] ?? 0)));
      assert.ok(validities.every((value) => value < 2 ** 32));
      assert.deepEqual(
        world.placements(world.mailbox('ann').id).map(({ uid }) => uid),
        [3],
      );
      await world.seal();
      assert.ok((await timesHold(world)) >= 1);
      // Days that really pass count.
      await days(world, 6);
      for (const { id } of [gone, meanwhile]) assert.equal(world.index.messageById(id), null);
      assert.ok(world.index.messageById(after.id));
      await timesHold(world);
      await world.stop();
      await world.verifies();
      await world.start();
    };
  },
});

export const point10: Point = {
  number: 10,
  title: 'The clock a year ahead or back',
  cases: [
    jumpCase(yearMs),
    jumpCase(-yearMs),
    {
      title: 'a clock that was a year ahead while a crash came is put right afterwards: nothing was erased',
      options: { recoverableDays: 3 },
      conditions: ['crash', 'restore'],
      run: async (world) => {
        const { id } = await world.deliver(mail('kept'), ['ann']);
        await world.writer.expunge({ ...world.at('ann'), uids: '1', deletedOnly: false });
        world.wrongMs = yearMs;
        return async () => {
          await world.writer.eraseDue();
          assert.ok(world.index.messageById(id));
          world.wrongMs = 0;
          await world.crash('kill');
          await world.deliver(mail('next'), ['ann']);
          await world.writer.eraseDue();
          assert.ok(world.index.messageById(id));
          await timesHold(world);
        };
      },
    },
  ],
};
