/**
 * Whether a text is an address literal: `[192.0.2.1]`, `[IPv6:2001:db8::1]` or `[tag:content]`.
 *
 * @source RFC 5321 §4.1.3
 */
export const isAddressLiteral = (text: string): boolean => {
  const inside = /^\[([\x21-\x5a\x5e-\x7e]+)\]$/.exec(text)?.[1];
  if (inside === undefined) return false;
  if (isIpv4(inside)) return true;
  const tagged = /^([A-Za-z0-9-]*[A-Za-z0-9]):(.+)$/.exec(inside);
  if (tagged === null) return false;
  const [, tag = '', content = ''] = tagged;
  return tag.toLowerCase() === 'ipv6' ? isIpv6(content) : true;
};

export const isIpv4 = (text: string): boolean => {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
};

export const isIpv6 = (text: string): boolean => {
  const halves = text.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const last = groups.at(-1);
  let count = groups.length;
  if (last?.includes('.') === true && !text.endsWith('::')) {
    if (!isIpv4(last)) return false;
    groups.pop();
    count += 1;
  }
  if (!groups.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))) return false;
  return halves.length === 2 ? count <= 7 : count === 8;
};
