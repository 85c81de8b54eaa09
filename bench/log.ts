/**
 * Group commit of the log alone: writers that each send a message when the one before is durable.
 *
 * `node bench/log.ts [folder] [seconds a row]`: folder on the disk to be measured, made and removed.
 */

import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { utf8 } from '#base/bytes';
import { nodeIo } from '#store/durable';
import { type FrameDraft, type Log, openLog } from '#store/log';
import { PayloadSealer, sealPayload, sha256 } from '#store/segments';

const [base = os.tmpdir(), seconds = '3'] = process.argv.slice(2);

interface Message {
  fileKey: Uint8Array;
  deliverKey: Uint8Array;
  message: FrameDraft['body'];
  deliver: FrameDraft['body'];
}

/** Sealed as the receiving role would: not a part of what is measured. */
const messageOf = (lengthBytes: number): Message => {
  const fileKey = randomBytes(16);
  const deliverKey = randomBytes(16);
  const sealer = new PayloadSealer(fileKey, randomBytes(16));
  const storedOctets = sealer.write(randomBytes(lengthBytes));
  storedOctets.push(...sealer.finish().pieces);
  const head = randomBytes(600);
  const storedHead = sealPayload(fileKey, randomBytes(16), head);
  const copy = randomBytes(900);
  const storedCopy = sealPayload(deliverKey, randomBytes(16), copy);
  return {
    fileKey,
    deliverKey,
    message: {
      kind: 'sealed',
      storedHead,
      storedOctets,
      bodyCommitment: sha256(head),
      storedHash: sealer.storedHash(storedHead),
    },
    deliver: {
      kind: 'sealed',
      storedHead: storedCopy,
      storedOctets: [],
      bodyCommitment: sha256(copy),
      storedHash: sha256(storedCopy),
    },
  };
};

const add = (log: Log, waiting: { message: Message; done(): void }[]): Promise<unknown> => {
  const group = log.beginGroup();
  for (const { message } of waiting) {
    const key = group.useKey(message.fileKey);
    const leaf = utf8(`leaf ${group.nextSeq()} `.padEnd(360, 'x'));
    group.add({ type: 'MSG', critical: true, leaf, key, body: message.message });
    group.add({
      type: 'DELIVER',
      critical: true,
      leaf: null,
      key: group.useKey(message.deliverKey),
      body: message.deliver,
    });
  }
  return log.commit(group);
};

const measure = async (writers: number, lengthBytes: number): Promise<string> => {
  const folder = fs.mkdtempSync(path.join(base, 'fengni-bench-log-'));
  const log = await openLog({
    io: nodeIo,
    folder,
    shard: 0,
    knownHeads: [],
    segmentLeaf: ({ number }) => utf8(`segment ${number}`),
  });
  if (log.kind === 'refused') throw log.error;
  const messages = Array.from({ length: 256 }, () => messageOf(lengthBytes));
  let waiting: { message: Message; done(): void }[] = [];
  let committing = false;
  let ended = false;
  let groups = 0;
  const pump = async (): Promise<void> => {
    if (committing) return;
    committing = true;
    while (waiting.length > 0) {
      const group = waiting;
      waiting = [];
      await add(log, group);
      groups += 1;
      for (const { done } of group) done();
      // Lets the answered writers send again before the next group is taken.
      await new Promise((resolve) => setImmediate(resolve));
    }
    committing = false;
  };
  const times: number[] = [];
  let next = 0;
  const writer = async (): Promise<void> => {
    while (!ended) {
      const start = performance.now();
      await new Promise<void>((resolve) => {
        waiting.push({ message: messages[next++ % messages.length] as Message, done: resolve });
        void pump();
      });
      times.push(performance.now() - start);
    }
  };
  const cpu = process.cpuUsage();
  const start = performance.now();
  setTimeout(() => {
    ended = true;
  }, Number(seconds) * 1_000);
  await Promise.all(Array.from({ length: writers }, writer));
  const elapsed = (performance.now() - start) / 1_000;
  const used = process.cpuUsage(cpu);
  await log.close();

  const sizeBytes = fs
    .readdirSync(path.join(folder, 'segments'))
    .reduce((sum, name) => sum + fs.statSync(path.join(folder, 'segments', name)).size, 0);
  const recovering = performance.now();
  const again = await openLog({
    io: nodeIo,
    folder,
    shard: 0,
    knownHeads: [],
    segmentLeaf: ({ number }) => utf8(`segment ${number}`),
  });
  if (again.kind === 'refused') throw again.error;
  const recovery = performance.now() - recovering;
  const scanning = performance.now();
  let frames = 0;
  for await (const _ of again.scan(1)) frames += 1;
  const scan = performance.now() - scanning;
  await again.close();
  fs.rmSync(folder, { recursive: true });

  times.sort((a, b) => a - b);
  const at = (share: number): string => (times[Math.floor(share * (times.length - 1))] ?? 0).toFixed(2);
  return [
    `${writers} writers, ${lengthBytes} octets:`,
    `${Math.round(times.length / elapsed)} messages/s,`,
    `${((used.user + used.system) / times.length).toFixed(0)} µs CPU,`,
    `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms,`,
    `${(times.length / groups).toFixed(1)} a group;`,
    `recovery ${recovery.toFixed(0)} ms,`,
    `scan of ${frames} frames ${((scan * 1_000) / frames).toFixed(1)} µs each, ${(sizeBytes / 2 ** 20 / (scan / 1_000)).toFixed(0)} MiB/s`,
  ].join(' ');
};

for (const lengthBytes of [2_048, 50_000]) {
  for (const writers of [1, 10, 50, 200]) process.stdout.write(`${await measure(writers, lengthBytes)}\n`);
}
