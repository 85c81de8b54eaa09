export interface ImapServerSettings {
  /** time from the connection to the log-in */
  loginMsMax: number;
  /** time without anything from the client, IDLE included (RFC 9051 §5.4: 30 minutes at least) */
  idleMsMax: number;
  /** time for the rest of a command that has begun */
  commandMsMax: number;
  /** time for the client to take any of what was sent */
  stallMsMax: number;
  sessionsPerAccountMax: number;
  appendBytesMax: number;
}

export const imapServerDefaults: ImapServerSettings = {
  loginMsMax: 60_000,
  idleMsMax: 30 * 60_000,
  commandMsMax: 300_000,
  stallMsMax: 300_000,
  sessionsPerAccountMax: 40,
  appendBytesMax: 50 * 1024 * 1024,
};
