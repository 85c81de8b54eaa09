/** The limits and names of a POP3 session. */
export interface Pop3Settings {
  /** our name in the greeting */
  hostname: string;
  /** whether STLS is offered on a connection without TLS */
  stls: boolean;
  /** a command line with its CRLF; RFC 2449 §4 asks for 255, SASL responses need more */
  lineBytesMax: number;
  endlessLineBytesMax: number;
  /** commands not understood and refused log-ins */
  errorsMax: number;
  /** commands before the log-in */
  loginCommandsMax: number;
}

export const pop3Defaults: Omit<Pop3Settings, 'hostname' | 'stls'> = {
  lineBytesMax: 8192,
  endlessLineBytesMax: 65_536,
  errorsMax: 20,
  loginCommandsMax: 100,
};

/** The names that `count` effects carry, and what each counts. */
export const pop3Counters = {
  'pop3-login': 'log-ins granted',
  'pop3-login-refused': 'log-ins refused',
  'pop3-password-in-clear': 'attempts to log in without TLS',
  'pop3-error': 'commands not understood and refused log-ins',
  'pop3-too-many-errors': 'sessions ended after too many of them',
  'pop3-too-many-commands': 'sessions ended after too many commands without a log-in',
  'pop3-line-too-long': 'command lines over the limit',
  'pop3-line-endless': 'sessions ended because a line did not end',
  'pop3-bare-cr-or-lf': 'sessions ended because of a bare CR or LF in a command',
  'pop3-http': 'connections closed because they spoke HTTP',
  'pop3-tls-on-plain': 'connections closed because they spoke TLS on a plain port',
  'pop3-stls': 'STLS commands accepted',
  'pop3-stls-injection': 'sessions that sent commands in clear behind STLS',
  'pop3-message-damaged': 'messages not given out because they are damaged',
  'pop3-message-sent': 'messages given out, whole or in part',
  'pop3-quit-failed': 'sessions whose deletions could not be carried out',
  'pop3-timeout': 'sessions ended because the client was silent',
  'pop3-revoked': 'sessions ended because their account was disabled or their password changed',
  'pop3-shutdown': 'sessions ended because the server stops',
} as const;

export type Pop3Counter = keyof typeof pop3Counters;
