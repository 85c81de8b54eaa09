import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { daemon, installCommand, installPackages } from './foreign-server.ts';

/** OpenDKIM and OpenDMARC, which Postfix asks about each message. */
export interface CheckOfSenders {
  /** as `smtpd_milters` names them */
  readonly milters: readonly string[];
  readonly about: string;
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

const packages = ['opendkim', 'opendmarc'];
const opendkim = '/usr/sbin/opendkim';
const opendmarc = '/usr/sbin/opendmarc';

/**
 * DKIM by OpenDKIM, SPF and DMARC by OpenDMARC, in the foreground and from a folder of their own.
 *
 * OpenDMARC asks whom /etc/resolv.conf names: it sees another one, in a mount namespace of its own.
 *
 * @param resolver an address whose port 53 answers
 * @returns why they could not run, where they could not
 */
export const startCheckOfSenders = async (
  folder: string,
  hostname: string,
  resolver: string,
): Promise<CheckOfSenders | { couldNotRun: string }> => {
  const missing = installPackages(packages, () => fs.existsSync(opendkim) && fs.existsSync(opendmarc));
  if (missing !== null) return { couldNotRun: missing };
  const namespace = spawnSync('unshare', ['--mount', 'true'], { encoding: 'utf8' });
  if (namespace.status !== 0)
    return {
      couldNotRun: `OpenDMARC needs a mount namespace for its resolv.conf: ${namespace.stderr?.trim()}`,
    };
  const at = (name: string): string => path.join(folder, name);
  fs.mkdirSync(folder);
  fs.chmodSync(folder, 0o755);
  const settings = { dkim: dkimConf(folder, hostname, resolver), dmarc: dmarcConf(folder, hostname) };
  fs.writeFileSync(at('opendkim.conf'), settings.dkim);
  fs.writeFileSync(at('opendmarc.conf'), settings.dmarc);
  fs.writeFileSync(at('ignore'), '');
  fs.writeFileSync(at('resolv.conf'), `nameserver ${resolver}\n`);
  const dkim = daemon(opendkim, ['-f', '-x', at('opendkim.conf')], at('opendkim.out'));
  const withResolver = `mount --bind "${at('resolv.conf')}" /etc/resolv.conf && exec ${opendmarc} -f -c "${at('opendmarc.conf')}"`;
  const dmarc = daemon('unshare', ['--mount', 'sh', '-c', withResolver], at('opendmarc.out'));
  const stop = async (): Promise<void> => {
    await dkim.stop();
    await dmarc.stop();
  };
  try {
    await dkim.up('OpenDKIM', () => fs.existsSync(at('opendkim.sock')));
    await dmarc.up('OpenDMARC', () => fs.existsSync(at('opendmarc.sock')));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    milters: ['opendkim.sock', 'opendmarc.sock'].map((name) => `unix:${at(name)}`),
    about: [
      `Senders are checked on a third port of smtpd, with \`smtpd_milters\` and \`smtpd_authorized_xclient_hosts\`: OpenDKIM ${version(opendkim)}, then OpenDMARC ${version(opendmarc)}, which also looks up SPF (libspf2), Debian’s packages (\`${installCommand(packages)}\`). Both keep answers of DNS.`,
      ...Object.entries(settings).map(
        ([name, text]) =>
          `open${name}.conf:\n\n\`\`\`\n${text.replaceAll(folder, 'FOLDER/milters').trimEnd()}\n\`\`\``,
      ),
    ].join('\n\n'),
    pids: [dkim.pid, dmarc.pid],
    stop,
  };
};

const version = (program: string): string => {
  const { stdout, stderr } = spawnSync(program, ['-V'], { encoding: 'utf8' });
  return /Filter v([\d.]+)/.exec(`${stdout}${stderr}`)?.[1] ?? '';
};

const dkimConf = (folder: string, hostname: string, resolver: string): string => `Mode v
Socket local:${folder}/opendkim.sock
UMask 000
Syslog no
AuthservID ${hostname}
AlwaysAddARHeader yes
MaximumSignaturesToVerify 16
Nameservers ${resolver}
`;

const dmarcConf = (folder: string, hostname: string): string => `Socket local:${folder}/opendmarc.sock
UMask 000
Syslog false
AuthservID ${hostname}
TrustedAuthservIDs ${hostname}
SPFIgnoreResults true
SPFSelfValidate true
RejectFailures true
IgnoreHosts ${folder}/ignore
`;
