/**
 * What the engines of this layer ask of DNS: a port, without a socket. `net/dns` implements it.
 *
 * An answer that could not be had, or that a validating resolver called bogus, is `unavailable`, never `none`: who
 * takes the one for the other lets a liar on the path switch a check off.
 */
export type { Dns, DnsAnswer, MxRecord } from './dns.ts';
export { storedDns } from './stored-dns.ts';
