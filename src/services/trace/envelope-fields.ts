/** What a search asks of an ENVELOPE. */
export interface EnvelopeFields {
  /** the first address of From; null where there is none */
  author: string | null;
  /** without `<` and `>` */
  messageId: string | null;
}

type Item = string | null | readonly Item[];

/** lists inside lists: an envelope has three, a group's members lie beside it */
const depthMax = 8;
const fieldLengthMax = 330;

/**
 * Author and Message-ID of an ENVELOPE as the index has it; nulls for octets that are none.
 *
 * @source RFC 9051 §7.5.2 `ENVELOPE`
 */
export const envelopeFields = (envelope: Uint8Array): EnvelopeFields => {
  const nothing = { author: null, messageId: null };
  const read = readItem(Buffer.from(envelope).toString('latin1'), 0, 0);
  if (read === null || !Array.isArray(read.item)) return nothing;
  const items = read.item as readonly Item[];
  return { author: firstAddress(items[2]), messageId: messageIdOf(items[9]) };
};

const firstAddress = (list: Item | undefined): string | null => {
  if (!Array.isArray(list)) return null;
  for (const entry of list as readonly Item[]) {
    if (!Array.isArray(entry)) continue;
    const [, , local, domain] = entry as readonly Item[];
    // Without a domain it is the name of a group.
    if (typeof local !== 'string' || typeof domain !== 'string') continue;
    const address = `${words(local)}@${words(domain)}`;
    return address.length <= fieldLengthMax ? address : null;
  }
  return null;
};

const messageIdOf = (value: Item | undefined): string | null => {
  if (typeof value !== 'string') return null;
  const text = words(value);
  const inside = /<([^<>]+)>/.exec(text)?.[1] ?? text;
  const id = inside.replace(/\s+/g, '');
  return id === '' || id.length > fieldLengthMax ? null : id;
};

/** UTF-8, and nothing that moves a cursor. */
const words = (octets: string): string =>
  Buffer.from(octets, 'latin1')
    .toString('utf8')
    .replace(/\p{Cc}/gu, '');

const readItem = (text: string, at: number, depth: number): { item: Item; next: number } | null => {
  switch (text[at]) {
    case '(': {
      if (depth >= depthMax) return null;
      const items: Item[] = [];
      let next = at + 1;
      for (;;) {
        while (text[next] === ' ') next += 1;
        if (text[next] === ')') return { item: items, next: next + 1 };
        const read = readItem(text, next, depth + 1);
        if (read === null) return null;
        items.push(read.item);
        next = read.next;
      }
    }
    case '"': {
      let value = '';
      for (let next = at + 1; next < text.length; next++) {
        const char = text[next];
        if (char === '"') return { item: value, next: next + 1 };
        if (char === '\\') next += 1;
        value += text[next] ?? '';
      }
      return null;
    }
    case '{': {
      const end = text.indexOf('}\r\n', at);
      const digits = end < 0 ? '' : text.slice(at + 1, end);
      if (!/^\d{1,9}$/.test(digits)) return null;
      const from = end + 3;
      const next = from + Number(digits);
      return next > text.length ? null : { item: text.slice(from, next), next };
    }
    default:
      return text.slice(at, at + 3) === 'NIL' ? { item: null, next: at + 3 } : null;
  }
};
