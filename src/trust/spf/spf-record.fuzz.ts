import { latin1 } from '#base/bytes';
import { isSpfRecord, parseSpfRecord } from './spf-record.ts';

export const seeds: Uint8Array[] = [
  'v=spf1 -all',
  'v=spf1 include:_spf.example.org ip4:192.0.2.0/24 ip6:2001:db8::/32 ~all',
  'v=spf1 a mx:example.org/24//64 ptr exists:%{ir}.%{l1r+-}._spf.%{d} redirect=%{o} exp=explain._spf.%{d2}',
  'v=spf1 ?A:foo.example.com//0 -MX/0 unknown-modifier=%{s}%%%_%- all',
  'V=SPF1 a:museum. ip4:1.2.3.4/33',
].map((text) => Buffer.from(text));

/** A record is read or refused; what was read is of the grammar's characters, and its terms read alone as the same. */
export const run = (data: Uint8Array): void => {
  const text = latin1(data);
  if (!isSpfRecord(text)) return;
  const read = parseSpfRecord(text);
  if (read.kind === 'error') {
    if (!/^[ -~]*$/.test(read.why) || read.why.length > 200) throw new Error('a reason that cannot be shown');
    return;
  }
  if (!/^[ -~]*$/.test(text)) throw new Error('an octet that no grammar has');
  for (const directive of read.record.directives) {
    const alone = parseSpfRecord(`v=spf1 ${directive.text}`);
    if (alone.kind === 'error' || alone.record.directives.length !== 1) throw new Error('not the same alone');
    const { mechanism } = directive;
    if (mechanism.kind === 'ip' && mechanism.bits > 8 * mechanism.network.length)
      throw new Error('too many bits');
  }
};
