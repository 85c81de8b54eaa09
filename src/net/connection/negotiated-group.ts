import { sessionInteger } from './tls-session.ts';

/** @source IANA, TLS Supported Groups */
const groups: Readonly<Record<number, string>> = {
  23: 'secp256r1',
  24: 'secp384r1',
  25: 'secp521r1',
  29: 'x25519',
  30: 'x448',
  256: 'ffdhe2048',
  257: 'ffdhe3072',
  4587: 'SecP256r1MLKEM768',
  4588: 'X25519MLKEM768',
  4589: 'SecP384r1MLKEM1024',
};

/** The field `kex_group` of OpenSSL's SSL_SESSION: an INTEGER under the explicit tag 19. */
const groupTag = 0xa0 | 19;

/**
 * The name of the group of a handshake's key exchange, out of the session as OpenSSL writes it down, or null.
 *
 * Node tells the group to clients only (`getEphemeralKeyInfo`); a server finds it in `getSession()`.
 */
export const negotiatedGroup = (session: Uint8Array | undefined): string | null => {
  const id = sessionInteger(session, groupTag);
  return id === null || id === 0 ? null : (groups[id] ?? `group ${id}`);
};
