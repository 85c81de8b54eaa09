import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { type LargeMail, largeMail, sendLarge } from '../test/support/large-mail.ts';
import { LineClient } from '../test/support/line-client.ts';
import { startServer, type TestServer } from '../test/support/server.ts';

/**
 * What messages of 50 MiB cost the others, on a real server over SMTP:
 *
 * - the delay of small messages, from their final dot to `250`, alone and while large ones arrive one after the other;
 * - the memory of `mx` and writer while many large ones arrive at once.
 *
 *     scripts/node26 bench/large.ts [--seconds 10] [--sessions 20]
 *
 * A plain probe of the disk stands beside it: 4 KiB written and synced, alone and while the large ones arrive, since what the disk itself
 * makes small writes wait is in every figure.
 */

const MiB = 2 ** 20;
const number = (name: string, otherwise: number): number => {
  const at = process.argv.indexOf(`--${name}`);
  return at === -1 ? otherwise : Number(process.argv[at + 1]);
};
const seconds = number('seconds', 10);
const sessions = number('sessions', 20);

interface Delays {
  count: number;
  p50: number;
  p99: number;
  max: number;
}

const delaysOf = (values: number[]): Delays => {
  const sorted = values.sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
};

const line = (what: string, { count, p50, p99, max }: Delays): void =>
  console.log(
    `${what.padEnd(44)} ${String(count).padStart(6)} × p50 ${p50.toFixed(1)} ms  p99 ${p99.toFixed(1)} ms  max ${max.toFixed(1)} ms`,
  );

/** Small messages one after the other until `until` is fulfilled, with a pause between them that keeps a core free. */
const smallMessages = async (server: TestServer, until: () => boolean): Promise<Delays> => {
  const client = await LineClient.connect(server.ports.smtp);
  // Or the last line waits for the acknowledgement of the ones before it.
  client.socket.setNoDelay(true);
  await client.until(/^220 .*\r\n/m);
  await client.ask('EHLO client.example\r\n', /^250 .*\r\n/m);
  const body = `Subject: small\r\n\r\n${'a line of a small message\r\n'.repeat(70)}`;
  const delays: number[] = [];
  while (!until()) {
    await client.ask(
      `MAIL FROM:<ann@example.org>\r\nRCPT TO:<${server.address}>\r\nDATA\r\n`,
      /^354 .*\r\n/m,
    );
    client.send(body);
    const started = performance.now();
    await client.ask('.\r\n', /^250 .*\r\n/m);
    delays.push(performance.now() - started);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  client.destroy();
  return delaysOf(delays);
};

/** The disk alone, by a process of its own. */
const probe = (server: TestServer, forSeconds: number): Promise<Delays> =>
  new Promise((resolve, reject) => {
    const script = `
      const fs = require('node:fs');
      const fd = fs.openSync(process.argv[1], 'w');
      const block = Buffer.alloc(4096, 1);
      const values = [];
      const end = performance.now() + 1000 * ${forSeconds};
      const one = () => {
        const started = performance.now();
        fs.writeSync(fd, block);
        fs.fdatasync(fd, () => {
          values.push(performance.now() - started);
          if (performance.now() < end) setTimeout(one, 5);
          else console.log(JSON.stringify(values));
        });
      };
      one();`;
    const child = spawn(process.execPath, ['-e', script, `${server.folder}/probe`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (octets: Buffer) => {
      text += octets.toString();
    });
    child.once('error', reject);
    child.once('close', () => {
      fs.rmSync(`${server.folder}/probe`, { force: true });
      resolve(delaysOf(JSON.parse(text) as number[]));
    });
  });

/** resident MiB, by role */
const memory = (server: TestServer): Record<string, number> => {
  const found: Record<string, number> = {};
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
      if (Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]) !== server.pid) continue;
      const role = /fengni: (\w+)/.exec(fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1'))?.[1];
      if (role !== undefined) found[role] = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
};

const accepted = async (server: TestServer, mail: LargeMail): Promise<void> => {
  const reply = await sendLarge(server.ports.smtp, server.address, mail);
  if (!/^250 /m.test(reply)) throw new Error(reply);
};

const server = await startServer();
const large = largeMail(1, 50 * MiB);
const forSeconds = (count: number) => {
  const end = performance.now() + count * 1_000;
  return () => performance.now() >= end;
};

await smallMessages(server, forSeconds(2));
line('disk alone, 4 KiB + fdatasync', await probe(server, Math.min(5, seconds)));
line('small messages alone', await smallMessages(server, forSeconds(seconds)));

let over = false;
let largeCount = 0;
const stream = (async () => {
  while (!over) {
    await accepted(server, large);
    largeCount += 1;
  }
})();
const started = performance.now();
line('disk while 50 MiB messages arrive', await probe(server, Math.min(5, seconds)));
line('small messages while 50 MiB messages arrive', await smallMessages(server, forSeconds(seconds)));
over = true;
await stream;
const tookSeconds = (performance.now() - started) / 1_000;
console.log(
  `${largeCount} messages of 50 MiB meanwhile, ${((largeCount * 50) / tookSeconds).toFixed(0)} MiB/s`,
);

for (const count of [1, Math.ceil(sessions / 2), sessions]) {
  const before = memory(server);
  const peak = { ...before };
  const watch = setInterval(() => {
    for (const [role, size] of Object.entries(memory(server))) peak[role] = Math.max(peak[role] ?? 0, size);
  }, 50);
  await Promise.all(Array.from({ length: count }, () => accepted(server, large)));
  clearInterval(watch);
  for (const role of ['mx', 'writer']) {
    const from = before[role] ?? 0;
    const to = peak[role] ?? 0;
    console.log(
      `${role}: ${from.toFixed(0)} MiB before, at most ${to.toFixed(0)} MiB while ${count} × 50 MiB arrive at once: ${((to - from) / count).toFixed(2)} MiB a session`,
    );
  }
}
await server.stop();
