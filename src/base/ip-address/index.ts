/**
 * IP addresses between text and octets, without a socket.
 *
 * Always holds: `parseIp(formatIp(x))` is `x`; an address has one text (RFC 5952).
 */
export { formatIp, isIpv4Mapped, isLoopback, parseIp, reverseName } from './ip-address.ts';
