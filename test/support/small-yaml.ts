/**
 * As much of YAML as third-party test suites use: documents, maps and lists by indentation, flow lists, plain and quoted
 * scalars over several lines, `|` and `>` blocks. Every scalar is a text.
 *
 * @throws on what it does not know, with the number of the line
 */
export type Yaml = string | Yaml[] | { [key: string]: Yaml };

interface Line {
  readonly indent: number;
  readonly text: string;
  readonly number: number;
}

export const parseYamlDocuments = (source: string): Yaml[] => {
  const documents: Yaml[] = [];
  let offset = 0;
  for (const part of source.split(/^---.*$/m)) {
    const reader = new YamlReader(part, offset);
    offset += part.split('\n').length - 1;
    if (!reader.isEmpty()) documents.push(reader.node(0));
  }
  return documents;
};

class YamlReader {
  readonly #lines: readonly Line[];
  #at = 0;

  constructor(source: string, offset: number) {
    this.#lines = source.split('\n').map((text, index) => ({
      indent: text.length - text.trimStart().length,
      text: text.trim(),
      number: offset + index + 1,
    }));
  }

  isEmpty(): boolean {
    return this.#peek() === undefined;
  }

  #peek(): Line | undefined {
    for (; this.#at < this.#lines.length; this.#at++) {
      const line = this.#lines[this.#at];
      if (line !== undefined && line.text !== '' && !line.text.startsWith('#')) return line;
    }
    return undefined;
  }

  /** A list or map whose lines are indented by at least `min`. */
  node(min: number): Yaml {
    const first = this.#peek();
    if (first === undefined || first.indent < min) return '';
    return first.text.startsWith('- ') || first.text === '-'
      ? this.#list(first.indent)
      : this.#map(first.indent);
  }

  #list(indent: number): Yaml[] {
    const items: Yaml[] = [];
    for (let line = this.#peek(); line?.indent === indent && line.text.startsWith('-'); line = this.#peek()) {
      const text = line.text.slice(1).trim();
      this.#at++;
      const entry = keyOf(text);
      items.push(
        entry === null
          ? this.#value(text, indent, line)
          : { [entry.key]: this.#value(entry.rest, indent + 2, line) },
      );
    }
    return items;
  }

  #map(indent: number): Yaml {
    const map: { [key: string]: Yaml } = {};
    for (let line = this.#peek(); line?.indent === indent; line = this.#peek()) {
      const entry = keyOf(line.text);
      if (entry === null) throw new Error(`line ${line.number}: ${line.text}`);
      this.#at++;
      map[entry.key] = this.#value(entry.rest, indent, line);
    }
    return map;
  }

  /** What stands behind a key or dash, and on the lines below it. */
  #value(text: string, indent: number, line: Line): Yaml {
    if (text === '') {
      const next = this.#peek();
      if (next === undefined) return '';
      if (next.indent > indent) return this.node(indent + 1);
      return next.indent === indent && next.text.startsWith('- ') ? this.#list(indent) : '';
    }
    if (/^[|>][+-]?$/.test(text)) return this.#block(indent, text.startsWith('|') ? '\n' : ' ');
    const quote = text.startsWith("'") || text.startsWith('"') ? text.charAt(0) : null;
    let whole = text;
    const isOpen = (): boolean =>
      quote === null ? !text.startsWith('[') || !whole.endsWith(']') : !isClosed(whole, quote);
    while (isOpen()) {
      const next = this.#lines[this.#at];
      if (next === undefined || (quote === null && (next.text === '' || next.indent <= indent))) break;
      whole += ` ${next.text}`;
      this.#at++;
    }
    return scalar(whole, line);
  }

  #block(indent: number, joint: string): string {
    const lines: string[] = [];
    for (let line = this.#lines[this.#at]; line !== undefined; line = this.#lines[this.#at]) {
      if (line.text !== '' && line.indent <= indent) break;
      lines.push(line.text);
      this.#at++;
    }
    return lines.join(joint).trim();
  }
}

const keyOf = (text: string): { key: string; rest: string } | null => {
  const [, single, double, plain, rest = ''] =
    /^(?:'([^']*)'|"([^"\\]*)"|([^'"[\s:](?:[^:]|:(?!\s|$))*)):(?:\s+(.*))?$/s.exec(text) ?? [];
  const key = single ?? double ?? plain;
  return key === undefined ? null : { key, rest };
};

const isClosed = (text: string, quote: string): boolean =>
  quote === "'" ? /^'(?:[^']|'')*'/.test(text) : /^"(?:[^"\\]|\\.)*"/s.test(text);

const scalar = (text: string, line: Line): Yaml => {
  if (text.startsWith('[')) {
    const items = text.slice(1, -1).match(/'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[^,\s][^,]*/g) ?? [];
    return items.map((item) => scalar(item.trim(), line));
  }
  if (text.startsWith("'")) return (/^'((?:[^']|'')*)'/.exec(text)?.[1] ?? '').replaceAll("''", "'");
  if (!text.startsWith('"')) return text.replace(/\s+#.*$/, '');
  const inside = /^"((?:[^"\\]|\\.)*)"/s.exec(text)?.[1] ?? '';
  return inside.replaceAll(/\\(x[0-9A-Fa-f]{2}|.)/g, (_, written: string) => {
    if (written.startsWith('x')) return String.fromCharCode(Number.parseInt(written.slice(1), 16));
    const known = { '0': '\0', n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' }[written];
    if (known === undefined) throw new Error(`line ${line.number}: \\${written}`);
    return known;
  });
};
