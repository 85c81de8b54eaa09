/** The limits and names of an SMTP session. Each limit has its reply in `session.ts` and its name in `smtpCounters`. */
export interface SmtpSettings {
  /** our name in the greeting and in the reply to EHLO */
  hostname: string;
  /** LMTP has LHLO, and a reply for each recipient after the message (RFC 2033) */
  protocol: 'smtp' | 'lmtp';
  /** whether STARTTLS is offered on a connection without TLS */
  starttls: boolean;
  /** whether BINARYMIME is offered (RFC 3030 §3) */
  binarymime: boolean;
  /** a command line with its CRLF */
  lineBytesMax: number;
  /** octets of a line that is too long, before the session is ended */
  endlessLineBytesMax: number;
  recipientsMax: number;
  /** MAIL commands of one session: a sender with more connects again */
  mailsMax: number;
  /** 5xx replies since the last accepted message */
  errorsMax: number;
  /** NOOP, RSET, VRFY, HELP, EHLO, HELO, XCLIENT, XFORWARD and tiny chunks since the last accepted message */
  idleCommandsMax: number;
  /** a message, stuffed dots not counted */
  sizeBytesMax: number;
  /** `Received` fields of a message: more is a loop */
  receivedMax: number;
}

export const smtpDefaults: Omit<SmtpSettings, 'hostname' | 'starttls'> = {
  protocol: 'smtp',
  binarymime: false,
  lineBytesMax: 2048,
  endlessLineBytesMax: 65_536,
  recipientsMax: 1000,
  mailsMax: 10_000,
  errorsMax: 20,
  idleCommandsMax: 100,
  sizeBytesMax: 50 * 1024 * 1024,
  receivedMax: 50,
};

/** The names that `count` effects carry, and what each counts. */
export const smtpCounters = {
  'smtp-message-accepted': 'messages answered 250',
  'smtp-message-refused': 'messages that the service refused after the final dot',
  'smtp-recipient-refused': 'recipients that the service refused',
  'smtp-error': '5xx replies',
  'smtp-line-too-long': 'command lines over the limit',
  'smtp-line-endless': 'sessions ended because a line did not end',
  'smtp-bare-cr-or-lf-command': 'sessions ended because of a bare CR or LF in a command',
  'smtp-bare-cr-or-lf-data': 'messages refused because of a bare CR or LF',
  'smtp-nul': 'messages with a NUL',
  'smtp-too-many-recipients': 'recipients refused because the transaction has enough',
  'smtp-too-many-errors': 'sessions ended after too many errors',
  'smtp-too-many-idle-commands': 'sessions ended after too many commands that do nothing',
  'smtp-size-declared': 'transactions refused for their SIZE parameter',
  'smtp-size': 'messages refused for their size',
  'smtp-endless-data': 'sessions ended because a refused message did not end',
  'smtp-loop': 'messages refused for their number of Received fields',
  'smtp-http': 'connections closed because they spoke HTTP',
  'smtp-tls-on-plain': 'connections closed because they spoke TLS on a plain port',
  'smtp-starttls': 'STARTTLS commands accepted',
  'smtp-starttls-injection': 'sessions that sent commands in clear behind STARTTLS',
  'smtp-auth': 'AUTH commands, which this service refuses',
  'smtp-bdat-malformed': 'sessions ended because BDAT did not tell a number of octets',
  'smtp-bdat-discarded': 'chunks read and dropped because they belonged to no message',
  'smtp-sender-refused': 'transactions that the service refused at MAIL',
  'smtp-too-many-mails': 'sessions ended after as many transactions as one may have',
  'smtp-xclient': 'XCLIENT commands of trusted relays',
  'smtp-xforward': 'XFORWARD commands of trusted relays',
  'smtp-claim-refused': 'XCLIENT and XFORWARD of peers that are not trusted for it',
  'smtp-timeout': 'sessions ended because the peer was silent or too slow',
  'smtp-shutdown': 'sessions ended because the server stops',
} as const;

export type SmtpCounter = keyof typeof smtpCounters;
