import { X509Certificate } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { Random } from '#base/clock';
import { FengniError } from '#base/errors';
import { type Certificate, readCertificate } from './certificate.ts';
import {
  authorityPermits,
  type CertificatePair,
  createLocalAuthority,
  issueServerCertificate,
} from './local-authority.ts';

const dayMs = 86_400_000;
/** A local certificate with less left is made anew, at start and by the daily call. */
export const renewBeforeMs = 30 * dayMs;

export interface LoadOptions {
  /** DATA/tls */
  folder: string;
  /** `[[tls.certificate]]`; where there is none the local authority's is used, and made when missing */
  configured: readonly { cert: string; key: string }[];
  hostname: string;
  /** the domains that a new local authority is limited to, beside `localhost` and the host name */
  localDomains: readonly string[];
  nowMs: number;
  random: Random;
}

export interface LoadedCertificates {
  /** the first is the one for clients that name no host */
  certificates: Certificate[];
  /** the local authority's certificate (PEM), null where certificates are configured */
  authorityCert: string | null;
  /** names that the local authority may not vouch for: they need a `[[tls.certificate]]` */
  namesLeftOut: string[];
  /** whether the local certificate was made by this call */
  renewed: boolean;
}

/**
 * The certificates to serve with: the configured ones, or the local authority's. Makes and renews local files; safe to call again at
 * any time (at SIGHUP, once a day).
 *
 * @throws {FengniError} `tls-file-unreadable` and those of `readCertificate`
 */
export const loadCertificates = async (options: LoadOptions): Promise<LoadedCertificates> => {
  if (options.configured.length > 0) {
    const certificates: Certificate[] = [];
    for (const { cert, key } of options.configured) {
      const text = { name: cert, cert: await readText(cert), key: await readText(key) };
      certificates.push(readCertificate(text, options.nowMs));
    }
    return { certificates, authorityCert: null, namesLeftOut: [], renewed: false };
  }
  await mkdir(options.folder, { recursive: true, mode: 0o700 });
  const authority = await localAuthority(options);
  const wanted = [...new Set(['localhost', '127.0.0.1', '::1', 'mail.fengni.test', options.hostname])];
  const names = wanted.filter((name) => authorityPermits(authority.cert, name));
  const namesLeftOut = wanted.filter((name) => !names.includes(name));
  const paths = { cert: join(options.folder, 'server.pem'), key: join(options.folder, 'server-key.pem') };
  const current = await currentCertificate(paths, authority.cert, names, options.nowMs);
  if (current !== null)
    return { certificates: [current], authorityCert: authority.cert, namesLeftOut, renewed: false };
  const { nowMs, random } = options;
  const pair = issueServerCertificate({ authority, names, nowMs, random });
  await writeText(options.folder, paths.key, pair.key);
  await writeText(options.folder, paths.cert, pair.cert);
  const certificate = readCertificate({ name: paths.cert, ...pair }, nowMs);
  return { certificates: [certificate], authorityCert: authority.cert, namesLeftOut, renewed: true };
};

const localAuthority = async (options: LoadOptions): Promise<CertificatePair> => {
  const { folder, nowMs, random } = options;
  const paths = { cert: join(folder, 'ca.pem'), key: join(folder, 'ca-key.pem') };
  const cert = await readTextIfThere(paths.cert);
  const key = await readTextIfThere(paths.key);
  if (cert !== null && key !== null) {
    const pair = { cert, key };
    readCertificate({ name: paths.cert, ...pair }, nowMs);
    return pair;
  }
  // the certificate is written last: with it alone people could trust an authority whose key is lost
  if (cert !== null)
    throw new FengniError('tls-file-unreadable', {
      subject: `${paths.key}: is missing`,
      remedy: `put it back, or remove ${paths.cert} too: then a new authority is made, which clients must trust anew`,
      exitStatus: 2,
    });
  const domains = [...new Set(['localhost', ...options.localDomains, options.hostname])];
  const pair = createLocalAuthority({ domains, nowMs, random });
  await writeText(folder, paths.key, pair.key);
  await writeText(folder, paths.cert, pair.cert);
  return pair;
};

/** The local certificate on disk, or null when a new one must be made: missing, torn, expiring, of another authority, names missing. */
const currentCertificate = async (
  paths: { cert: string; key: string },
  authorityCert: string,
  names: readonly string[],
  nowMs: number,
): Promise<Certificate | null> => {
  const cert = await readTextIfThere(paths.cert);
  const key = await readTextIfThere(paths.key);
  if (cert === null || key === null) return null;
  try {
    const certificate = readCertificate({ name: paths.cert, cert, key }, nowMs);
    if (certificate.expiresMs - nowMs < renewBeforeMs) return null;
    const [x509, authority] = [new X509Certificate(cert), new X509Certificate(authorityCert)];
    if (!x509.verify(authority.publicKey)) return null;
    const covered = names.every(
      (name) => (isIP(name) ? x509.checkIP(name) : x509.checkHost(name)) !== undefined,
    );
    return covered ? certificate : null;
  } catch (error) {
    if (error instanceof FengniError) return null;
    throw error;
  }
};

const readText = async (path: string): Promise<string> => {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw unreadable(path, cause);
  }
};

const readTextIfThere = async (path: string): Promise<string | null> => {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw unreadable(path, cause);
  }
};

const unreadable = (path: string, cause: unknown): FengniError =>
  new FengniError('tls-file-unreadable', {
    subject: `${path}: ${(cause as NodeJS.ErrnoException).code ?? 'unreadable'}`,
    remedy: 'check that the file is there and that the user of the server may read it',
    exitStatus: 2,
    cause,
  });

/** Whole or not at all, 0600, durable with its name. */
const writeText = async (folder: string, path: string, text: string): Promise<void> => {
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await chmod(temporary, 0o600);
  await rename(temporary, path);
  const directory = await open(folder, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
};
