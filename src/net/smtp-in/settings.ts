import { type SmtpSettings, smtpDefaults } from '#protocols/smtp';

/** An SMTP listener's limits: those of the protocol and those of time. */
export interface SmtpServerSettings extends SmtpSettings {
  /** networks of relays that may say by XCLIENT and XFORWARD who is behind them */
  xclientFrom: readonly string[];
  /** time that a peer we do not know yet has to wait for the greeting, without a word; 0: none */
  greetPauseMs: number;
  /** time for a peer to send its next command */
  commandMs: number;
  /**
   * time for a message, from 354 to the final dot, to which each `dataBytesPerSecond` octets that arrive add a second:
   * the largest message over a slow but honest line is not cut off
   */
  dataMs: number;
  dataBytesPerSecond: number;
  /** octets a second, averaged over `dataWindowMs`, below which a message is given up */
  dataBytesPerSecondMin: number;
  dataWindowMs: number;
  /** octets of commands that are kept while the service decides on a recipient or a message */
  pendingBytesMax: number;
  /** octets of replies that the peer has not taken, before we stop reading from it */
  unsentBytesMax: number;
}

export const smtpServerDefaults: Omit<SmtpServerSettings, 'hostname' | 'starttls'> = {
  ...smtpDefaults,
  xclientFrom: [],
  greetPauseMs: 0,
  commandMs: 300_000,
  dataMs: 600_000,
  dataBytesPerSecond: 10_000,
  dataBytesPerSecondMin: 100,
  dataWindowMs: 60_000,
  pendingBytesMax: 65_536,
  unsentBytesMax: 65_536,
};

/** The names that the driver counts under, beside those of the protocol (`smtpCounters`), and what each counts. */
export const smtpServerCounters = {
  'smtp-session': 'sessions served',
  'smtp-session-refused-too-many-sessions': 'connections refused: their address has enough',
  'smtp-session-refused-too-many-a-second': 'connections refused: their address opens them too fast',
  'smtp-session-refused-full': 'connections refused: there are too many in all',
  'smtp-proxy-refused': 'connections of proxies closed because of their PROXY header',
  'smtp-early-talker': 'connections closed because they spoke before the greeting',
  'smtp-tls-handshake-failed': 'connections whose TLS handshake failed or took too long',
  'smtp-octets': 'octets received, after TLS',
  'smtp-tls-TLSv1.2': 'TLS handshakes that ended in TLS 1.2',
  'smtp-tls-TLSv1.3': 'TLS handshakes that ended in TLS 1.3',
  'smtp-reply-2xx': 'replies that say yes',
  'smtp-reply-3xx': 'replies that ask for the message',
  'smtp-reply-4xx': 'replies that say not now',
  'smtp-reply-5xx': 'replies that say no',
  'smtp-reply-other': 'other replies',
  'smtp-service-failed': 'calls of the service that threw: the peer was told 451',
  'smtp-bug': 'sessions ended by a bug of ours',
} as const;
