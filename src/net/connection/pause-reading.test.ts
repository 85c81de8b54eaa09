import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { pauseReading, resumeReading } from './pause-reading.ts';

const connected = async (server: net.Server): Promise<{ near: net.Socket; far: net.Socket }> => {
  const port = (server.address() as net.AddressInfo).port;
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  const far = net.connect(port, '127.0.0.1');
  await new Promise((resolve) => far.once('connect', resolve));
  return { near: await accepted, far };
};

test('a paused connection takes nothing more from the kernel, and goes on where it stopped', async (t) => {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { near, far } = await connected(server);
  const other = await connected(server);
  t.after(() => {
    for (const socket of [near, far, other.near, other.far]) socket.destroy();
    server.close();
  });

  const sentBytes = 16 * 2 ** 20;
  let takenBytes = 0;
  let isHeld = false;
  const held = new Promise<void>((resolve) => {
    near.on('data', (octets: Buffer) => {
      takenBytes += octets.length;
      assert(!isHeld, 'nothing comes while it is paused');
      if (takenBytes < 2 ** 20 || takenBytes === sentBytes) return;
      if (near.listenerCount('data') === 1 && !near.isPaused() && !wasHeld) {
        wasHeld = true;
        isHeld = true;
        pauseReading(near);
        resolve();
      }
    });
  });
  let wasHeld = false;
  far.write(Buffer.alloc(sentBytes, 'x'));
  await held;
  const readBytes = near.bytesRead;
  assert.equal(readBytes, takenBytes);

  // As many turns of the event loop as octets that were sent later by another connection take.
  other.near.on('data', (octets: Buffer) => other.near.write(octets));
  for (let turn = 0; turn < 50; turn++) {
    const answer = new Promise((resolve) => other.far.once('data', resolve));
    other.far.write('.');
    await answer;
  }
  assert.equal(near.bytesRead, readBytes);
  assert.equal(near.readableLength, 0);

  isHeld = false;
  resumeReading(near);
  await new Promise<void>((resolve) => {
    near.on('data', () => takenBytes === sentBytes && resolve());
  });
  assert.equal(near.bytesRead, sentBytes);
});

test('one that was paused and resumed hears that the peer is done', async (t) => {
  const server = net.createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { near, far } = await connected(server);
  t.after(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  near.on('data', () => {});
  pauseReading(near);
  const ended = new Promise((resolve) => near.once('end', resolve));
  far.end('bye');
  resumeReading(near);
  await ended;
});
