/**
 * The client's side of SMTP to the server on this very machine: how a program of another user hands mail in.
 *
 * RFC 5321, RFC 1870, RFC 3461. Always: the other end says that it is Fengni, or it gets nothing; all recipients are accepted or no
 * message is sent; "we could not tell" is `later`, never "no".
 */
export { type SubmitOutcome, type SubmitRequest, splice, submitBySmtp } from './submit.ts';
