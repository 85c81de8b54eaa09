/** A parsed IMAP value: a word (NIL, number), a string's octets, or a list. */
export type ImapValue = { word: string } | { text: string } | ImapValue[];

/** The values of a text of words, quoted strings, literals (CRLF or LF after the count) and lists. */
export const parseImapValues = (text: string): ImapValue[] => {
  const stack: ImapValue[][] = [[]];
  const tokens = /"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r?\n|([()])|([^\s()"{]+)/g;
  for (let match = tokens.exec(text); match !== null; match = tokens.exec(text)) {
    const [, quoted, count, paren, word] = match;
    if (quoted !== undefined) stack.at(-1)?.push({ text: quoted.replace(/\\(.)/g, '$1') });
    else if (count !== undefined) {
      const start = tokens.lastIndex;
      tokens.lastIndex += Number(count);
      stack.at(-1)?.push({ text: text.slice(start, tokens.lastIndex) });
    } else if (paren === '(') stack.push([]);
    else if (paren === ')') {
      const list = stack.pop() ?? [];
      stack.at(-1)?.push(list);
    } else stack.at(-1)?.push({ word: word ?? '' });
  }
  return stack[0] ?? [];
};
