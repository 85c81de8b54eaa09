import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '#base/bytes';
import type { Writer } from '#services/writer';
import { type Io, SimFs } from '#store/durable';
import { scanFrames } from '#store/log';
import { parseLeaf } from '#trust/seal';
import { addPeople, dataFolder, seal, startMachine } from './writer-machine.ts';

// A clock that jumps a year, ahead and back, while the writer runs and between two starts (FORMATS §5 “Time orders nothing”).

const dayMs = 86_400_000;
const yearMs = 365 * dayMs;
/** 12:00 UTC */
const beginMs = Date.UTC(2026, 10, 24, 12);

/** A machine whose wall clock says what it is told, while real time goes on. */
class Machine {
  sim = new SimFs({ seed: 1 });
  wallMs = beginMs;
  realMs = 0;
  #writer: Writer | null = null;

  async start(): Promise<Writer> {
    const { writer } = await startMachine(this.#io());
    assert.equal(writer.kind, 'writer');
    this.#writer = writer as Writer;
    return this.#writer;
  }

  async restart(): Promise<Writer> {
    await this.#writer?.queue.idle();
    this.sim = this.sim.wouldSurvive({ seed: 2 });
    return this.start();
  }

  pass(ms: number): void {
    this.wallMs += ms;
    this.realMs += ms;
  }

  #io(): Io {
    const { sim } = this;
    const clock = { nowMs: () => this.wallMs, monotonicMs: () => this.realMs };
    // Its methods need the machine itself for `this`.
    return new Proxy(sim, {
      get: (_target, name) => {
        if (name === 'clock') return clock;
        const value = sim[name as keyof SimFs] as unknown;
        return typeof value === 'function' ? value.bind(sim) : value;
      },
    });
  }
}

const accountOf = (writer: Writer): string =>
  writer.directory.row('account', 'ann@fengni.test')?.['id'] as string;

const deliver = async (machine: Machine, writer: Writer): Promise<string> => {
  const { message, copies } = await seal(machine.sim, utf8('Subject: x\r\n\r\ny\r\n'), [
    { account: accountOf(writer), address: 'ann@fengni.test' },
  ]);
  const outcome = await writer.deliver(message, copies);
  assert.equal(outcome.kind, 'done');
  return outcome.kind === 'done' ? outcome.id : '';
};

const expunge = async (writer: Writer): Promise<void> => {
  const account = accountOf(writer);
  const inbox = writer.index.mailboxByName(account, 'INBOX');
  assert.ok(inbox);
  const uids = `1:${inbox.uidNext}`;
  await writer.expunge({ account, mailbox: inbox.id, uids, deletedOnly: false, origin: '' });
};

/** a mailbox of a name that comes and goes; its UIDVALIDITY */
const again = async (writer: Writer): Promise<number> => {
  const account = accountOf(writer);
  const made = await writer.createMailbox({ account, name: 'Again', role: null, origin: '' });
  assert.equal(made.kind, 'done');
  const row = writer.index.mailboxByName(account, 'Again');
  assert.ok(row);
  await writer.deleteMailbox({ account, mailbox: row.id, origin: '' });
  return row.uidValidity;
};

const checkLeaves = async (machine: Machine): Promise<{ clocks: number; days: number }> => {
  let lastMs = 0;
  let clocks = 0;
  let days = 0;
  for await (const frame of scanFrames(machine.sim, dataFolder, 0, 1, Number.MAX_SAFE_INTEGER)) {
    if (frame.leaf.length === 0) continue;
    const leaf = parseLeaf(frame.leaf);
    if (leaf.kind === 'clock') {
      assert.equal(leaf.beforeMs, lastMs, 'a clock leaf names the time that it goes back from');
      clocks += 1;
    } else
      assert.ok(
        leaf.timeMs >= lastMs,
        `frame ${leaf.seq} (${leaf.kind}): time falls by ${lastMs - leaf.timeMs} without a clock leaf`,
      );
    if (leaf.kind === 'day') days += 1;
    lastMs = leaf.timeMs;
  }
  return { clocks, days };
};

for (const restarts of [false, true]) {
  for (const first of [yearMs, -yearMs]) {
    const when = restarts ? 'between starts' : 'while it runs';
    test(`a clock that jumps a year ${first > 0 ? 'ahead and back' : 'back and ahead'} ${when} erases nothing, and days go on to count`, async () => {
      const machine = new Machine();
      let writer = await machine.start();
      const jump = async (ms: number): Promise<void> => {
        machine.wallMs += ms;
        machine.realMs += 60_000;
        if (restarts) writer = await machine.restart();
      };
      await addPeople(writer, ['ann']);
      const gone = await deliver(machine, writer);
      await expunge(writer);
      const validities = [await again(writer)];
      await jump(first);
      const meanwhile = await deliver(machine, writer);
      validities.push(await again(writer));
      await writer.eraseDue();
      await expunge(writer);
      await jump(-first);
      validities.push(await again(writer));
      const after = await deliver(machine, writer);
      await writer.eraseDue();
      for (const id of [gone, meanwhile]) assert.ok(writer.index.messageById(id), 'nothing erased by a jump');

      // INTERNALDATE is what the clock said; nothing else of it matters.
      const inbox = writer.index.mailboxByName(accountOf(writer), 'INBOX');
      assert.ok(inbox);
      assert.deepEqual(
        writer.index.placements(inbox.id, 0, 9).map(({ uid, dateMs }) => [uid, dateMs === machine.wallMs]),
        [[3, true]],
      );
      assert.ok(validities.every((value, at) => at === 0 || value > (validities[at - 1] ?? 0)));
      assert.ok(validities.every((value) => value < 2 ** 32));

      // Days that really pass count from where the clock was set to, and not a year later.
      for (let day = 1; day <= 13; day++) {
        machine.pass(dayMs);
        await again(writer);
        await writer.eraseDue();
        if (restarts && day % 4 === 0) writer = await machine.restart();
        if (day <= 12) assert.ok(writer.index.messageById(gone), `day ${day}`);
        assert.ok(day > 12 || writer.index.messageById(meanwhile), `day ${day}`);
      }
      for (let day = 0; day < 2; day++) {
        machine.pass(dayMs);
        await again(writer);
        await writer.eraseDue();
      }
      for (const id of [gone, meanwhile]) assert.equal(writer.index.messageById(id), null);
      assert.ok(writer.index.messageById(after));
      const { clocks } = await checkLeaves(machine);
      assert.equal(clocks, 1);
    });
  }
}

test('a clock that jumps to and fro all the time makes no days', async () => {
  const machine = new Machine();
  const writer = await machine.start();
  await addPeople(writer, ['ann']);
  const id = await deliver(machine, writer);
  await expunge(writer);
  for (let flap = 0; flap < 40; flap++) {
    machine.wallMs += flap % 2 === 0 ? yearMs : -yearMs;
    machine.realMs += 60_000;
    await deliver(machine, writer);
    await writer.eraseDue();
  }
  assert.ok(writer.index.messageById(id));
  const { days, clocks } = await checkLeaves(machine);
  assert.equal(clocks, 20);
  assert.ok(days <= 2, `${days} days in 40 minutes`);
});
