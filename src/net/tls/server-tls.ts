import {
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TLSSocketOptions,
  type TlsOptions,
} from 'node:tls';
import type { Random } from '#base/clock';
import { FengniError } from '#base/errors';
import { type Certificate, isForName } from './certificate.ts';

/** TLS 1.3, and TLS 1.2 with ephemeral keys and authenticated encryption. @source RFC 9325 §3.1, §4.2 */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');
const groups = 'X25519MLKEM768:X25519:P-256:P-384';

export const ticketKeyBytes = 48;
const ticketLifeSeconds = 7_200;

/** Names for `alpn`. @source IANA, TLS ALPN Protocol IDs; `smtp` is what Postfix and Exim send */
export type AlpnName = 'imap' | 'pop3' | 'smtp' | 'managesieve' | 'http/1.1';

/** What `new tls.TLSSocket` takes for the server's side of STARTTLS. */
export type SocketOptions = Required<
  Pick<TLSSocketOptions, 'ALPNProtocols' | 'SNICallback' | 'isServer' | 'secureContext'>
>;

/** What every role needs to speak TLS as a server; its certificates and ticket keys can change while it runs. */
export interface ServerTls {
  /** Options for `tls.createServer` and `https.createServer`; hand the server to `follow` as well. */
  serverOptions(alpn: readonly AlpnName[]): TlsOptions;
  /** Options for `new tls.TLSSocket(socket, …)` after STARTTLS; ask again for each connection. */
  socketOptions(alpn: readonly AlpnName[]): SocketOptions;
  /** Keeps a server made with `serverOptions` up to date until it closes. */
  follow(server: Server, alpn: readonly AlpnName[]): void;
  /**
   * From now on new connections use these certificates, old ones go on as they are.
   *
   * @throws {FengniError} `tls-certificate-unusable`: nothing has changed
   */
  reload(certificates: readonly Certificate[]): void;
  /** 48 octets, the same in every role; tickets of the keys before are no longer taken. */
  setTicketKeys(keys: Uint8Array): void;
  readonly certificates: readonly Certificate[];
}

export const newTicketKeys = (random: Random): Uint8Array => random(ticketKeyBytes);

/** @throws {FengniError} `tls-certificate-unusable` */
export const createServerTls = (options: {
  certificates: readonly Certificate[];
  ticketKeys: Uint8Array;
}): ServerTls => {
  let current = new Contexts(options.certificates, options.ticketKeys);
  const followers = new Map<Server, string>();

  const update = (next: Contexts): void => {
    current = next;
    for (const [server, sessionContext] of followers) {
      server.setSecureContext(next.optionsFor(null, sessionContext));
      server.setTicketKeys(Buffer.from(next.ticketKeys));
    }
  };
  const common = (alpn: readonly AlpnName[], sessionContext: string) => ({
    // where a client offers protocols and none is ours Node answers with the alert no_application_protocol (RFC 7301 §3.2)
    ALPNProtocols: [...alpn],
    SNICallback: (name: string, done: (error: Error | null, context?: SecureContext) => void): void =>
      done(null, current.contextFor(name, sessionContext)),
  });

  return {
    serverOptions: (alpn) => ({
      ...current.optionsFor(null, sessionContextOf(alpn)),
      ...common(alpn, sessionContextOf(alpn)),
      handshakeTimeout: 30_000,
    }),
    socketOptions: (alpn) => ({
      ...common(alpn, sessionContextOf(alpn)),
      isServer: true,
      secureContext: current.contextFor(null, sessionContextOf(alpn)),
    }),
    follow: (server, alpn) => {
      followers.set(server, sessionContextOf(alpn));
      server.once('close', () => followers.delete(server));
    },
    reload: (certificates) => update(new Contexts(certificates, current.ticketKeys)),
    setTicketKeys: (keys) => update(new Contexts(current.certificates, keys)),
    get certificates() {
      return current.certificates;
    },
  };
};

/** A session of one protocol is never resumed in another. At most 32 octets. */
const sessionContextOf = (alpn: readonly AlpnName[]): string => `fengni ${alpn[0] ?? ''}`;

/** The secure contexts of one set of certificates and ticket keys, made when first asked for. */
class Contexts {
  readonly certificates: readonly Certificate[];
  readonly ticketKeys: Uint8Array;
  readonly #made = new Map<string, SecureContext>();

  constructor(certificates: readonly Certificate[], ticketKeys: Uint8Array) {
    if (ticketKeys.length !== ticketKeyBytes)
      throw new RangeError(`ticket keys of ${ticketKeys.length} octets`);
    if (certificates.length === 0)
      throw new FengniError('tls-certificate-unusable', {
        subject: 'no certificate',
        remedy: 'name one in [[tls.certificate]]',
        exitStatus: 2,
      });
    this.certificates = certificates;
    this.ticketKeys = ticketKeys;
    // each is tried before the first client can meet it
    for (const certificate of certificates) {
      try {
        createSecureContext({ cert: certificate.cert, key: certificate.key, ciphers, ecdhCurve: groups });
      } catch (cause) {
        throw new FengniError('tls-certificate-unusable', {
          subject: certificate.name,
          remedy:
            'OpenSSL refuses this certificate or its chain; check it with "openssl x509 -in FILE -text"',
          exitStatus: 2,
          cause,
        });
      }
    }
  }

  optionsFor(name: string | null, sessionContext: string): SecureContextOptions {
    const chosen = this.#chosen(name);
    return {
      cert: chosen.map(({ cert }) => cert),
      key: chosen.map(({ key }) => key),
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.3',
      ciphers,
      ecdhCurve: groups,
      honorCipherOrder: true,
      sessionIdContext: sessionContext,
      sessionTimeout: ticketLifeSeconds,
      ticketKeys: Buffer.from(this.ticketKeys),
    };
  }

  contextFor(name: string | null, sessionContext: string): SecureContext {
    const chosen = this.#chosen(name);
    const key = `${chosen.map((certificate) => this.certificates.indexOf(certificate)).join(',')} ${sessionContext}`;
    let context = this.#made.get(key);
    if (context === undefined) {
      context = createSecureContext(this.optionsFor(name, sessionContext));
      this.#made.set(key, context);
    }
    return context;
  }

  /** The certificates for a name, one of each kind of key; those of the first certificate where none is for the name. */
  #chosen(name: string | null): Certificate[] {
    const first = this.certificates[0] as Certificate;
    const fitting =
      name === null ? [] : this.certificates.filter((certificate) => isForName(certificate, name));
    const candidates =
      fitting.length > 0
        ? fitting
        : this.certificates.filter(
            (certificate) =>
              certificate === first || certificate.dnsNames.some((own) => first.dnsNames.includes(own)),
          );
    const byKeyType = new Map<string, Certificate>();
    for (const certificate of candidates)
      if (!byKeyType.has(certificate.keyType)) byKeyType.set(certificate.keyType, certificate);
    return [...byKeyType.values()];
  }
}
