import { MiB } from '#base/limits';

export interface DnsLimits {
  /** milliseconds for one lookup, however many resolvers and retries it takes */
  readonly lookupMs: number;
  /** milliseconds that a resolver has in the first round, and so much more in each further one */
  readonly attemptMs: number;
  /** times that every resolver is asked */
  readonly roundsMax: number;
  /** lookups with an open socket at the same time; further ones wait */
  readonly lookupsMax: number;
  /** lookups that wait; further ones are unavailable at once */
  readonly waitingMax: number;
  /** CNAME records that are followed, RFC 1034 §3.6.2 names no number */
  readonly cnamesMax: number;
  /** answers to one question that do not fit it; then it is asked by TCP */
  readonly strayAnswersMax: number;
  readonly cacheEntriesMax: number;
  readonly cacheBytesMax: number;
  /** seconds; longer TTLs are cut (RFC 8767 §4) */
  readonly ttlMax: number;
  /** seconds, RFC 2308 §5 */
  readonly negativeTtlMax: number;
  /** milliseconds between two attempts to reach resolvers none of which answers; lookups meanwhile are unavailable at once */
  readonly silenceMs: number;
  /** seconds that a failure is remembered, RFC 9520 §3.2 */
  readonly failureTtl: number;
}

export const dnsLimits: DnsLimits = {
  lookupMs: 10_000,
  attemptMs: 1_500,
  roundsMax: 3,
  lookupsMax: 200,
  waitingMax: 5_000,
  cnamesMax: 8,
  strayAnswersMax: 20,
  cacheEntriesMax: 50_000,
  cacheBytesMax: 32 * MiB,
  ttlMax: 86_400,
  negativeTtlMax: 10_800,
  silenceMs: 5_000,
  failureTtl: 5,
};
