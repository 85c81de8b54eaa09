/** An account's INBOX as a POP3 session sees it: as it was at the log-in (RFC 1939 §3, §6). */
export { createPop3Login } from './maildrop.ts';
