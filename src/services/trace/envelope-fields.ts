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
  const text = Buffer.from(envelope.buffer, envelope.byteOffset, envelope.byteLength).toString('latin1');
  const items: Item[] = [];
  if (text[0] === '(') {
    for (let at = 1; items.length < itemsCount; ) {
      if (text[at] === ' ') at += 1;
      const read = readItem(text, at, 1);
      if (read === null) return { author: null, messageId: null };
      items.push(read.item);
      at = read.next;
      // An ordinary Message-ID stands at the end, and what is between need not be read.
      const tail =
        items.length === authorAt + 1 ? ordinaryTail.exec(text.slice(-tailLength))?.[1] : undefined;
      if (tail !== undefined) return { author: firstAddress(items[authorAt]), messageId: messageIdOf(tail) };
    }
  }
  return { author: firstAddress(items[authorAt]), messageId: messageIdOf(items[messageIdAt]) };
};

const authorAt = 2;
const messageIdAt = 9;
const itemsCount = 10;
const tailLength = 400;
const ordinaryTail = / "(<[\x21\x23-\x3b\x3d\x3f-\x5b\x5d-\x7e]{1,330}>)"\)$/;

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
