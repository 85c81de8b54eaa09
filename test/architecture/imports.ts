export interface Import {
  specifier: string;
  /** from 1 */
  line: number;
  /** loaded only when it is reached: `import('…')`, or a file given to a process by `new URL('…', import.meta.url)` */
  isDynamic: boolean;
  /** what stands before `from`, such as `{ a, type B }`; empty where nothing does */
  clause: string;
}

const fromStatement = /^[ \t]*(?:import|export)\b(?:([^'";()]*?)\bfrom)?\s*['"]([^'"\n]+)['"]/gm;
const dynamicImport = /\bimport\(\s*()['"]([^'"\n]+)['"]/g;
const fileAddress = /\bnew URL\(\s*()['"](\.[^'"\n]+\.ts)['"]\s*,\s*import\.meta\.url/g;

/** Every import of a text without comments, in the order of its lines. */
export const readImports = (text: string): Import[] => {
  const lineOf = (offset: number): number => text.slice(0, offset).split('\n').length;
  const found: Import[] = [];
  for (const [pattern, isDynamic] of [
    [fromStatement, false],
    [dynamicImport, true],
    [fileAddress, true],
  ] as const) {
    for (const match of text.matchAll(pattern)) {
      const start = match.index + (match[0].length - match[0].trimStart().length);
      found.push({
        specifier: match[2] ?? '',
        line: lineOf(start),
        isDynamic,
        clause: (match[1] ?? '').trim(),
      });
    }
  }
  return found.sort((a, b) => a.line - b.line);
};

/**
 * The text without the comments that begin a line; their line ends stay, so that line numbers hold.
 *
 * Comments after code stay too: telling them from the same characters in a string or a regular expression needs a parser.
 */
export const withoutComments = (text: string): string =>
  text
    .replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, (comment) => comment.replace(/[^\n]/g, ''))
    .replace(/^[ \t]*\/\/.*$/gm, '');
