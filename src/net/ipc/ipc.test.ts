import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { FengniError } from '#base/errors';
import { run, seeds } from './frame.fuzz.ts';
import { type Frame, FrameReader, FrameWriter, frameKinds } from './frame.ts';
import { connectIpc, type IpcServerOptions, listenOnPath, serveIpc } from './index.ts';

const folderOf = (t: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), 'fengni-ipc-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
};

const served = async (t: TestContext, options: IpcServerOptions, path = join(folderOf(t), 's')) => {
  const server = createServer();
  await listenOnPath(server, path);
  const ipc = serveIpc(server, options);
  t.after(() => ipc.close(0));
  return { path, ipc, server };
};

const readAll = (octets: Uint8Array, step: number): Frame[] => {
  const frames: Frame[] = [];
  const reader = new FrameReader({ onFrame: (frame) => frames.push(frame) });
  for (let at = 0; at < octets.length; at += step) reader.push(octets.subarray(at, at + step));
  assert.equal(reader.inside, false);
  return frames;
};

test('frames come back as they were added, in every chunking', () => {
  const attachment = fc.uint8Array({ maxLength: 9000 });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.jsonValue(), fc.array(attachment, { maxLength: 4 })), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.integer({ min: 1, max: 3000 }),
      (messages, step) => {
        const writer = new FrameWriter();
        // an attachment in pieces is one attachment
        for (const [index, [json, attachments]] of messages.entries())
          writer.add(
            frameKinds.result,
            index,
            json,
            attachments.map((whole) => [whole.subarray(0, 5), whole.subarray(5)]),
          );
        const frames = readAll(Buffer.concat(writer.take()), step);
        assert.deepEqual(
          frames.map(({ json, requestId, attachments }) => [
            requestId,
            json,
            attachments.map((a) => Buffer.from(a)),
          ]),
          messages.map(([json, attachments], index) => [
            index,
            JSON.parse(JSON.stringify(json)),
            attachments.map((a) => Buffer.from(a)),
          ]),
        );
      },
    ),
    { numRuns: 60 },
  );
});

test('large attachments are handed on, and read from within one chunk, without a copy', () => {
  const large = new Uint8Array(10_000);
  const writer = new FrameWriter();
  writer.add(frameKinds.call, 1, ['m', null], [large]);
  const pieces = writer.take();
  assert.ok(pieces.includes(large));
  const octets = Buffer.concat(pieces);
  assert.equal(readAll(octets, octets.length)[0]?.attachments[0]?.buffer, octets.buffer);
});

test('octets that are no frame are refused with ipc-frame-invalid, whole and octet by octet alike', () => {
  for (const seed of seeds) run(seed);
  fc.assert(
    fc.property(fc.constantFrom(...seeds), fc.nat(), fc.nat({ max: 255 }), (seed, place, value) => {
      const changed = Uint8Array.from(seed);
      changed[place % changed.length] = value;
      run(changed);
    }),
    { numRuns: 500 },
  );
  const one = (octets: number[]): void => new FrameReader({ onFrame: () => {} }).push(Buffer.from(octets));
  const head = (length: number, kind: number, jsonLength: number): number[] => [
    ...[0, 0, 0, length, kind, 0, 0, 0, 1],
    ...[0, 0, 0, jsonLength],
  ];
  const json = [...Buffer.from('[]')];
  for (const octets of [
    [0, 0, 0, 0],
    [5, 0, 0, 1], // 80 MiB and one octet
    [...head(15, 9, 2), ...json, 0, 0, 0, 0],
    [...head(15, 1, 200), ...json, 0, 0, 0, 0],
    [...head(15, 1, 2), ...json, 0, 0, 0, 1],
    [...head(19, 1, 2), ...json, 0, 0, 0, 1, 0, 0, 0, 9],
    [...head(16, 1, 2), ...json, 0, 0, 0, 0, 7],
    [...head(15, 1, 2), ...Buffer.from('[}'), 0, 0, 0, 0],
  ])
    assert.throws(
      () => one(octets),
      (error) => error instanceof FengniError && error.code === 'ipc-frame-invalid',
    );
  one([...head(15, 1, 2), ...json, 0, 0, 0, 0]);
});

test('many calls in flight are answered in any order, with their own answers and attachments', async (t) => {
  const held: (() => void)[] = [];
  const { path } = await served(t, {
    methods: {
      add: (params: { a: number; b: number }) => ({ result: params.a + params.b }),
      held: (params: number) => new Promise((resolve) => held.push(() => resolve({ result: params }))),
      release: () => {
        for (const release of held.splice(0).reverse()) release();
      },
      turned: async (_params: unknown, attachments) => ({ attachments: attachments.toReversed() }),
    },
  });
  const client = await connectIpc(path);
  t.after(() => client.close());
  const order: unknown[] = [];
  const all = [1, 2, 3].map((value) =>
    client.call('held', value).then(({ result }) => {
      order.push(result);
    }),
  );
  const sums = await Promise.all(
    Array.from({ length: 500 }, (_, a) => client.call<number>('add', { a, b: 1 })),
  );
  assert.deepEqual(
    sums.map(({ result }) => result),
    Array.from({ length: 500 }, (_, a) => a + 1),
  );
  assert.equal(client.callsInFlight, 3);
  assert.deepEqual(await client.call('release'), { result: null, attachments: [] });
  await Promise.all(all);
  assert.deepEqual(order, [3, 2, 1]);
  const body = Buffer.alloc(3_000_000, 'ab');
  const { attachments } = await client.call('turned', null, [
    body,
    [Buffer.from('x'), Buffer.from('y')],
    new Uint8Array(0),
  ]);
  assert.deepEqual(
    attachments.map((one) => one.length),
    [0, 2, 3_000_000],
  );
  assert.ok(body.equals(attachments[2] as Uint8Array));
});

test('notices go both ways', async (t) => {
  const got = Promise.withResolvers<unknown>();
  const { path, ipc } = await served(t, {
    onConnect: (peer) => peer.notify('hello', { id: peer.id }),
    methods: { note: (params: unknown, _attachments, peer) => peer.notify('noted', params) },
  });
  const client = await connectIpc(path);
  t.after(() => client.close());
  const hello = Promise.withResolvers<unknown>();
  client.on('hello', hello.resolve);
  client.on('noted', (params: unknown) => got.resolve(params));
  assert.deepEqual(await hello.promise, { id: 1 });
  client.notify('note', [1, '二']);
  assert.deepEqual(await got.promise, [1, '二']);
  assert.equal(ipc.peers.size, 1);
});

test('a fault travels with code, subject, remedy, retryable and exit status; a mistake travels without its text', async (t) => {
  const mistakes: unknown[] = [];
  const { path } = await served(t, {
    onMistake: (error) => mistakes.push(error),
    methods: {
      full: () => {
        throw new FengniError('disk-full', {
          subject: 'segments',
          remedy: 'free space',
          retryable: true,
          exitStatus: 1,
        });
      },
      mistake: async () => {
        throw new TypeError('secret');
      },
      large: () => ({ attachments: [new Uint8Array(4000)] }),
      fraction: () => ({ result: 1n }),
    },
    messageBytesMax: 2000,
  });
  const client = await connectIpc(path);
  t.after(() => client.close());
  await assert.rejects(client.call('full'), (error) => {
    assert.ok(error instanceof FengniError);
    const { code, subject, remedy, retryable, exitStatus } = error;
    assert.deepEqual(
      [code, subject, remedy, retryable, exitStatus],
      ['disk-full', 'segments', 'free space', true, 1],
    );
    return true;
  });
  await assert.rejects(client.call('mistake'), { code: 'ipc-handler-failed', message: /^(?!.*secret)/ });
  await assert.rejects(client.call('large'), { code: 'ipc-message-too-large' });
  await assert.rejects(client.call('fraction'), { code: 'ipc-handler-failed' });
  for (const name of ['nothing', 'constructor', '__proto__'])
    await assert.rejects(client.call(name), { code: 'ipc-method-unknown' });
  assert.equal(mistakes.length, 2);
});

test('calls in flight fail with ipc-closed when the other side ends, and the client says so once', async (t) => {
  const { path, ipc } = await served(t, { methods: { never: () => new Promise(() => {}) } });
  const client = await connectIpc(path);
  let closed = 0;
  client.onClose(() => closed++);
  const calls = [client.call('never'), client.call('never')];
  const settled = Promise.allSettled(calls);
  await new Promise((resolve) => setImmediate(resolve));
  for (const peer of ipc.peers) peer.close();
  for (const outcome of await settled)
    assert.ok(
      outcome.status === 'rejected' && outcome.reason.code === 'ipc-closed' && outcome.reason.retryable,
    );
  await assert.rejects(client.call('never'), { code: 'ipc-closed' });
  assert.equal(closed, 1);
  client.onClose(() => closed++);
  assert.equal(closed, 2);
});

test('close answers the calls that run, refuses new connections, and ends', async (t) => {
  const asked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const { path, ipc } = await served(t, {
    methods: {
      slow: async () => {
        asked.resolve();
        await release.promise;
        return { result: 'done' };
      },
    },
  });
  const client = await connectIpc(path);
  const answer = client.call('slow');
  await asked.promise;
  const closed = ipc.close();
  await assert.rejects(connectIpc(path), { code: 'ipc-unreachable', retryable: true });
  release.resolve();
  assert.equal((await answer).result, 'done');
  await closed;
  assert.equal(ipc.peers.size, 0);
});

test('a peer that sends rubbish is closed with the reason, others go on', async (t) => {
  const fault = Promise.withResolvers<FengniError | null>();
  const { path } = await served(t, {
    methods: { echo: (params: unknown) => ({ result: params }) },
    onClose: (_peer, reason) => fault.resolve(reason),
  });
  const client = await connectIpc(path);
  t.after(() => client.close());
  const stranger = connect(path);
  const closed = new Promise((resolve) => stranger.once('close', resolve));
  stranger.on('error', () => {});
  stranger.write('GET / HTTP/1.1\r\n\r\n');
  assert.equal((await fault.promise)?.code, 'ipc-frame-invalid');
  await closed;
  assert.equal((await client.call('echo', 5)).result, 5);
});

test('a server that does not read makes calls fail with ipc-overloaded instead of growing', async (t) => {
  const path = join(folderOf(t), 's');
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.pause()));
  await listenOnPath(server, path);
  const client = await connectIpc(path, { queuedBytesMax: 1_000_000 });
  t.after(() => {
    client.close();
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const codes = new Set<string>();
  for (let count = 0; count < 40; count++)
    client.call('put', null, [new Uint8Array(100_000)]).catch((error: FengniError) => codes.add(error.code));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([...codes], ['ipc-overloaded']);
  assert.ok(client.callsInFlight <= 11);
});

test('a peer that does not read its notices is closed', async (t) => {
  const fault = Promise.withResolvers<FengniError | null>();
  const { path } = await served(t, {
    queuedBytesMax: 1_000_000,
    methods: {},
    onConnect: (peer) => {
      for (let count = 0; count < 40; count++) peer.notify('news', null, [new Uint8Array(100_000)]);
    },
    onClose: (_peer, reason) => fault.resolve(reason),
  });
  const stranger = connect(path).on('error', () => {});
  t.after(() => stranger.destroy());
  assert.equal((await fault.promise)?.code, 'ipc-overloaded');
});

test('a peer with too many running calls is not read until some are answered', async (t) => {
  let running = 0;
  let most = 0;
  const releases: (() => void)[] = [];
  const { path } = await served(t, {
    callsInFlightMax: 4,
    methods: {
      hold: async (_params: unknown, attachments) => {
        most = Math.max(most, ++running);
        await new Promise<void>((resolve) => releases.push(resolve));
        running--;
        return { result: attachments.length };
      },
    },
  });
  const client = await connectIpc(path);
  t.after(() => client.close());
  let answered = 0;
  const all = Array.from({ length: 60 }, () =>
    client.call('hold', null, [new Uint8Array(50_000)]).then(() => answered++),
  );
  const turns = async (count: number): Promise<void> => {
    for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  while (running < 4) await turns(1);
  await turns(200);
  while (answered < 60) {
    for (const release of releases.splice(0)) release();
    await turns(20);
  }
  await Promise.all(all);
  // a chunk of the socket holds at most two of these messages
  assert.ok(most <= 6, String(most));
});

test('a path longer than 107 octets is served and reached through a descriptor of its folder (unix(7))', async (t) => {
  const folder = join(folderOf(t), 'a'.repeat(120));
  mkdirSync(folder);
  const path = join(folder, 'control');
  await served(t, { methods: { echo: (params: unknown) => ({ result: params }) } }, path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  for (const target of [path, { descriptorPath: path }]) {
    const client = await connectIpc(target);
    assert.equal((await client.call('echo', 'x')).result, 'x');
    client.close();
  }
  await assert.rejects(connectIpc(join(folder, 'missing')), { code: 'ipc-unreachable' });
});
