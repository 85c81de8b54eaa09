import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { needPrograms } from './debian.ts';
import { freePort } from './free-port.ts';
import { eventually } from './processes.ts';

// A Postfix of its own, in a folder of its own, that relays: for tests of a Postfix in front.

export interface Postfix {
  readonly port: number;
  /** waits until everything has been delivered, bounced or put off */
  settled(): Promise<void>;
  /** what `postqueue -p` shows */
  queue(): string;
  log(): string;
}

const running: (() => Promise<void>)[] = [];
after(async () => {
  for (const stop of running) await stop();
});

/**
 * @param transport `transport_maps` in Postfix's own form, one line an entry
 * @param settings more lines of `main.cf`
 */
export const startPostfix = async (options: { transport: string; settings?: string }): Promise<Postfix> => {
  needPrograms('postfix');
  if (process.getuid?.() !== 0) throw new Error('Postfix’s master needs root');
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-postfix-'));
  fs.chmodSync(folder, 0o755);
  for (const name of ['etc', 'queue', 'data']) fs.mkdirSync(path.join(folder, name));
  spawnSync('chown', ['postfix', path.join(folder, 'data')]);
  const etc = path.join(folder, 'etc');
  const logFile = path.join(folder, 'log');
  const port = await freePort();
  fs.writeFileSync(path.join(etc, 'transport'), options.transport);
  fs.writeFileSync(path.join(etc, 'main.cf'), mainCf(folder) + (options.settings ?? ''));
  fs.writeFileSync(
    path.join(etc, 'master.cf'),
    postfixMaster([`127.0.0.1:${port} inet n - n - - smtpd`, 'postlog unix-dgram n - n - 1 postlogd']),
  );
  const checked = spawnSync('postfix', ['-c', etc, 'check'], { encoding: 'utf8' });
  if (checked.status !== 0) throw new Error(`postfix check: ${checked.stderr}`);
  const child = spawn('/usr/lib/postfix/sbin/master', ['-c', etc, '-d'], { stdio: 'ignore', cwd: '/' });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  running.push(async () => {
    child.kill('SIGTERM');
    await exited;
    fs.rmSync(folder, { recursive: true, force: true });
  });
  const log = (): string => (fs.existsSync(logFile) ? fs.readFileSync(logFile, 'utf8') : '');
  const queue = (): string => spawnSync('postqueue', ['-c', etc, '-p'], { encoding: 'utf8' }).stdout;
  await eventually('Postfix answers', () => answers(port));
  return {
    port,
    log,
    queue,
    // What was put off is shown without the asterisk of the active queue.
    settled: () =>
      eventually('Postfix has done its work', () => !/^[0-9A-Z]{6,}\*/m.test(queue()) && isQuiet(log)),
  };
};

/** No line of the log for a while: a message between two queues is in none of them. */
const isQuiet = async (log: () => string): Promise<boolean> => {
  const before = log();
  await new Promise((resolve) => setTimeout(resolve, 700));
  return log() === before;
};

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('data', () => {
      socket.end('QUIT\r\n');
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

const mainCf = (folder: string): string => `compatibility_level = 3.6
queue_directory = ${folder}/queue
data_directory = ${folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = ${folder}/log
maillog_file_prefixes = ${folder}
myhostname = front.example
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
disable_dns_lookups = yes
smtpd_peername_lookup = no
local_header_rewrite_clients =
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
smtpd_client_connection_rate_limit = 0
relay_domains = fengni.test
transport_maps = texthash:${folder}/etc/transport
smtp_send_xforward_command = yes
lmtp_send_xforward_command = yes
smtp_tls_security_level = may
smtputf8_enable = yes
smtputf8_autodetect_classes = all
message_size_limit = 52428800
`;

/** @param listeners what listens, a line each; the services behind it are the ones that mail in and mail on need */
export const postfixMaster = (listeners: readonly string[]): string => `${listeners.join('\n')}
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
`;
