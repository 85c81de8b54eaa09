import { unfold } from './mime-header.ts';
import type { OctetText } from './part.ts';

/** Ids of one field that are kept: the first and the newest say what a thread is. */
const idsMax = 200;
const idLengthMax = 998;

/**
 * The message-ids of Message-ID, In-Reply-To or References, without `<` and `>`, each once, in order. Blanks inside an id
 * are dropped, phrases and comments between ids skipped; a field with no `<` at all is one id, if it is one word.
 *
 * @source RFC 5322 §3.6.4, §4.5.4
 */
export const parseMessageIds = (value: OctetText): string[] => {
  const text = unfold(value);
  const ids = new Set<string>();
  for (let at = text.indexOf('<'); at >= 0; at = text.indexOf('<', at + 1)) {
    const end = text.indexOf('>', at);
    if (end < 0) break;
    // `<a <b>`: the last one that opens.
    const open = text.lastIndexOf('<', end);
    const id = text.slice(open + 1, end).replace(/[ \t]+/g, '');
    if (id !== '' && id.length <= idLengthMax) ids.add(id);
    at = end;
  }
  if (ids.size === 0 && text !== '' && /^[^\s<>]+$/.test(text) && text.length <= idLengthMax) ids.add(text);
  const all = [...ids];
  return all.length <= idsMax ? all : [...all.slice(0, 1), ...all.slice(1 - idsMax)];
};
