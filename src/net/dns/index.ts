/**
 * A DNS client that says what it knows: an answer, that there is none, or that it could not be had (RFC 1035, 2308, 3596, 4343,
 * 5452, 6891, 7766, 9520).
 *
 * Always holds: no method rejects or throws; every lookup ends within `lookupMs`; what is sent and kept is bounded; an answer
 * that does not fit the question, its id, its capitals, its server and our port is none; AD is believed of a resolver on
 * loopback, or where the configuration says that it can be.
 */

export {
  createDnsClient,
  type DnsClient,
  type DnsCounts,
  type DnsSettings,
  type DnsValidation,
} from './client.ts';
export { type DnsLimits, dnsLimits } from './limits.ts';
export { readResolvConf, resolvConfPath } from './resolv-conf.ts';
