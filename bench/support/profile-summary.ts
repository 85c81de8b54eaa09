import fs from 'node:fs';
import path from 'node:path';

interface Profile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
    children?: number[];
  }[];
  samples: number[];
  timeDeltas: number[];
}

/** Where a CPU profile's time went: by function itself, and with what it called; the share of the time that was not idle. */
export const profileSummary = (file: string, rows: number): string => {
  const { nodes, samples, timeDeltas } = JSON.parse(fs.readFileSync(file, 'utf8')) as Profile;
  const own = new Map<number, number>();
  for (const [at, id] of samples.entries()) own.set(id, (own.get(id) ?? 0) + (timeDeltas[at] ?? 0));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const name = ({ callFrame: { functionName, url, lineNumber } }: Profile['nodes'][number]): string => {
    const where = url.startsWith('node:')
      ? url
      : url.replace(/^file:\/\//, '').replace(/^.*\/(src|node_modules)\//, '$1/');
    return `${functionName || '(anonymous)'} ${where}${url === '' ? '' : `:${lineNumber + 1}`}`;
  };
  const selfTime = new Map<string, number>();
  const wholeTime = new Map<string, number>();
  const add = (to: Map<string, number>, key: string, us: number): void =>
    void to.set(key, (to.get(key) ?? 0) + us);
  let busy = 0;
  const visit = (id: number, above: ReadonlySet<string>): number => {
    const node = byId.get(id);
    if (node === undefined) return 0;
    const key = name(node);
    let whole = own.get(id) ?? 0;
    if (!key.startsWith('(idle)') && !key.startsWith('(program)')) busy += whole;
    add(selfTime, key, whole);
    const within = new Set(above).add(key);
    for (const child of node.children ?? []) whole += visit(child, within);
    // What calls itself is counted once.
    if (!above.has(key)) add(wholeTime, key, whole);
    return whole;
  };
  const called = new Set(nodes.flatMap(({ children }) => children ?? []));
  for (const { id } of nodes) if (!called.has(id)) visit(id, new Set());
  const list = (times: Map<string, number>): string =>
    [...times]
      .sort(([, a], [, b]) => b - a)
      .slice(0, rows)
      .map(
        ([key, us]) =>
          `${(us / 1_000).toFixed(0).padStart(7)} ms ${((100 * us) / busy).toFixed(1).padStart(5)} %  ${key}`,
      )
      .join('\n');
  return `${path.basename(file)}: ${(busy / 1_000).toFixed(0)} ms busy\nitself\n${list(selfTime)}\nwith what it called\n${list(wholeTime)}\n`;
};
