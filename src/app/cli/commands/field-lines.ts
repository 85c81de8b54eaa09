/** Names and values in two columns; a Chinese character takes two cells of a terminal. */
export const fieldLines = (fields: readonly (readonly [name: string, value: string])[]): string[] => {
  const width = Math.max(0, ...fields.map(([name]) => cells(name)));
  return fields.map(([name, value]) => `  ${name}${' '.repeat(width - cells(name))}  ${value}`);
};

const cells = (text: string): number => {
  let count = 0;
  for (const character of text) count += /[ᄀ-ᅟ⺀-꓏가-힣豈-﫿︰-﹏＀-｠￠-￦]/u.test(character) ? 2 : 1;
  return count;
};

/** An instant as people read it, in UTC. */
export const shownTime = (timeMs: number): string =>
  new Date(timeMs)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC');
