import { spawn } from 'node:child_process';
import net, { type AddressInfo } from 'node:net';
import tls from 'node:tls';
import { systemClock, systemRandom } from '#base/clock';
import { silentLogger } from '#base/logger';
import { createCounters, createSessionGate, sessionGateDefaults } from '#net/connection';
import { createLocalAuthority, issueServerCertificate } from '#net/tls';
import { createPop3Server, pop3ServerDefaults } from './index.ts';

/**
 * What engine and driver cost without a store: CPU of the serving process while a client in a process of its own fetches
 * messages over TLS, pipelined and one by one.
 *
 * Run: `node src/net/pop3/server.bench.ts [MESSAGES] [OCTETS]`.
 */
const [messages = 10_000, sizeBytes = 4_096] = process.argv.slice(2).map(Number);
const line = `${'x'.repeat(70)}\r\n`;
const message = Buffer.from(`Subject: bench\r\n\r\n${line.repeat(Math.ceil(sizeBytes / line.length))}`);

const nowMs = Date.now();
const authority = createLocalAuthority({ domains: ['localhost'], nowMs, random: systemRandom });
const certificate = issueServerCertificate({ authority, names: ['localhost'], nowMs, random: systemRandom });
const secureContext = tls.createSecureContext(certificate);
const facts = { sizeBytes: message.length, uidl: 'u' };
const server = createPop3Server({
  settings: { hostname: 'h', stls: true, ...pop3ServerDefaults },
  login: {
    verify: async () => ({
      kind: 'granted',
      maildrop: {
        messages: Array.from({ length: messages }, () => facts),
        open: async () => ({
          kind: 'found',
          sizeBytes: message.length,
          octets: (async function* () {
            yield message;
          })(),
        }),
        quit: async () => ({ kind: 'done' }),
        close: () => {},
      },
    }),
  },
  random: systemRandom,
  tls: { options: () => ({ secureContext }) },
  gate: createSessionGate(sessionGateDefaults, systemClock),
  counters: createCounters(),
  clock: systemClock,
  log: silentLogger,
});
const listener = net.createServer((socket) => server.accept(socket, 'implicit'));
await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
const { port } = listener.address() as AddressInfo;

const client = `
import tls from 'node:tls';
const { PORT, MESSAGES, BATCH } = process.env;
const batch = Number(BATCH);
const commands = 'RETR 1\\r\\n'.repeat(batch);
const end = Buffer.from('\\r\\n.\\r\\n');
const socket = tls.connect({ port: Number(PORT), host: '127.0.0.1', rejectUnauthorized: false });
let left = Number(MESSAGES), open = 0, greeted = 0;
const more = () => { if (left > 0) { open = Math.min(batch, left); left -= open; socket.write('RETR 1\\r\\n'.repeat(open)); } else socket.end('QUIT\\r\\n'); };
let tail = Buffer.alloc(0);
socket.on('data', (chunk) => {
  if (greeted < 3) {
    greeted += chunk.toString('latin1').split('+OK').length - 1;
    if (greeted === 1) socket.write('USER a\\r\\nPASS b\\r\\n');
    else if (greeted === 3) more();
    return;
  }
  const text = Buffer.concat([tail, chunk]);
  let at = 0;
  for (let found = text.indexOf(end); found >= 0; found = text.indexOf(end, at)) { at = found + end.length; open--; if (open === 0) more(); }
  tail = text.subarray(Math.max(at, text.length - 4));
});
socket.on('close', () => process.exit());
`;

for (const batch of [1, 100]) {
  const load = (total: number): Promise<unknown> => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', client], {
      env: { PORT: String(port), MESSAGES: String(total), BATCH: String(batch) },
      stdio: 'inherit',
    });
    return new Promise((resolve) => child.on('exit', resolve));
  };
  await load(messages / 10);
  const before = process.cpuUsage();
  const beganAtMs = performance.now();
  await load(messages);
  const { user, system } = process.cpuUsage(before);
  const rate = messages / ((performance.now() - beganAtMs) / 1000);
  console.log(
    `${batch} at a time: ${((user + system) / messages).toFixed(1)} µs CPU a message of ${message.length} octets, ${rate.toFixed(0)} a second`,
  );
}
listener.close();
await server.drain(1_000);
