import { type Pop3Settings, pop3Defaults } from '#protocols/pop3';

/** A POP3 listener's limits: those of the protocol and those of time. */
export interface Pop3ServerSettings extends Pop3Settings {
  /** time between two commands before the log-in */
  loginMs: number;
  /** time between two commands, and for the client to take what was sent; RFC 1939 §3 asks for ten minutes at least */
  commandMs: number;
  /** octets of commands that are kept while a command is served */
  pendingBytesMax: number;
  /** octets that are gathered before they are sent */
  gatherBytes: number;
}

export const pop3ServerDefaults: Omit<Pop3ServerSettings, 'hostname' | 'stls'> = {
  ...pop3Defaults,
  loginMs: 60_000,
  commandMs: 600_000,
  pendingBytesMax: 65_536,
  gatherBytes: 65_536,
};

/** The names that the driver counts under, beside those of the protocol (`pop3Counters`), and what each counts. */
export const pop3ServerCounters = {
  'pop3-session': 'sessions served',
  'pop3-session-refused-too-many-sessions': 'connections refused: their address has enough',
  'pop3-session-refused-too-many-a-second': 'connections refused: their address opens them too fast',
  'pop3-session-refused-full': 'connections refused: there are too many in all',
  'pop3-proxy-refused': 'connections of proxies closed because of their PROXY header',
  'pop3-octets': 'octets received, after TLS',
  'pop3-tls-TLSv1.2': 'TLS handshakes that ended in TLS 1.2',
  'pop3-tls-TLSv1.3': 'TLS handshakes that ended in TLS 1.3',
  'pop3-reply-ok': 'replies +OK',
  'pop3-reply-err': 'replies -ERR',
  'pop3-tls-handshake-failed': 'connections whose TLS handshake failed or took too long',
  'pop3-message-broken-off':
    'messages that could not be read to their end: the session was ended without the final dot',
  'pop3-service-failed': 'calls of the service that threw',
  'pop3-bug': 'sessions ended by a bug of ours',
} as const;
