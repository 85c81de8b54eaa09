import net, { type AddressInfo } from 'node:net';
import { systemClock } from '#base/clock';
import { silentLogger } from '#base/logger';
import { createCounters, createSessionGate, sessionGateDefaults } from '#net/connection';
import { createSmtpSession, type SmtpEffect, smtpDefaults } from '#protocols/smtp';
import { createSmtpServer, smtpServerDefaults } from './index.ts';

/**
 * What engine and driver cost without a service: CPU of the engine alone, and of the process that serves a real client
 * over loopback (the client runs in a process of its own).
 *
 * Run: `node src/net/smtp-in/server.bench.ts [MESSAGES] [BODY_OCTETS]`.
 */
const [messages = 20_000, bodyBytes = 2_048] = process.argv.slice(2).map(Number);
const line = `${'x'.repeat(70)}\r\n`;
const body = `Subject: bench\r\nReceived: a\r\n\r\n${line.repeat(Math.ceil(bodyBytes / line.length))}`;
const commands = 'MAIL FROM:<a@one.example> SIZE=2048\r\nRCPT TO:<b@two.example>\r\nDATA\r\n';
const data = Buffer.from(`${body}.\r\n`);

const cpuMs = (since: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
};

const engine = (): void => {
  const session = createSmtpSession(
    { hostname: 'h', starttls: true, ...smtpDefaults },
    { address: '192.0.2.1', port: 1 },
    null,
  );
  const act = (effects: readonly SmtpEffect[]): void => {
    for (const effect of effects) {
      if (effect.kind === 'rcpt')
        act(session.answer({ kind: 'rcpt', verdict: { kind: 'accepted', key: 'k' } }));
      else if (effect.kind === 'end') {
        act(session.answer({ kind: 'end', outcome: { kind: 'accepted', id: 'i', sha256Hex: 'h' } }));
      }
    }
  };
  act(session.greet());
  act(session.feed(Buffer.from('EHLO x\r\n')));
  const pipelined = Buffer.from(commands);
  const round = (): void => {
    act(session.feed(pipelined));
    for (let at = 0; at < data.length; at += 65_536) act(session.feed(data.subarray(at, at + 65_536)));
  };
  for (let count = 0; count < 2_000; count++) round();
  const before = process.cpuUsage();
  for (let count = 0; count < messages; count++) round();
  const spent = cpuMs(before);
  console.log(`engine: ${((spent * 1000) / messages).toFixed(1)} µs CPU a message of ${body.length} octets`);
};

const driver = async (sessions: number): Promise<void> => {
  const server = createSmtpServer({
    settings: { hostname: 'h', starttls: false, ...smtpServerDefaults },
    service: {
      sender: () => ({ kind: 'accepted' }) as const,
      recipient: async () => ({ kind: 'accepted', key: 'k' }),
      begin: () => ({
        write: () => {},
        finish: async () => ({ kind: 'accepted', id: 'i', sha256Hex: 'h' }),
        abort: () => {},
      }),
    },
    tls: null,
    gate: createSessionGate(sessionGateDefaults, systemClock),
    counters: createCounters(),
    clock: systemClock,
    log: silentLogger,
  });
  const listener = net.createServer((socket) => server.accept(socket));
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  const { spawn } = await import('node:child_process');
  const load = async (total: number): Promise<void> => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', client], {
      env: {
        PORT: String(port),
        SESSIONS: String(sessions),
        MESSAGES: String(total),
        COMMANDS: commands,
        BODY_BYTES: String(bodyBytes),
      },
      stdio: 'inherit',
    });
    await new Promise((resolve) => child.on('exit', resolve));
  };
  await load(Math.max(sessions, messages / 10));
  const before = process.cpuUsage();
  const beganAtMs = performance.now();
  await load(messages);
  const spent = cpuMs(before);
  const rate = messages / ((performance.now() - beganAtMs) / 1000);
  console.log(
    `driver: ${((spent * 1000) / messages).toFixed(1)} µs CPU a message, ${rate.toFixed(0)} a second, ${sessions} sessions`,
  );
  listener.close();
  await server.drain(1_000);
};

/** Sends MAIL, RCPT and DATA together and the message after 354. */
const client = `
import net from 'node:net';
const { PORT, SESSIONS, MESSAGES, COMMANDS, BODY_BYTES } = process.env;
const each = Math.ceil(MESSAGES / SESSIONS);
const line = 'x'.repeat(70) + '\\r\\n';
const body = Buffer.from('Subject: bench\\r\\n\\r\\n' + line.repeat(Math.ceil(BODY_BYTES / line.length)) + '.\\r\\n');
await Promise.all(Array.from({ length: Number(SESSIONS) }, () => new Promise((resolve) => {
  let left = each;
  const socket = net.connect(Number(PORT), '127.0.0.1');
  socket.setNoDelay(true);
  socket.on('data', (chunk) => {
    const text = chunk.toString('latin1');
    if (text.startsWith('220')) socket.write('EHLO x\\r\\n');
    else if (text.includes('354 ')) socket.write(body);
    else if (left-- > 0) socket.write(COMMANDS);
    else if (left === -1) socket.end('QUIT\\r\\n');
  });
  socket.on('close', resolve);
})));
`;

engine();
for (const sessions of [1, 10, 50]) await driver(sessions);
