import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { services } from '../../src/app/config/services.ts';
import { daemon, freePort, installPackages, writeCertificate } from './foreign-server.ts';

/** A server whose mail is read. */
export interface ReadingPeer {
  readonly name: string;
  /** versions and settings, as Markdown */
  readonly about: string;
  readonly imaps: number;
  /** null: it lets nobody log in without TLS */
  readonly imap: number | null;
  readonly pop3s: number;
  readonly ca: string;
  readonly users: readonly [string, string];
  readonly password: string;
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

const root = path.resolve(import.meta.dirname, '../..');
const password = 'correct-horse-battery';

export const fengniUsers = ['load@fengni.test', 'push@fengni.test'] as const;

/** `fengni serve` with its defaults, but for the number of sessions that an account may have; on a folder that is there or a new one. */
export const startFengniReading = async (
  folder: string,
  profile: readonly string[] = [],
): Promise<ReadingPeer> => {
  const data = path.join(folder, 'data');
  const config = path.join(folder, 'fengni.toml');
  const listen = Object.entries(services).flatMap(([name, { isBuilt }]) =>
    isBuilt ? [`[listen.${name}]\nport = 0\n`] : [],
  );
  fs.writeFileSync(
    config,
    `${listen.join('')}[limits]\nimap_sessions_per_account = 10000\n[authentication]\nexempt = ["127.0.0.0/8"]\n`,
  );
  const main = path.join(root, 'src/app/main.ts');
  const isNew = !fs.existsSync(data);
  const profiles = path.join(folder, 'profiles');
  if (profile.length > 0) fs.mkdirSync(profiles, { recursive: true });
  const hook = profile.length === 0 ? [] : ['--import', path.join(root, 'bench/support/profile-roles.mjs')];
  const env = {
    BENCH_PROFILE: profile.join(','),
    BENCH_PROFILE_FOLDER: profiles,
    PATH: process.env['PATH'],
    LANG: 'C.UTF-8',
    NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
  };
  const server = daemon(
    process.execPath,
    [...hook, main, 'serve', '--config', config, '--data', data],
    path.join(folder, 'log'),
    env,
  );
  await server.up('Fengni', (said) => /^ready$/m.test(said));
  const ports = JSON.parse(fs.readFileSync(path.join(data, 'run/ports.json'), 'utf8'));
  for (const user of isNew ? fengniUsers : [])
    execFileSync(
      process.execPath,
      [main, 'account', 'add', user, '--password-stdin', '--config', config, '--data', data],
      { input: `${password}\n`, env },
    );
  return {
    name: 'Fengni',
    about: `Fengni: Node ${process.version}, defaults, \`imap_sessions_per_account = 10000\`. Every body is encrypted and verified before it leaves.`,
    imaps: ports.imaps,
    imap: null,
    pop3s: ports.pop3s,
    ca: fs.readFileSync(path.join(data, 'tls/ca.pem'), 'utf8'),
    users: fengniUsers,
    password,
    pids: [server.pid],
    stop: server.stop,
  };
};

const packages = ['dovecot-core', 'dovecot-imapd', 'dovecot-pop3d'];
const dovecot = '/usr/sbin/dovecot';

const isThere = (): boolean =>
  [dovecot, '/usr/lib/dovecot/imap', '/usr/lib/dovecot/pop3'].every((file) => fs.existsSync(file));

/** Dovecot from folders of its own; /etc is neither read nor changed. */
export const startDovecotReading = async (
  folder: string,
  format: 'Maildir' | 'sdbox',
  { fsync = true } = {},
): Promise<ReadingPeer | { couldNotRun: string }> => {
  if (process.getuid?.() !== 0) return { couldNotRun: 'Dovecot needs root' };
  const missing = installPackages(packages, isThere);
  if (missing !== null) return { couldNotRun: missing };
  fs.chmodSync(folder, 0o755);
  const at = (...names: string[]): string => path.join(folder, ...names);
  fs.rmSync(at('run'), { recursive: true, force: true });
  if (!fs.existsSync(at('mail'))) {
    fs.mkdirSync(at('mail'));
    execFileSync('chown', ['nobody:nogroup', at('mail')]);
  }
  const ca = writeCertificate(folder);
  const [imaps, imap, pop3s] = [await freePort(), await freePort(), await freePort()];
  const settings = dovecotConf(folder, format, { imaps, imap, pop3s }, fsync);
  fs.writeFileSync(at('dovecot.conf'), settings);
  const server = daemon(dovecot, ['-F', '-c', at('dovecot.conf')], at('out'), { PATH: process.env['PATH'] });
  await server.up('Dovecot', () => fs.existsSync(at('run/auth-userdb')));
  const version = spawnSync(dovecot, ['--version'], { encoding: 'utf8' }).stdout.trim();
  return {
    name: `Dovecot ${format}`,
    about: `Dovecot ${version}, Debian’s packages, ${format}:\n\n\`\`\`\n${settings.replaceAll(folder, 'FOLDER')}\`\`\``,
    imaps,
    imap,
    pop3s,
    ca,
    users: ['load', 'push'],
    password,
    pids: [server.pid],
    stop: server.stop,
  };
};

const dovecotConf = (
  folder: string,
  format: 'Maildir' | 'sdbox',
  ports: { imaps: number; imap: number; pop3s: number },
  fsync: boolean,
): string => `base_dir = ${folder}/run
state_dir = ${folder}/run
log_path = ${folder}/dovecot.log
instance_name = bench-${format}
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <${folder}/cert.pem
ssl_key = <${folder}/key.pem
disable_plaintext_auth = no
mail_fsync = ${fsync ? 'always' : 'never'}
mail_location = ${format === 'Maildir' ? 'maildir' : 'sdbox'}:${folder}/mail/%n
mail_max_userip_connections = 20000
first_valid_uid = 1
auth_mechanisms = plain
service imap-login {
  inet_listener imap {
    port = ${ports.imap}
  }
  inet_listener imaps {
    port = ${ports.imaps}
    ssl = yes
  }
  service_count = 0
  client_limit = 20000
  process_min_avail = 1
}
service pop3-login {
  inet_listener pop3 {
    port = 0
  }
  inet_listener pop3s {
    port = ${ports.pop3s}
    ssl = yes
  }
}
service imap {
  process_limit = 20000
}
service anvil {
  client_limit = 45000
}
service auth {
  client_limit = 45000
}
passdb {
  driver = static
  args = password=${password}
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=${folder}/mail/%n
}
`;
