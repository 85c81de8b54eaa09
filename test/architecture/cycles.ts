export interface Edge {
  from: string;
  to: string;
}

/**
 * One circle for each group of names that reach each other, its first name repeated at the end, starting with the smallest.
 *
 * Names that reach each other are found by Tarjan's algorithm; inside such a group the shortest way back to the start is the circle.
 */
export const findCycles = (edges: readonly Edge[]): string[][] => {
  const next = new Map<string, Set<string>>();
  for (const { from, to } of edges) {
    const targets = next.get(from) ?? new Set();
    next.set(from, targets.add(to));
  }
  return connectedGroups(next)
    .filter((group) => group.length > 1 || next.get(group[0] ?? '')?.has(group[0] ?? ''))
    .map((group) => shortestCircle(next, new Set(group), [...group].sort()[0] ?? ''))
    .sort((a, b) => ((a[0] ?? '') < (b[0] ?? '') ? -1 : 1));
};

const connectedGroups = (next: ReadonlyMap<string, ReadonlySet<string>>): string[][] => {
  const groups: string[][] = [];
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const open = new Set<string>();
  const visit = (name: string): number => {
    const number = order.size;
    order.set(name, number);
    let low = number;
    stack.push(name);
    open.add(name);
    for (const target of next.get(name) ?? []) {
      if (!order.has(target)) low = Math.min(low, visit(target));
      else if (open.has(target)) low = Math.min(low, order.get(target) ?? low);
    }
    lowest.set(name, low);
    if (low === number) {
      const group = stack.splice(stack.indexOf(name));
      for (const member of group) open.delete(member);
      groups.push(group);
    }
    return low;
  };
  for (const name of next.keys()) if (!order.has(name)) visit(name);
  return groups;
};

const shortestCircle = (
  next: ReadonlyMap<string, ReadonlySet<string>>,
  group: ReadonlySet<string>,
  start: string,
): string[] => {
  const ways: string[][] = [[start]];
  const seen = new Set<string>();
  for (const way of ways) {
    for (const target of next.get(way.at(-1) ?? '') ?? []) {
      if (target === start) return [...way, start];
      if (!group.has(target) || seen.has(target)) continue;
      seen.add(target);
      ways.push([...way, target]);
    }
  }
  return [start];
};
