import { execFileSync, spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { postfixMaster } from '../../test/support/postfix.ts';
import { firstField } from '../support/load-message.ts';
import { daemon, freePort, installCommand, installPackages, writeCertificate } from './foreign-server.ts';
import { type CheckOfSenders, startCheckOfSenders } from './milters.ts';
import { type Peer, type ReadBack, until } from './peer.ts';

const packages = ['postfix', 'dovecot-core', 'dovecot-lmtpd'];
const hostname = 'mail.bench.test';
const master = '/usr/lib/postfix/sbin/master';
const dovecot = '/usr/sbin/dovecot';

/**
 * Postfix → LMTP → Dovecot, Maildir, from folders of its own: /etc is neither read nor changed.
 *
 * @param resolver address of a resolver on port 53 that OpenDKIM and OpenDMARC ask; null: there are none
 * @returns why it could not run, where it could not
 */
export const startPostfixDovecot = async (
  folder: string,
  resolver: string | null = null,
): Promise<Peer | { couldNotRun: string }> => {
  if (process.getuid?.() !== 0) return { couldNotRun: 'Postfix’s master needs root' };
  const missing = installPackages(packages, isThere);
  if (missing !== null) return { couldNotRun: missing };
  // Processes of several users pass through.
  fs.chmodSync(folder, 0o755);
  const at = (...names: string[]): string => path.join(folder, ...names);
  for (const name of ['etc', 'queue', 'postfix', 'dovecot', 'mail', 'tls']) fs.mkdirSync(at(name));
  execFileSync('chown', ['postfix', at('postfix')]);
  execFileSync('chown', ['nobody:nogroup', at('mail')]);
  const [plain, secure, checked] = [await freePort(), await freePort(), await freePort()];
  writeCertificate(at('tls'));
  let check: CheckOfSenders | null = null;
  if (resolver !== null) {
    const started = await startCheckOfSenders(at('milters'), hostname, resolver);
    if ('couldNotRun' in started) return started;
    check = started;
  }
  const settings = {
    main: mainCf(folder),
    master: postfixMaster([
      `127.0.0.1:${plain} inet n - n - - smtpd`,
      `127.0.0.1:${secure} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes`,
      ...(check === null
        ? []
        : [
            `127.0.0.1:${checked} inet n - n - - smtpd -o smtpd_authorized_xclient_hosts=127.0.0.0/8 -o smtpd_milters=${check.milters.join(',')}`,
          ]),
    ]),
    dovecot: dovecotConf(folder),
  };
  fs.writeFileSync(at('etc/main.cf'), settings.main);
  fs.writeFileSync(at('etc/master.cf'), settings.master);
  fs.writeFileSync(at('dovecot.conf'), settings.dovecot);

  const lda = daemon(dovecot, ['-F', '-c', at('dovecot.conf')], at('dovecot.out'));
  await lda.up('Dovecot', () => fs.existsSync(at('dovecot/lmtp')));
  // Makes the queue's folders.
  const configured = spawnSync('postfix', ['-c', at('etc'), 'check'], { encoding: 'utf8' });
  const mta = daemon(master, ['-c', at('etc'), '-d'], at('postfix.out'));
  try {
    if (configured.status !== 0) throw new Error(`postfix check: ${configured.stderr}`);
    await mta.up('Postfix', () => answers(plain));
  } catch (error) {
    await mta.stop();
    await lda.stop();
    await check?.stop();
    throw error;
  }
  const mailbox = (tag: string): string => at('mail', tag, 'new');
  const count = (tag: string): number => {
    try {
      return fs.readdirSync(mailbox(tag)).length;
    } catch {
      return 0;
    }
  };
  return {
    name: 'Postfix + Dovecot',
    about: [about(settings, folder), ...(check === null ? [] : [check.about])].join('\n\n'),
    address: (tag) => `${tag}@bench.test`,
    port: (mode) => (mode === 'implicit' ? secure : plain),
    ...(check === null ? {} : { checkedPort: checked }),
    delivered: (tag, messages) =>
      until(
        `${messages} messages in the Maildir`,
        () => (count(tag) >= messages ? performance.timeOrigin + performance.now() : null),
        { msMax: 180_000, everyMs: 10 },
      ),
    readBack: async (tag) => {
      const messages = fs
        .readdirSync(mailbox(tag))
        .map((name) => readBack(fs.readFileSync(path.join(mailbox(tag), name))));
      fs.rmSync(at('mail', tag), { recursive: true });
      return messages;
    },
    pids: [mta.pid, lda.pid, ...(check?.pids ?? [])],
    stop: async () => {
      await mta.stop();
      await lda.stop();
      await check?.stop();
    },
  };
};

const isThere = (): boolean =>
  fs.existsSync(master) && fs.existsSync(dovecot) && fs.existsSync('/usr/lib/dovecot/lmtp');

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('data', (greeting: Buffer) => {
      socket.end('QUIT\r\n');
      resolve(greeting.toString('latin1').startsWith('220'));
    });
    socket.once('error', () => resolve(false));
  });

const mainCf = (folder: string): string => `compatibility_level = 3.6
queue_directory = ${folder}/queue
data_directory = ${folder}/postfix
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = ${hostname}
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
disable_dns_lookups = yes
virtual_mailbox_domains = bench.test
virtual_mailbox_maps = static:there
virtual_transport = lmtp:unix:${folder}/dovecot/lmtp
message_size_limit = 52428800
smtpd_client_connection_count_limit = 0
default_process_limit = 250
smtpd_tls_security_level = may
smtpd_tls_cert_file = ${folder}/tls/cert.pem
smtpd_tls_key_file = ${folder}/tls/key.pem
`;

const dovecotConf = (folder: string): string => `base_dir = ${folder}/dovecot
state_dir = ${folder}/dovecot
log_path = ${folder}/dovecot.log
instance_name = bench
protocols = lmtp
listen = 127.0.0.1
ssl = no
mail_fsync = always
mail_location = maildir:${folder}/mail/%n
first_valid_uid = 1
auth_mechanisms = plain
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
}
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=${folder}/mail/%n
}
`;

const about = (settings: { main: string; dovecot: string; master: string }, folder: string): string => {
  const version = (program: string, args: string[]): string =>
    (spawnSync(program, args, { encoding: 'utf8' }).stdout ?? '').trim().split('\n')[0] ?? '';
  const clean = (text: string): string => text.replaceAll(folder, 'FOLDER').trimEnd();
  return [
    `Postfix ${version('postconf', ['-d', '-h', 'mail_version'])}, Dovecot ${version(dovecot, ['--version'])}, Debian’s packages (\`${installCommand(packages)}\`). The queue file is synced as Postfix does by itself; a message counts when it lies in the Maildir. There is no syslog, so that Postfix writes no log.`,
    `main.cf:\n\n\`\`\`\n${clean(settings.main)}\n\`\`\``,
    'master.cf: Debian’s, without chroot, `smtpd` on two loopback ports, the second with `smtpd_tls_wrappermode=yes`.',
    `dovecot.conf:\n\n\`\`\`\n${clean(settings.dovecot)}\n\`\`\``,
  ].join('\n\n');
};

/** The original is what stands from the load's first field on; a Maildir has lines that end in LF. */
const readBack = (stored: Buffer): ReadBack => {
  const text = stored.toString('latin1');
  const start = text.indexOf(`\n${firstField}`);
  if (start === -1) return { sha256: 'not a message of the load', trace: '' };
  const original = Buffer.from(text.slice(start + 1).replaceAll('\n', '\r\n'), 'latin1');
  return { sha256: hash('sha256', original), trace: text.slice(0, start) };
};
