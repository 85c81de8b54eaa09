import { spawn, spawnSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { needPrograms } from './debian.ts';

// A validating resolver of its own (Debian's unbound), in a folder of its own, with zones that were signed for it.

export interface SignedZone {
  /** with a final dot, `secure.test.` or `.` */
  readonly name: string;
  /** lines of the zone file; SOA and NS are added */
  readonly records: readonly string[];
  /** false: it stays unsigned */
  readonly isSigned?: boolean;
  /** when its signatures end, `20360101000000`; far away by default */
  readonly expires?: string;
  /** changes the zone file after it was signed */
  readonly alter?: (signed: string) => string;
}

export interface Unbound {
  /** `127.0.0.1:PORT`, as `[dns] resolvers` takes it */
  readonly endpoint: string;
  log(): string;
  stop(): Promise<void>;
}

/** @param stubs zones that other servers on loopback answer for: name with a final dot → port */
export const startUnbound = async (
  zones: readonly SignedZone[],
  stubs: Readonly<Record<string, number>> = {},
): Promise<Unbound> => {
  needPrograms('unbound', 'ldns-signzone');
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-unbound-'));
  const files = zones.map((zone, index) => ({ ...writeZone(folder, zone, index), name: zone.name }));
  const port = await freePort();
  const logFile = path.join(folder, 'log');
  const config = [
    'server:',
    `  directory: "${folder}"`,
    '  chroot: ""',
    '  username: ""',
    '  pidfile: ""',
    '  do-daemonize: no',
    '  use-syslog: no',
    `  logfile: "${logFile}"`,
    '  interface: 127.0.0.1',
    `  port: ${port}`,
    '  access-control: 127.0.0.0/8 allow',
    '  do-not-query-localhost: no',
    '  local-zone: "test." nodefault',
    '  module-config: "validator iterator"',
    '  ede: yes',
    '  val-log-level: 2',
    '  num-threads: 1',
    ...files.flatMap(({ anchor }) => (anchor === null ? [] : [`  trust-anchor-file: "${anchor}"`])),
    'remote-control:',
    '  control-enable: no',
    ...files.flatMap(({ name, file }) => [
      'auth-zone:',
      `  name: "${name}"`,
      `  zonefile: "${file}"`,
      '  for-upstream: yes',
      '  for-downstream: no',
      '  fallback-enabled: no',
    ]),
    ...Object.entries(stubs).flatMap(([name, stubPort]) => [
      'stub-zone:',
      `  name: "${name}"`,
      `  stub-addr: 127.0.0.1@${stubPort}`,
    ]),
  ].join('\n');
  const configFile = path.join(folder, 'unbound.conf');
  fs.writeFileSync(configFile, `${config}\n`);
  const child = spawn('unbound', ['-d', '-c', configFile], { stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(child, 'exit');
  let said = '';
  child.stderr.on('data', (piece: Buffer) => {
    said += piece.toString();
  });
  const log = (): string => `${said}${fs.existsSync(logFile) ? fs.readFileSync(logFile, 'utf8') : ''}`;
  const stop = async (): Promise<void> => {
    if (child.exitCode === null) child.kill('SIGTERM');
    await exited;
    fs.rmSync(folder, { recursive: true, force: true });
  };
  const until = performance.now() + 30_000;
  while (!log().includes('start of service')) {
    if (child.exitCode !== null || performance.now() > until) {
      const told = log();
      await stop();
      throw new Error(`unbound did not start: ${told}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { endpoint: `127.0.0.1:${port}`, log, stop };
};

const writeZone = (
  folder: string,
  zone: SignedZone,
  index: number,
): { file: string; anchor: string | null } => {
  const file = path.join(folder, `zone${index}`);
  const lines = [
    `$ORIGIN ${zone.name}`,
    '$TTL 300',
    `@ IN SOA ns.test. hostmaster.test. 1 3600 600 86400 60`,
    '@ IN NS ns.test.',
    ...zone.records,
  ];
  fs.writeFileSync(file, `${lines.join('\n')}\n`);
  if (zone.isSigned === false) return { file, anchor: null };
  const run = (program: string, ...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync(program, args, { cwd: folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  };
  const key = run('ldns-keygen', '-a', 'ECDSAP256SHA256', '-k', zone.name);
  run('ldns-signzone', '-e', zone.expires ?? '20800101000000', '-i', '20200101000000', file, key);
  const signed = `${file}.signed`;
  if (zone.alter !== undefined) fs.writeFileSync(signed, zone.alter(fs.readFileSync(signed, 'utf8')));
  return { file: signed, anchor: path.join(folder, `${key}.ds`) };
};

const freePort = async (): Promise<number> => {
  const socket = dgram.createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
};
