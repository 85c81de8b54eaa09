import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type LargeMail, largeMail, sendLarge } from '../test/support/large-mail.ts';
import { LineClient } from '../test/support/line-client.ts';
import { startServer, type TestServer } from '../test/support/server.ts';

/**
 * What messages of 50 MiB cost the others, on a real server over SMTP:
 *
 * - the delay of small messages: how long they take from their final dot to `250`, alone and while large ones arrive one after the other,
 *   in turns of the same run; the delay is the difference, of p50 and of p99;
 * - the memory of `mx` and writer while many large ones arrive at once, by the kernel (RSS, PSS) and by Node (`arrayBuffers` and so on).
 *
 *     npm run bench -- large [--seconds 12] [--sessions 20] [--record]
 *
 * A plain probe of the disk stands beside it: 4 KiB written and synced, alone and while the large ones arrive, since what the disk itself
 * makes small writes wait is in every figure. `--record` writes bench/results/large-DATE.md; it takes less than four minutes.
 */

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '12' },
    sessions: { type: 'string', default: '20' },
    record: { type: 'boolean', default: false },
  },
});
const MiB = 2 ** 20;
const seconds = Number(values.seconds);
const sessions = Number(values.sessions);
/** how often the small messages are timed in turns, alone and beside large ones */
const turns = 2;
const lines: string[] = [];
const tell = (text: string): void => {
  console.log(text);
  lines.push(text);
};

interface Delays {
  count: number;
  p50: number;
  p99: number;
  max: number;
}

const delaysOf = (times: readonly number[]): Delays => {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
};

const row = (what: string, { count, p50, p99, max }: Delays): void =>
  tell(`| ${what} | ${count} | ${p50.toFixed(1)} | ${p99.toFixed(1)} | ${max.toFixed(1)} |`);

/** Small messages one after the other until `until` is fulfilled, with a pause between them that keeps a core free. */
const smallMessages = async (server: TestServer, until: () => boolean): Promise<number[]> => {
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
  return delays;
};

/** The disk alone, by a process of its own. */
const probe = (server: TestServer, forSeconds: number): Promise<number[]> =>
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
      resolve(JSON.parse(text) as number[]);
    });
  });

/** MiB that the kernel counts, by role */
const memory = (server: TestServer): Map<string, { rss: number; pss: number }> => {
  const found = new Map<string, { rss: number; pss: number }>();
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
      if (Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]) !== server.pid) continue;
      const role = /fengni: (\w+)/.exec(fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1'))?.[1];
      if (role === undefined) continue;
      const rollup = fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
      const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1]);
      found.set(role, { rss: kib('Rss') / 1024, pss: kib('Pss') / 1024 });
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
};

type Counted = Record<'heapUsed' | 'external' | 'arrayBuffers', number>;

/** MiB that Node counted at most, from what the role said since `from` characters of the log */
const counted = (server: TestServer, role: string, from: number): Counted => {
  const most: Counted = { heapUsed: 0, external: 0, arrayBuffers: 0 };
  for (const line of server.log().slice(from).split('\n')) {
    if (!line.startsWith(`{"benchMemory":"${role}"`)) continue;
    const said = JSON.parse(line) as Counted;
    for (const name of ['heapUsed', 'external', 'arrayBuffers'] as const)
      most[name] = Math.max(most[name], said[name] / MiB);
  }
  return most;
};

const accepted = async (server: TestServer, mail: LargeMail): Promise<void> => {
  const reply = await sendLarge(server.ports.smtp, server.address, mail);
  if (!/^250 /m.test(reply)) throw new Error(reply);
};

const large = largeMail(1, 50 * MiB);
const forSeconds = (count: number) => {
  const end = performance.now() + count * 1_000;
  return () => performance.now() >= end;
};
const load = (): string => (os.loadavg()[0] ?? 0).toFixed(2);

tell('# What messages of 50 MiB cost the others\n');
tell(`\`npm run bench -- large\`, ${os.cpus().length} cores, load before: ${load()}.\n`);
const server = await startServer();
await smallMessages(server, forSeconds(2));
await accepted(server, large);
const times = { diskAlone: [], diskBeside: [], alone: [], beside: [] } as Record<string, number[]>;
let largeCount = 0;
let largeSeconds = 0;
for (let turn = 0; turn < turns; turn++) {
  times['diskAlone']?.push(...(await probe(server, seconds / 4 / turns)));
  times['alone']?.push(...(await smallMessages(server, forSeconds(seconds / turns))));
  let over = false;
  const started = performance.now();
  const stream = (async () => {
    while (!over) {
      await accepted(server, large);
      largeCount += 1;
    }
  })();
  times['diskBeside']?.push(...(await probe(server, seconds / 4 / turns)));
  times['beside']?.push(...(await smallMessages(server, forSeconds(seconds / turns))));
  over = true;
  await stream;
  largeSeconds += (performance.now() - started) / 1_000;
}
await server.stop();
tell('| from the final dot to 250, ms | count | p50 | p99 | max |\n| --- | ---: | ---: | ---: | ---: |');
const alone = delaysOf(times['alone'] ?? []);
const beside = delaysOf(times['beside'] ?? []);
row('small messages alone', alone);
row('small messages while 50 MiB messages arrive', beside);
tell(
  `| **delay: the second less the first** | | **${(beside.p50 - alone.p50).toFixed(1)}** | **${(beside.p99 - alone.p99).toFixed(1)}** | |`,
);
row('disk alone, 4 KiB + fdatasync', delaysOf(times['diskAlone'] ?? []));
row('disk while 50 MiB messages arrive', delaysOf(times['diskBeside'] ?? []));
tell(
  `\n${largeCount} messages of 50 MiB meanwhile, ${((largeCount * 50) / largeSeconds).toFixed(0)} MiB/s. Bar: the delay is below 20 ms.\n`,
);

// A server of its own, since the hook costs time.
const hook = path.join(import.meta.dirname, 'support/memory-roles.mjs');
const watched = await startServer({ env: { NODE_OPTIONS: `--import=${hook}` } });
await smallMessages(watched, forSeconds(2));
// Until the heap has the size that it works with.
for (let n = 0; n < 2; n++) await Promise.all(Array.from({ length: 3 }, () => accepted(watched, large)));
tell(
  '| role | sessions at once | RSS before, MiB | RSS more, a session | PSS more, a session | heapUsed, external, arrayBuffers at most, MiB |',
);
tell('| --- | ---: | ---: | ---: | ---: | --- |');
for (const count of [1, Math.ceil(sessions / 2), sessions]) {
  const before = memory(watched);
  const most = new Map([...before].map(([role, size]) => [role, { ...size }]));
  const from = watched.log().length;
  const watch = setInterval(() => {
    for (const [role, size] of memory(watched)) {
      const known = most.get(role) ?? size;
      most.set(role, { rss: Math.max(known.rss, size.rss), pss: Math.max(known.pss, size.pss) });
    }
  }, 50);
  await Promise.all(Array.from({ length: count }, () => accepted(watched, large)));
  clearInterval(watch);
  for (const role of ['mx', 'writer']) {
    const was = before.get(role) ?? { rss: 0, pss: 0 };
    const is = most.get(role) ?? was;
    const { heapUsed, external, arrayBuffers } = counted(watched, role, from);
    tell(
      `| ${role} | ${count} | ${was.rss.toFixed(0)} | ${((is.rss - was.rss) / count).toFixed(2)} | ${((is.pss - was.pss) / count).toFixed(2)} | ${[heapUsed, external, arrayBuffers].map((size) => size.toFixed(1)).join(', ')} |`,
    );
  }
}
await watched.stop();
tell(
  `\nOf a session itself are 384 KiB at most, whatever the size of its message: 128 KiB of plaintext, as much ciphertext on its way to the disk, 64 KiB for the preview, and a piece from the network; src/services/mailstore/large-held.test.ts holds it to that. The rest is what V8 has not collected yet, of the process and not of a session. Load after: ${load()}.`,
);
if (values.record) {
  const file = path.join(import.meta.dirname, 'results', `large-${new Date().toISOString().slice(0, 10)}.md`);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, `${lines.join('\n')}\n`);
}
