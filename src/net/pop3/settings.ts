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
