import net, { type AddressInfo } from 'node:net';
import tls from 'node:tls';
import { type Clock, systemClock, systemRandom } from '#base/clock';
import { silentLogger } from '#base/logger';
import { type Counters, createCounters, createSessionGate, sessionGateDefaults } from '#net/connection';
import {
  createImapListener,
  type ImapListener,
  type ImapServerSettings,
  imapServerDefaults,
} from '#net/imap';
import { createLocalAuthority, issueServerCertificate } from '#net/tls';
import type { ImapLogin } from '#protocols/imap';

export interface ImapLoopback {
  readonly listener: ImapListener;
  readonly counters: Counters;
  /** TLS from the start */
  readonly securePort: number;
  /** plain with STARTTLS */
  readonly plainPort: number;
  /** the authority's certificate */
  readonly ca: string;
  close(): Promise<void>;
}

/** The IMAP server on free ports of the loopback address, over whatever store. */
export const startImapLoopback = async (
  login: ImapLogin,
  settings: Partial<ImapServerSettings> = {},
  clock: Clock = systemClock,
): Promise<ImapLoopback> => {
  const nowMs = Date.now();
  const authority = createLocalAuthority({ domains: ['localhost'], nowMs, random: systemRandom });
  const certificate = issueServerCertificate({
    authority,
    names: ['localhost', '127.0.0.1'],
    nowMs,
    random: systemRandom,
  });
  const secureContext = tls.createSecureContext(certificate);
  const counters = createCounters();
  const listener = createImapListener({
    settings: { ...imapServerDefaults, ...settings },
    login,
    tls: { options: () => ({ secureContext }) },
    gate: createSessionGate(sessionGateDefaults, systemClock),
    counters,
    clock,
    log: silentLogger,
    move: true,
    sweepEveryMs: 50,
  });
  const secure = net.createServer((socket) => listener.accept(socket, 'implicit'));
  const plain = net.createServer((socket) => listener.accept(socket));
  const ports = await Promise.all(
    [secure, plain].map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
        }),
    ),
  );
  return {
    listener,
    counters,
    securePort: ports[0] ?? 0,
    plainPort: ports[1] ?? 0,
    ca: authority.cert,
    close: async () => {
      secure.close();
      plain.close();
      await listener.drain(1_000);
    },
  };
};
