/**
 * The octets of a base64 text as SASL profiles carry it, or null when it is not base64 with its padding.
 *
 * @source RFC 4648 §4, RFC 5034 §4
 */
export const parseSaslBase64 = (text: string): Uint8Array | null => {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return null;
  const octets = Buffer.from(text, 'base64');
  // Bits beyond the last octet must be zero: one text for one value.
  return octets.toString('base64') === text ? octets : null;
};
