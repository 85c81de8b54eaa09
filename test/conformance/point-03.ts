import assert from 'node:assert/strict';
import { hex } from '#base/bytes';
import { FengniError } from '#base/errors';
import { addAlias } from '#services/writer';
import type { Case, Point } from './suite.ts';
import { mail, type World } from './world.ts';

// Made to fail once, by a mistake in the code: the writer answers before the group is durable; 14 of 46 runs failed.

/** A copy of the world whose power goes this moment; `see` looks at what starts there. */
const afterACut = async (
  world: World,
  seeds: readonly number[],
  see: (other: World, what: string) => void | Promise<void>,
  knownHeads?: Parameters<World['tryStart']>[0],
): Promise<void> => {
  for (const seed of seeds) {
    const other = world.twin(seed);
    try {
      const refusal = await other.tryStart(knownHeads);
      assert.equal(refusal, null, `seed ${seed}: ${refusal?.error.message}`);
      await see(other, `seed ${seed}`);
    } finally {
      await other.end();
    }
  }
};

interface Step {
  what: string;
  run(world: World): Promise<(other: World) => boolean>;
}

/** Each change that a client or an administrator asks for, and how another start sees that it happened. */
const steps: readonly Step[] = [
  {
    what: 'mail from outside',
    run: async (world) => {
      const { id } = await world.deliver(mail('answered'), ['ann', 'bo']);
      return (other) => other.index.emailsOfMessage(other.index.messageById(id)?.seq ?? 0).length === 2;
    },
  },
  {
    what: 'APPEND',
    run: async (world) => {
      const { uid } = await world.append(mail('appended'), 'ann', { flags: ['\\Draft'] });
      return (other) => other.index.placementsByUid(other.mailbox('ann').id, [uid]).length === 1;
    },
  },
  {
    what: 'flags',
    run: async (world) => {
      const { modSeq } = await world.done(
        world.writer.changeFlags({ ...world.at('ann'), uids: '1', mode: 'add', flags: ['\\Seen', 'Work'] }),
      );
      return (other) =>
        other.index.placementsByUid(other.mailbox('ann').id, [1])[0]?.modSeq === modSeq &&
        other.mailbox('ann').keywords.includes('Work');
    },
  },
  {
    what: 'MOVE',
    run: async (world) => {
      const target = world.mailbox('ann', 'Trash').id;
      await world.done(world.writer.copy({ ...world.at('ann'), uids: '2', target, move: true }));
      return (other) =>
        other.index.placementsByUid(other.mailbox('ann').id, [2]).length === 0 &&
        other.index.countPlacements(target) === 1;
    },
  },
  {
    what: 'EXPUNGE',
    run: async (world) => {
      await world.done(world.writer.expunge({ ...world.at('ann'), uids: '1', deletedOnly: false }));
      return (other) => other.index.changesSince(other.mailbox('ann').id, 0).vanished.includes(1);
    },
  },
  {
    what: 'CREATE, RENAME and a subscription',
    run: async (world) => {
      const account = world.account('ann');
      const { mailbox } = await world.done(
        world.writer.createMailbox({ account, name: 'Made', role: null, origin: '' }),
      );
      await world.done(world.writer.renameMailbox({ account, mailbox, name: 'Renamed', origin: '' }));
      await world.done(world.writer.subscribe({ account, name: 'Nowhere', subscribed: true, origin: '' }));
      return (other) =>
        other.index.mailbox(mailbox)?.name === 'Renamed' &&
        other.index.subscriptions(account).includes('Nowhere');
    },
  },
  {
    what: 'DELETE of a mailbox',
    run: async (world) => {
      const account = world.account('ann');
      const { mailbox } = await world.done(
        world.writer.createMailbox({ account, name: 'Going', role: null, origin: '' }),
      );
      await world.done(world.writer.deleteMailbox({ account, mailbox, origin: '' }));
      return (other) => other.index.mailbox(mailbox) === null;
    },
  },
  {
    what: 'an alias',
    run: async (world) => {
      await world.done(world.writer.queue.submit(addAlias('all@fengni.test', ['ann@fengni.test'])));
      return (other) => other.directory.row('alias', 'all@fengni.test') !== null;
    },
  },
];

const ready = async (world: World): Promise<void> => {
  for (const subject of ['first', 'second']) await world.deliver(mail(subject), ['ann']);
  await world.seal();
};

const answered: Case = {
  title: 'what was answered is there after a power cut right behind the answer',
  run: async (world) => {
    await ready(world);
    return async () => {
      for (const [at, { what, run }] of steps.entries()) {
        const there = await run(world);
        await afterACut(world, [at * 2 + 1, at * 2 + 2], (other, seed) =>
          assert.ok(there(other), `${what}, ${seed}`),
        );
      }
    };
  },
};

/** Collects what other sessions are told or could see, with a copy of the machine from that very moment. */
const toldCase: Case = {
  title: 'what another session was told or could read is there after a power cut at that moment',
  run: async (world) => {
    await ready(world);
    return async () => {
      const told: { what: string; other: World; seen(other: World): boolean }[] = [];
      let at = 0;
      world.writer.onChange(({ mailbox, modSeq, account }) => {
        at += 1;
        if (at % 3 !== 0) return;
        told.push({
          what: `told of modseq ${modSeq}`,
          other: world.twin(at),
          seen: ({ index }) => index.accountCounters(account).modSeq >= modSeq || mailbox === '',
        });
      });
      world.onShown = (seq) => {
        at += 1;
        if (at % 3 !== 0) return;
        told.push({
          what: `shown seq ${seq}`,
          other: world.twin(at),
          seen: ({ index }) => index.appliedSeq() >= seq,
        });
      };
      for (const { run } of steps) await run(world);
      world.onShown = null;
      assert.ok(told.length > 6);
      for (const { what, other, seen } of told) {
        try {
          assert.equal(await other.tryStart(), null);
          assert.ok(seen(other), what);
        } finally {
          await other.end();
        }
      }
    };
  },
};

const signed: Case = {
  title: 'what is signed is there after a power cut before, while and after it is signed',
  conditions: ['plain', 'crash', 'rebuild'],
  run: async (world) => {
    await ready(world);
    return async () => {
      const moments: World[] = [];
      let heads = 0;
      const known: NonNullable<Parameters<World['tryStart']>[0]>[] = [];
      for (let round = 0; round < 3; round++) {
        await world.deliver(mail(`sealed ${round}`), ['ann']);
        world.onSigning = (outcome) => {
          moments.push(world.twin(10 * round + (outcome === null ? 1 : 2)));
          if (outcome === null) {
            known.push({});
            return;
          }
          assert.ok(outcome.kind === 'signed');
          heads += 1;
          // Whoever saw this head may hold it against the log for ever.
          known.push({ knownHeads: [{ source: 'a witness', ...outcome.head }] });
        };
        await world.seal();
      }
      assert.equal(heads, 3);
      for (const [at, other] of moments.entries()) {
        try {
          const refusal = await other.tryStart(known[at]);
          assert.equal(refusal, null, `moment ${at}: ${refusal?.error.message}`);
          const [head] = known[at]?.knownHeads ?? [];
          if (head !== undefined) assert.ok((await other.writer.status()).leafCount >= head.size);
          // The head that was signed and not written down is signed again, and no other of its size.
          await other.seal();
          const sizes = new Map<number, string>();
          for (const { size, root } of [...world.signed, ...other.signed]) {
            const text = root === null ? '' : hex(root);
            assert.equal(sizes.get(size) ?? text, text, `two heads of ${size} leaves`);
            if (other.signed.some((each) => each.size === size) || sizes.size === 0) sizes.set(size, text);
          }
        } finally {
          await other.end();
        }
      }
    };
  },
};

const killThenCut: Case = {
  title: 'kill -9, a start, then a power cut: what the start showed stays',
  run: async (world) => {
    await ready(world);
    return async () => {
      for (let round = 0; round < 4; round++) {
        // Killed while a group is under way: its octets may be in the page cache and on no disk.
        const calls = world.machine.calls;
        const stopAt = calls + 6 + round * 2;
        world.fault = ({ index }) => (index >= stopAt ? 'EIO' : null);
        const sent = world.deliver(mail(`in flight ${round}`), ['ann']).catch(() => null);
        const isAnswered = (await sent) !== null;
        await world.fall('kill');
        world.fault = null;
        await world.start();
        const shown = world.dump();
        const { length } = world.index.messages(0, 100);
        if (isAnswered) assert.ok(length >= 3 + round - 4);
        await afterACut(world, [round + 1, round + 11], (other) => assert.deepEqual(other.dump(), shown));
        await world.fall('power');
        await world.start();
        assert.deepEqual(world.dump(), shown, `round ${round}`);
      }
    };
  },
};

const failedSync = (afterFailedSync: 'cache' | 'disk'): Case => ({
  title: `a sync that fails answers nobody, and what a restart then shows stays (pages read from the ${afterFailedSync})`,
  options: { afterFailedSync },
  run: async (world) => {
    await ready(world);
    return async () => {
      for (let round = 0; round < 3; round++) {
        const before = world.dump();
        let syncs = 0;
        world.fault = ({ operation }) => {
          if (operation !== 'data-sync' && operation !== 'sync') return null;
          syncs += 1;
          return syncs > round ? 'EIO' : null;
        };
        const told = await world.deliver(mail(`not synced ${round}`), ['ann']).then(
          () => 'answered',
          (error: unknown) => (error instanceof FengniError ? error.code : String(error)),
        );
        // With a round before the group's own sync everything may be well; an answer then holds.
        if (told !== 'answered') {
          assert.deepEqual(world.dump(), before, 'nobody sees anything of it');
          const refused = await world.deliver(mail('after it'), ['ann']).catch((error: unknown) => error);
          assert.ok(refused instanceof FengniError, 'and nothing goes on');
        }
        await world.fall('kill');
        world.fault = null;
        await world.start();
        const shown = world.dump();
        await afterACut(world, [round + 1, round + 21], (other) => assert.deepEqual(other.dump(), shown));
        await world.fall('power');
        await world.start();
        assert.deepEqual(world.dump(), shown);
      }
    };
  },
});

export const point3: Point = {
  number: 3,
  title: 'Nothing is answered, told or signed that a power cut right after can take back',
  cases: [answered, toldCase, signed, killThenCut, failedSync('cache'), failedSync('disk')],
};
