/** A reply or an expectation taken apart: words, strings, lists. */
export type ImapValue =
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly ImapValue[] };

/**
 * The values of a line. Brackets hold a word together (`BODY[HEADER.FIELDS (FROM)]`, `[UIDNEXT 4]`).
 *
 * @param script also reads `{{{` … `}}}` blocks, whose lines are joined by CRLF; those of `~{{{` by LF
 */
export const readImapValues = (text: string, script = false): ImapValue[] => {
  let at = 0;
  const list = (end: string): ImapValue[] => {
    const items: ImapValue[] = [];
    for (;;) {
      while (text[at] === ' ') at++;
      if (at >= text.length) return items;
      if (text[at] === end) {
        at++;
        return items;
      }
      items.push(value());
    }
  };
  const value = (): ImapValue => {
    if (text[at] === '(') {
      at++;
      return { kind: 'list', items: list(')') };
    }
    if (text[at] === '"') {
      let content = '';
      for (at++; at < text.length && text[at] !== '"'; at++) {
        if (text[at] === '\\') at++;
        content += text[at] ?? '';
      }
      at++;
      return { kind: 'string', text: content };
    }
    const raw = script && text.startsWith('~{{{', at);
    if (script && text.startsWith('{{{', raw ? at + 1 : at)) {
      const start = text.indexOf('\n', at) + 1;
      const end = text.indexOf('}}}', start);
      const content = text.slice(start, end).replace(/\n$/, '');
      at = end + 3;
      return { kind: 'string', text: raw ? content : content.replace(/\n/g, '\r\n') };
    }
    const literal = /^\{(\d+)\}\r\n/.exec(text.slice(at, at + 20));
    if (!script && literal !== null) {
      const start = at + literal[0].length;
      at = start + Number(literal[1]);
      return { kind: 'string', text: text.slice(start, at) };
    }
    const start = at;
    let open = 0;
    while (at < text.length) {
      const character = text[at];
      if (character === '[') open++;
      else if (character === ']' && open > 0) open--;
      else if (open === 0 && (character === ' ' || character === ')' || character === '(')) break;
      at++;
    }
    return { kind: 'word', text: text.slice(start, at) };
  };
  return list('');
};
