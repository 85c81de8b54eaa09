/**
 * The PROXY protocol, versions 1 and 2: what a proxy says of a connection before its first octet (HAProxy, `proxy-protocol.txt`).
 *
 * Always: the header is read to its last octet and not further, in every chunking; what is not exactly a header is refused; at most
 * `proxyHeaderBytesMax` octets are ever looked at.
 */
export {
  type ProxyEndpoint,
  type ProxyHeader,
  proxyHeaderBytesMax,
  readProxyHeader,
} from './proxy-header.ts';
