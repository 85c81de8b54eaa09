import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPowerCut, SimFs } from '#store/durable';
import { createPickup, type PickupEnvelope } from './pickup.ts';

const envelope: PickupEnvelope = {
  id: 'a'.repeat(26),
  msgSalt: new Uint8Array(32).fill(7),
  mailFrom: 'bo@example.org',
  parameters: ['BODY=8BITMIME'],
  recipients: [{ address: '张@例子.example', notify: null }],
  uid: 1000,
  timeMs: 1_700_000_000_000,
};
const octets = Buffer.from('Subject: x\r\n\r\n\n\0\xff\r\n', 'latin1');

test('what was added is read back octet for octet, listed by age, held with its reason, and removed', async () => {
  const pickup = createPickup({ io: new SimFs({ seed: 1 }), folder: '/data' });
  assert.deepEqual(await pickup.list(), []);
  const later = await pickup.add({ ...envelope, timeMs: envelope.timeMs + 1 }, [octets]);
  const name = await pickup.add(envelope, [octets.subarray(0, 3), octets.subarray(3)]);
  assert.deepEqual(
    (await pickup.list()).map((entry) => entry.name),
    [name, later],
  );
  const content = await pickup.read(name);
  assert.equal(content.kind, 'entry');
  if (content.kind !== 'entry') return;
  assert.deepEqual(content.envelope, envelope);
  assert.deepEqual(Buffer.from(content.octets), octets);
  assert.deepEqual(await pickup.envelope(name), envelope);
  const why = { code: 550, enhanced: '5.1.1', text: 'No such mailbox here', timeMs: 5 };
  await pickup.hold(name, why);
  await pickup.hold(name, why);
  assert.deepEqual((await pickup.list())[0]?.held, why);
  await pickup.remove(name);
  await pickup.remove(name);
  assert.deepEqual(await pickup.read(name), { kind: 'gone' });
  assert.equal(await pickup.envelope(name), null);
  assert.equal((await pickup.list()).length, 1);
});

test('one octet that is another, anywhere, and it is damaged, never mail', async () => {
  const io = new SimFs({ seed: 2 });
  const pickup = createPickup({ io, folder: '/data' });
  const name = await pickup.add(envelope, [octets]);
  const whole = await io.readFile(`/data/pickup/${name}`);
  for (let at = 0; at < whole.length; at++) {
    const file = await io.open(`/data/pickup/${name}`, 'write');
    await file.write([whole.map((octet, index) => (index === at ? octet ^ 1 : octet))], 0);
    await file.close();
    assert.equal((await pickup.read(name)).kind, 'damaged', String(at));
  }
});

test('the power is cut at every operation: what add resolved for is there, whole; nothing else is taken for mail', async () => {
  let isAdded = false;
  for (let cutAt = 0; !isAdded; cutAt++) {
    const io = new SimFs({ seed: cutAt, fault: ({ index }) => (index === cutAt ? 'power-cut' : null) });
    try {
      await createPickup({ io, folder: '/data' }).add(envelope, [octets]);
      isAdded = true;
    } catch (error) {
      if (!isPowerCut(error)) throw error;
    }
    const after = createPickup({ io: io.cutPower({ seed: cutAt }), folder: '/data' });
    const entries = await after.list();
    if (isAdded) assert.equal(entries.length, 1);
    for (const { name } of entries) assert.equal((await after.read(name)).kind, 'entry');
    await after.sweep();
  }
});

test('bounds: beyond so many messages or octets there is no more, and the old ones stay', async () => {
  const io = new SimFs({ seed: 3 });
  const byNumber = createPickup({ io, folder: '/data', limits: { entriesMax: 3, bytesMax: 1_000_000 } });
  for (let at = 0; at < 3; at++) await byNumber.add(envelope, [octets]);
  await assert.rejects(byNumber.add(envelope, [octets]), { code: 'pickup-full', retryable: true });
  const bySize = createPickup({ io, folder: '/data', limits: { entriesMax: 100, bytesMax: 5_000 } });
  await assert.rejects(bySize.add(envelope, [new Uint8Array(4_000)]), { code: 'pickup-full' });
  assert.equal((await byNumber.list()).length, 3);
});
