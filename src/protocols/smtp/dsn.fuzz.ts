import { decodeXtext, encodeXtext, isXtext, parseEnvid, parseNotify, parseOrcpt, parseRet } from './index.ts';
import { parseClaim } from './relay-claim.ts';

export const seeds: Uint8Array[] = [
  'QQ314159+2B',
  'SUCCESS,FAILURE,DELAY',
  'never',
  'rfc822;user+2Bdetail@host.example',
  'utf-8;\\x{674E}@\\x{4F8B}.test',
  'utf-8;李@例.test',
  'HDRS',
  'ADDR=IPV6:2001:db8::1 NAME=mx.example PORT=25 PROTO=ESMTP HELO=[1.2.3.4]',
  'SOURCE=LOCAL IDENT=a+20b ADDR=[TEMPUNAVAIL]',
].map((text) => Buffer.from(text, 'utf8'));

/** What is kept is short, printable and read again as what it was. */
export const run = (data: Uint8Array): void => {
  const text = Buffer.from(data).toString('utf8');
  const octets = Buffer.from(data).toString('latin1');
  if (decodeXtext(encodeXtext(octets)) !== octets) throw new Error('xtext does not come back');
  const decoded = decodeXtext(text);
  if ((decoded !== null) !== isXtext(text)) throw new Error('two opinions about xtext');
  if (decoded !== null && decodeXtext(encodeXtext(decoded)) !== decoded)
    throw new Error('not the same octets');
  const envid = parseEnvid(text);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none is what it checks
  const control = /[\x00-\x20\x7f-\x9f]/;
  if (envid !== null && (envid.length > 100 || control.test(decodeXtext(envid)?.replaceAll(' ', '') ?? '\0')))
    throw new Error('an ENVID that cannot be shown');
  const notify = parseNotify(text);
  if (notify !== null && parseNotify(notify) !== notify) throw new Error('NOTIFY is not settled');
  for (const smtpUtf8 of [false, true]) {
    const orcpt = parseOrcpt(text, smtpUtf8);
    if (orcpt !== null && (Buffer.byteLength(orcpt) > 500 || control.test(orcpt)))
      throw new Error('a bad ORCPT');
  }
  parseRet(text);
  for (const verb of ['XCLIENT', 'XFORWARD'] as const) {
    for (const value of Object.values(parseClaim(verb, text) ?? {}))
      if (typeof value === 'string' && control.test(value))
        throw new Error('a claim that is not safe to write down');
  }
};
