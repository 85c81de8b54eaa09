import assert from 'node:assert/strict';
import { equalBytes, hex } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { KnownHead } from '#store/log';
import { scanFrames } from '#store/log';
import { CompactRange, leafHash } from '#trust/seal';
import { copyFiles } from './files.ts';
import type { Case, Point } from './suite.ts';
import { data, mail, type World } from './world.ts';

// Made to fail once, by a mistake in the code: the sealer signs where another root is asked for; 12 of 40 runs failed.

/** Every head that was ever signed is one of the log's own history: none of the same size with another root, none of leaves that are gone. */
const noFork = async (world: World, heads: readonly KnownHead[] = world.signed): Promise<void> => {
  const { generation } = await world.writer.status();
  const roots = new Map<number, string>();
  const range = new CompactRange();
  for await (const frame of scanFrames(world.machine, data, 0, 1, world.index.appliedSeq())) {
    if (frame.leaf.length === 0) continue;
    range.append(leafHash(frame.leaf));
    roots.set(range.size, hex(range.root()));
  }
  for (const { size, root, generation: of } of heads) {
    if (of !== generation || size === 0 || root === null) continue;
    assert.equal(hex(root), roots.get(size), `a head of ${size} leaves`);
  }
};

/** Mail comes in, is read, and flags change, whatever the sealer does. */
const flows = async (world: World): Promise<void> => {
  const sent = await world.deliver(mail('flows'), ['ann', 'bo']);
  assert.ok(equalBytes(new Uint8Array(await world.read(sent.id)), sent.octets));
  await world.done(
    world.writer.changeFlags({ ...world.at('ann'), uids: '1', mode: 'add', flags: ['\\Seen'] }),
  );
};

/** Asked for another root of a size that it signed, or for fewer leaves, it signs nothing. */
const refusesAnother = async (world: World): Promise<void> => {
  const head = await world.sealer?.head();
  if (head?.kind !== 'signed') return;
  const { generation, origin, size } = head.head;
  for (const asked of [size, size - 1]) {
    const root = new Uint8Array(32);
    const outcome = await world.sealer?.advance({ generation, origin, size: asked, root });
    assert.equal(outcome?.kind, 'refused', `a head of ${asked} leaves with another root`);
  }
};

/** Without its own folder, which no backup has, the sealer signs nothing before a new generation. */
const hasSealer = async (world: World): Promise<boolean> => (await world.sealer?.head())?.kind === 'signed';

const sealerFiles = (world: World): Map<string, Uint8Array> => world.machine.contents(`${data}/sealer`);

const tampered = (world: World, files: ReadonlyMap<string, Uint8Array>): void => {
  for (const [name, octets] of files) world.machine.tamper(name, () => octets.slice());
};

const begun = async (world: World): Promise<void> => {
  await world.deliver(mail('one'), ['ann', 'bo']);
  await world.seal();
};

const cases: readonly Case[] = [
  {
    title: 'down: mail flows, the status says so, and one call catches up',
    run: async (world) => {
      await begun(world);
      world.isSealerDown = true;
      for (let round = 0; round < 3; round++) await flows(world);
      await world.seal();
      const { sealedSize } = world.writer.sealStatus();
      return async () => {
        await flows(world);
        await world.seal();
        const down = world.writer.sealStatus();
        assert.equal(down.sealer, 'down');
        assert.equal(down.sealedSize, sealedSize);
        world.isSealerDown = false;
        await world.seal();
        const { sealer } = world.writer.sealStatus();
        assert.equal(sealer, (await hasSealer(world)) ? 'signing' : 'refusing');
        const { leafCount, sealedLeafCount } = await world.writer.status();
        if (sealer === 'signing') assert.equal(sealedLeafCount, leafCount);
        await flows(world);
        await noFork(world);
      };
    },
  },
  {
    title: 'killed after it persisted and before it answered: the same head again, and no other of its size',
    run: async (world) => {
      await begun(world);
      const lost: KnownHead[] = [];
      world.onSigning = (outcome) => {
        if (outcome?.kind !== 'signed') return;
        lost.push({ source: 'never heard', ...outcome.head });
        throw new FengniError('ipc-closed', { subject: 'the sealer', remedy: 'wait', retryable: true });
      };
      await flows(world);
      await world.seal();
      world.onSigning = null;
      const [first] = lost;
      assert.ok(first?.root);
      assert.equal(world.writer.sealStatus().sealer, 'down');
      return async () => {
        // A process that remembers nothing but its folder.
        if (world.sealer !== null) world.sealer = await world.openSealer();
        if (await hasSealer(world)) {
          const head = await world.sealer?.head();
          assert.ok(head?.kind === 'signed' && head.head.size >= (lost.at(-1)?.size ?? 0));
        }
        await flows(world);
        await world.seal();
        await flows(world);
        await world.seal();
        await refusesAnother(world);
        await noFork(world, [...world.signed, ...lost]);
      };
    },
  },
  {
    title: 'its state put back to an older one: it refuses, mail flows, no fork',
    run: async (world) => {
      await begun(world);
      const older = new Map([...sealerFiles(world)].filter(([name]) => name.endsWith('/state')));
      for (let round = 0; round < 2; round++) {
        await flows(world);
        await world.seal();
      }
      return async () => {
        const heads = [...world.signed];
        const known = await hasSealer(world);
        if (known) {
          tampered(world, older);
          world.sealer = await world.openSealer();
        }
        await flows(world);
        await world.seal();
        const { sealer, sealedSize } = world.writer.sealStatus();
        if (!known) assert.equal(sealer, 'refusing');
        // It may sign on when the entries lead from its older head over every head that was published; otherwise it says why it does not.
        assert.ok(sealer === 'signing' || sealer === 'refusing');
        assert.ok(sealedSize >= Math.max(...heads.map(({ size }) => size)) || sealer === 'refusing');
        await noFork(world, [...heads, ...world.signed]);
        // Fewer leaves than were published are never signed, whatever it remembers.
        const last = heads.at(-1);
        assert.ok(last?.root);
        const { generation, origin } = await world.writer.status();
        const fork = await world.sealer?.advance({
          generation,
          origin,
          size: last.size,
          root: new Uint8Array(32),
        });
        assert.equal(fork?.kind ?? 'refused', 'refused');
        await flows(world);
      };
    },
  },
  {
    title: 'a copy of its folder signs nothing; mail flows',
    run: async (world) => {
      await begun(world);
      await flows(world);
      await world.seal();
      return async () => {
        const copy = new Map(
          [...sealerFiles(world)].map(([name, octets]) => [
            name.replace('/sealer/', '/sealer-copy/'),
            octets,
          ]),
        );
        await copyFiles(world.machine, copy);
        if (copy.size > 0) {
          const own = world.sealer;
          world.sealer = await world.openSealer(`${data}/sealer-copy`);
          await flows(world);
          await world.seal();
          assert.equal(world.writer.sealStatus().sealer, 'refusing');
          assert.match(world.writer.sealStatus().reason ?? '', /cop/);
          await flows(world);
          world.sealer = own;
        }
        await flows(world);
        await world.seal();
        await refusesAnother(world);
        await noFork(world);
      };
    },
  },
  {
    title: 'its key or its memory lost: it refuses with a reason, mail flows',
    run: async (world) => {
      await begun(world);
      return async () => {
        for (const name of sealerFiles(world).keys())
          if (name.endsWith('/state')) await world.machine.remove(name);
        await world.crash('kill');
        await flows(world);
        await world.seal();
        const { sealer } = world.writer.sealStatus();
        assert.ok(sealer === 'refusing' || sealer === 'down');
        await flows(world);
        await noFork(world);
      };
    },
  },
];

export const point11: Point = {
  number: 11,
  title: 'Sealer down, killed after persisting, refusing, rolled back, copied: no fork, mail flows',
  cases,
};
