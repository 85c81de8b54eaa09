import type { OctetText } from '#message';

const idOctetsMax = 1_000;

/** Every `<…>` of a field in its order; comments and phrases between them are passed over. @source RFC 5322 §3.6.4 */
export const messageIds = (value: OctetText): OctetText[] => {
  const ids: OctetText[] = [];
  let at = 0;
  for (;;) {
    const open = value.indexOf('<', at);
    const close = open < 0 ? -1 : value.indexOf('>', open);
    if (close < 0) return ids;
    // Some programs fold inside an id.
    const id = value.slice(open + 1, close).replace(/\s+/g, '');
    if (id !== '' && id.length <= idOctetsMax) ids.push(id);
    at = close + 1;
  }
};

/** Words that mail programs put before a subject, in the languages of our users (octets of UTF-8 as characters). */
const replyWords = [
  're',
  'fw',
  'fwd',
  'aw',
  'wg',
  'sv',
  'vs',
  'tr',
  'rv',
  'enc',
  'antw',
  '回复',
  '答复',
  '转发',
  '回覆',
  '轉寄',
].map((word) => Buffer.from(word, 'utf8').toString('latin1'));
const fullWidthColon = Buffer.from('：', 'utf8').toString('latin1');

/**
 * A subject without what replies and forwards add, blanks and case: encoded words stay as they are, which is the same in every reply of
 * most programs.
 *
 * @source RFC 5256 §2.1, simplified
 */
export const baseSubject = (value: OctetText): OctetText => {
  let rest = value.slice(0, idOctetsMax).replace(/\s+/g, ' ').trim().toLowerCase();
  for (;;) {
    const before = rest;
    for (const word of replyWords) {
      if (!rest.startsWith(word)) continue;
      const after = rest.slice(word.length).replace(/^ ?(?:\[\d{1,3}\]|\(\d{1,3}\))? ?/, '');
      if (after.startsWith(':')) rest = after.slice(1).trim();
      else if (after.startsWith(fullWidthColon)) rest = after.slice(fullWidthColon.length).trim();
    }
    const tag = /^\[[^[\]]{1,100}\] ?/.exec(rest);
    if (tag !== null && tag[0].length < rest.length) rest = rest.slice(tag[0].length);
    if (rest.endsWith('(fwd)')) rest = rest.slice(0, -5).trim();
    if (rest === before) return rest;
  }
};
