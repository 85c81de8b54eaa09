import assert from 'node:assert/strict';
import { latin1, utf8 } from '#base/bytes';
import { parseKeyRecord } from './key-record.ts';
import { parseSignature, signedFieldsMax } from './signature.ts';
import { SignedMessage } from './signed-message.ts';
import { parseTagList } from './tag-list.ts';

const signature =
  'DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=a.example; s=s; t=1; x=2; l=3; i=a=40b@c.a.example; q=dns/txt;\r\n' +
  ' h=From : To; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; b=AAAA';
const key =
  'v=DKIM1; k=rsa; h=sha256; s=*; t=s:y; n=x; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALgSoqXVSEmfcIsOzw7oRuCCOwsmtX/SJnTWxYyj2leFxfS/AVJ+dYfY+hXqMsT7l+MZvvh/R1WzN4MO/kI/7XsCAwEAAQ==';

export const seeds: Uint8Array[] = [
  utf8(signature),
  utf8(key),
  utf8('v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='),
  utf8(`${signature}\r\nFrom: a\r\n\r\nbody\r\n`),
];

/** No octets make a parser throw; what it takes keeps what the callers rely on. */
export const run = (data: Uint8Array): void => {
  const text = latin1(data);
  const list = parseTagList(text);
  if (list.kind === 'tags')
    for (const [name, { value, start, end }] of list.tags) {
      assert.equal(text.slice(start, end).replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, ''), value);
      assert.match(name, /^[A-Za-z][A-Za-z0-9_]*$/);
    }
  const record = parseKeyRecord(data);
  if (record.kind === 'key') assert(record.record.key.bits >= 256 && record.record.key.bits <= 8_192);
  for (const kind of ['dkim', 'arc'] as const) {
    const parsed = parseSignature(text, kind);
    const { domain, selector } = parsed.kind === 'signature' ? parsed.signature : parsed.claims;
    assert.match(domain, /^[a-z0-9._-]*$/);
    assert.match(selector, /^[a-z0-9._-]*$/);
    if (parsed.kind !== 'signature') continue;
    assert(parsed.signature.signedFields.includes('from'));
    assert(parsed.signature.signedFields.length <= signedFieldsMax);
    const at = parsed.signature.identity.lastIndexOf('@');
    const below = parsed.signature.identity.slice(at + 1);
    assert(below === domain || below.endsWith(`.${domain}`));
  }
  const seen: string[] = [];
  for (const pieceBytes of [data.length || 1, 1]) {
    const message = new SignedMessage(({ fields }) => seen.push(JSON.stringify(fields)));
    for (let at = 0; at < data.length; at += pieceBytes) message.write(data.subarray(at, at + pieceBytes));
    message.end();
  }
  assert.equal(seen[0], seen[1]);
};
