/** Round trips between two processes. Run: `scripts/node26 src/net/ipc/ipc.bench.ts`. */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectIpc, listenOnPath, serveIpc } from './index.ts';

const folder = process.argv[2];
if (folder !== undefined) {
  const server = createServer();
  serveIpc(server, {
    methods: { echo: (_params: unknown, attachments) => ({ result: { ok: true }, attachments }) },
  });
  await listenOnPath(server, join(folder, 's'));
  process.send?.('up');
  process.on('disconnect', () => process.exit(0));
} else {
  const own = mkdtempSync(join(tmpdir(), 'fengni-ipc-'));
  const child = fork(import.meta.filename, [own]);
  await new Promise((resolve) => child.once('message', resolve));
  const client = await connectIpc(join(own, 's'));
  const measure = async (
    name: string,
    inFlight: number,
    attachments: Uint8Array[],
    ms: number,
  ): Promise<void> => {
    const end = performance.now() + ms;
    let calls = 0;
    const cpu = process.cpuUsage();
    const begin = performance.now();
    const worker = async (): Promise<void> => {
      while (performance.now() < end) {
        await client.call('echo', { account: 'a7', seq: calls }, attachments);
        calls++;
      }
    };
    await Promise.all(Array.from({ length: inFlight }, worker));
    const seconds = (performance.now() - begin) / 1000;
    const used = process.cpuUsage(cpu);
    const perCall = ((used.user + used.system) / calls).toFixed(1);
    console.log(`${name.padEnd(24)} ${Math.round(calls / seconds)} calls/s, ${perCall} µs CPU a call here`);
  };
  await measure('warm-up', 50, [], 1000);
  await measure('no attachment, 1', 1, [], 2000);
  await measure('no attachment, 50', 50, [], 2000);
  await measure('2 KB each way, 1', 1, [new Uint8Array(2048)], 2000);
  await measure('2 KB each way, 50', 50, [new Uint8Array(2048)], 2000);
  await measure('1 MB each way, 4', 4, [new Uint8Array(1024 * 1024)], 2000);
  client.close();
  child.disconnect();
  rmSync(own, { recursive: true });
}
