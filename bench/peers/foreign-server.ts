import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { systemRandom } from '#base/clock';
import { createLocalAuthority, issueServerCertificate } from '#net/tls';
import { until } from './peer.ts';

// What every server of a bench needs, whoever wrote it: its package, a port, a certificate, and a process that goes when it is told.

const stopMsMax = 30_000;

/** A program in the foreground, in a process group of its own. */
export const daemon = (
  program: string,
  args: readonly string[],
  outFile: string,
  env: NodeJS.ProcessEnv = process.env,
) => {
  const out = fs.openSync(outFile, 'w');
  const child = spawn(program, [...args], { stdio: ['ignore', out, out], env, detached: true, cwd: '/' });
  fs.closeSync(out);
  let ended = false;
  const exited = new Promise<void>((resolve) => {
    for (const event of ['exit', 'error'])
      child.once(event, () => {
        ended = true;
        resolve();
      });
  });
  const said = (): string => fs.readFileSync(outFile, 'utf8');
  return {
    pid: child.pid ?? 0,
    /** @param isUp told what it said so far */
    up: (name: string, isUp: (said: string) => boolean | Promise<boolean>) =>
      until(`${name} answers`, async () => {
        if (ended) throw new Error(`${name} ended:\n${said()}`);
        return (await isUp(said())) ? true : null;
      }),
    stop: async () => {
      if (ended) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
      await exited;
      clearTimeout(timer);
    },
  };
};

/** The one command that installs these packages. */
export const installCommand = (packages: readonly string[]): string =>
  `apt-get install -y --no-install-recommends ${packages.join(' ')}`;

/** @returns null, or why they are not there */
export const installPackages = (packages: readonly string[], isThere: () => boolean): string | null => {
  if (isThere()) return null;
  const apt = (args: readonly string[]) =>
    spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], {
      encoding: 'utf8',
      // RUNLEVEL=1: the packages' own daemons are not started.
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    });
  const install = installCommand(packages);
  const wanted = install.split(' ').slice(1);
  let outcome = apt(wanted);
  if (outcome.status !== 0) {
    apt(['update']);
    outcome = apt(wanted);
  }
  if (isThere()) return null;
  return `“${install}” failed: ${(outcome.stderr ?? '').trim().split('\n').at(-1) ?? outcome.error?.message}`;
};

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

/** Puts `cert.pem` and `key.pem` for localhost into a folder. @returns the authority's certificate, in PEM */
export const writeCertificate = (folder: string): string => {
  const [nowMs, random] = [Date.now(), systemRandom];
  const authority = createLocalAuthority({ domains: ['localhost'], nowMs, random });
  const names = ['localhost', '127.0.0.1'];
  const { cert, key } = issueServerCertificate({ authority, names, nowMs, random });
  fs.writeFileSync(path.join(folder, 'cert.pem'), cert);
  fs.writeFileSync(path.join(folder, 'key.pem'), key, { mode: 0o600 });
  return authority.cert;
};
