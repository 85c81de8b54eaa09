import { systemClock } from '#base/clock';
import type { ServerTls as ConnectionTls } from '#net/connection';
import { type AlpnName, createServerTls, readCertificate, type ServerTls } from '#net/tls';
import type { TlsMaterial } from './messages.ts';

/** TLS for a role, from what the supervisor handed over; `update` takes what a SIGHUP brings. */
export const roleTls = (
  material: TlsMaterial | null,
): {
  server: ServerTls;
  /** @param asksClients whether clients are asked for a certificate of theirs; none is required */
  connection(alpn: AlpnName, asksClients?: boolean): ConnectionTls;
  update(material: TlsMaterial): void;
} | null => {
  if (material === null) return null;
  const certificates = (of: TlsMaterial) =>
    of.certificates.map((text) => readCertificate(text, systemClock.nowMs()));
  const server = createServerTls({
    certificates: certificates(material),
    ticketKeys: Buffer.from(material.ticketKeys, 'base64'),
  });
  return {
    server,
    connection: (alpn, asksClients = false) => ({
      options: () => ({
        ...(server.socketOptions([alpn]) as ReturnType<ConnectionTls['options']>),
        ...(asksClients ? { requestCert: true, rejectUnauthorized: false } : {}),
      }),
    }),
    update: (next) => {
      server.reload(certificates(next));
      server.setTicketKeys(Buffer.from(next.ticketKeys, 'base64'));
    },
  };
};
