import { spawnSync } from 'node:child_process';

/** packages of Debian 12 by program, the program's own first */
const packages = {
  alpine: ['alpine'],
  certutil: ['libnss3-tools'],
  curl: ['curl'],
  chromium: ['chromium'],
  dkimpy: ['python3-dkim', 'python3-nacl', 'python3-authres'],
  fetchmail: ['fetchmail'],
  getmail: ['getmail6'],
  'dovecot-imapd': ['dovecot-imapd'],
  gsasl: ['gsasl'],
  import: ['imagemagick'],
  mailutil: ['uw-mailutils'],
  go: ['golang-go', 'golang-golang-x-mod-dev'],
  'ldns-signzone': ['ldnsutils'],
  mbsync: ['isync'],
  'mail-dkim': ['libmail-dkim-perl'],
  mpop: ['mpop'],
  mutt: ['mutt'],
  neomutt: ['neomutt'],
  offlineimap: ['offlineimap3'],
  opendkim: ['opendkim'],
  'opendkim-testmsg': ['opendkim-tools'],
  openssl: ['openssl'],
  postfix: ['postfix'],
  python3: ['python3'],
  strace: ['strace'],
  swaks: ['swaks', 'libnet-ssleay-perl'],
  'systemd-analyze': ['systemd'],
  unbound: ['unbound'],
  thunderbird: ['thunderbird'],
  'thunderbird-zh-CN': ['thunderbird-l10n-zh-cn'],
  Xvfb: ['xvfb'],
} as const;

export type DebianProgram = keyof typeof packages;

let isUpdated = false;

/**
 * Makes sure that programs are there: installs their Debian packages where this is root.
 *
 * @throws naming what is missing and how to get it: a test never passes without its client
 */
export const needPrograms = (...programs: readonly DebianProgram[]): void => {
  const missing = programs.filter((program) => !isThere(program));
  if (missing.length === 0) return;
  const names = missing.flatMap((program) => packages[program]);
  const told = `missing: ${missing.join(', ')}; install them: apt-get install ${names.join(' ')}`;
  if (process.getuid?.() !== 0 || !isThere('apt-get')) throw new Error(told);
  let said = install(names);
  if (said !== null && !isUpdated) {
    isUpdated = true;
    apt(['update']);
    said = install(names);
  }
  const still = missing.filter((program) => !isThere(program));
  if (said !== null || still.length > 0) throw new Error(`${told}\n${said ?? still.join(', ')}`);
};

/** for a program that is of no use without a library of another package */
const probes: Readonly<Record<string, string>> = {
  'dovecot-imapd': 'dpkg -s dovecot-imapd',
  'thunderbird-zh-CN': 'dpkg -s thunderbird-l10n-zh-cn',
  dkimpy: '/usr/bin/python3 -c "import authres, dkim, nacl"',
  'mail-dkim': 'perl -MMail::DKIM -e 1',
  opendkim: 'test -x /usr/sbin/opendkim',
  'opendkim-testmsg': 'test -x /usr/sbin/opendkim-testmsg',
  go: 'command -v go && test -e /usr/share/gocode/src/golang.org/x/mod/sumdb/note',
  swaks: 'command -v swaks && perl -MNet::SSLeay -e 1',
};

const isThere = (program: string): boolean =>
  spawnSync('sh', ['-c', probes[program] ?? 'command -v "$1"', 'sh', program], { stdio: 'ignore' }).status ===
  0;

/** @returns null, or what went wrong */
const install = (names: readonly string[]): string | null =>
  apt(['install', '-y', '--no-install-recommends', ...names]);

const apt = (args: readonly string[]): string | null => {
  // Another apt may hold the lock.
  const { status, stdout, stderr } = spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    maxBuffer: 64 * 2 ** 20,
  });
  return status === 0 ? null : `${stdout.slice(-1_000)}\n${stderr.slice(-1_000)}`;
};
