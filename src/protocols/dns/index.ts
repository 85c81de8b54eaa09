/**
 * DNS messages between octets and values: a codec, without a socket (RFC 1035, 3596, 6891, 6895).
 *
 * Always holds: `decodeDnsMessage` never throws, never reads outside its octets and takes time in proportion to them:
 * a compression pointer points backwards, below everything read of its name so far. `decode(encode(x))` is `x`.
 *
 * Names are texts of labels with dots between and none at the end; `''` is the root. A dot or backslash inside a label
 * is escaped by a backslash, other octets that do not print by `\DDD` (RFC 1035 §5.1). Capitals are kept.
 */
export { decodeDnsMessage } from './decode.ts';
export { encodeDnsMessage } from './encode.ts';
export {
  type DnsData,
  type DnsDecoded,
  type DnsEdns,
  type DnsMessage,
  type DnsQuestion,
  type DnsRecord,
  dnsTypes,
  rcodeName,
  rcodes,
} from './message.ts';
export { isDnsName, sameDnsName } from './name.ts';
