import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { cellsOf } from '#app/demo';

/**
 * Turns what a program printed on a terminal into an SVG, the same octets in, the same out:
 *
 *     script -qec './fengni demo' /dev/null </dev/null | scripts/node26 scripts/terminal-picture.ts --title './fengni demo' >picture.svg
 *
 * It knows line feeds and SGR colours (ECMA-48 §8.3.117), and stops at anything else. The picture has a ground of its own, so that it is
 * legible on light and dark pages; each run of text is stretched to its cells, whatever font the reader has.
 */

const cell = { width: 8.4, height: 19, size: 14 };
/** Chinese characters are as wide as their size in every font; what two cells have more stands between them. */
const wide = { size: 15, spacing: 2 * 8.4 - 15 };
const escapeCharacter = '\u001b';
const margin = { x: 16, top: 44, bottom: 14 };
const palette: Readonly<Record<string, string>> = {
  ground: '#16191f',
  bar: '#23272f',
  frame: '#3a404b',
  text: '#d7dae0',
  1: '#ffffff',
  2: '#8b93a1',
  31: '#ff8f87',
  32: '#7fd88f',
  33: '#f0cf7a',
  36: '#7cc7e8',
};
const textFonts = "ui-monospace,'DejaVu Sans Mono','Noto Sans Mono CJK SC','Noto Sans CJK SC',monospace";

interface Run {
  text: string;
  /** SGR code, or null */
  style: string | null;
  /** cells before it in its line */
  column: number;
}

const readLines = (text: string): Run[][] => {
  const lines: Run[][] = [];
  let style: string | null = null;
  for (const line of text.replaceAll('\r\n', '\n').trimEnd().split('\n')) {
    const runs: Run[] = [];
    let column = 0;
    line.split(escapeCharacter).forEach((part, at) => {
      const code = at === 0 ? null : (/^\[([0-9;]*)m/.exec(part)?.[1] ?? 'unknown');
      if (code !== null) style = code === '' || code === '0' ? null : code;
      if (style !== null && palette[style] === undefined) throw new Error(`no colour for ESC${part}`);
      const piece = at === 0 ? part : part.slice(part.indexOf('m') + 1);
      for (const run of splitAtWide(piece)) {
        if (/\p{Cc}/u.test(run)) throw new Error(`a control in ${JSON.stringify(line)}`);
        // Blanks alone draw nothing.
        if (run.trim() !== '') runs.push({ text: run, style, column });
        column += cellsOf(run);
      }
    });
    lines.push(runs);
  }
  return lines;
};

/** Runs of characters of one width each, and no long gaps: so that a font whose widths differ shifts nothing. */
const splitAtWide = (text: string): string[] => {
  const runs: string[] = [];
  for (const piece of text.split(/( {2,})/)) {
    let run = '';
    for (const character of piece) {
      if (run !== '' && cellsOf(character) !== cellsOf(run.at(-1) ?? '')) {
        runs.push(run);
        run = '';
      }
      run += character;
    }
    if (run !== '') runs.push(run);
  }
  return runs;
};

const isWide = (text: string): boolean => cellsOf(text) === 2 * [...text].length;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const round = (value: number): string => String(Math.round(value * 10) / 10);

const picture = (lines: readonly Run[][], title: string, columns: number): string => {
  const width = round(margin.x * 2 + columns * cell.width);
  const height = round(margin.top + lines.length * cell.height + margin.bottom);
  const rows = lines.flatMap((runs, row) =>
    runs.map(({ text, style, column }) => {
      // Blanks at the ends are left out of the text, and of its length.
      const shown = text.trim();
      const x = round(margin.x + (column + text.length - text.trimStart().length) * cell.width);
      const y = round(margin.top + (row + 0.75) * cell.height);
      const length = round(cellsOf(shown) * cell.width);
      const classes = [...(style === null ? [] : [`s${style}`]), ...(isWide(shown) ? ['w'] : [])];
      const look = classes.length === 0 ? '' : ` class="${classes.join(' ')}"`;
      const room = isWide(shown) ? '' : ` textLength="${length}"`;
      return `<text x="${x}" y="${y}"${look}${room}>${escaped(shown)}</text>`;
    }),
  );
  const styles = Object.entries(palette)
    .filter(([name]) => /^\d+$/.test(name))
    .map(([name, color]) => `.s${name}{fill:${color}${name === '1' ? ';font-weight:bold' : ''}}`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>text{font:${cell.size}px ${textFonts};fill:${palette['text']};white-space:pre}.w{font-size:${wide.size}px;letter-spacing:${round(wide.spacing)}px}${styles.join('')}</style>`,
    `<rect x="0.5" y="0.5" width="${round(Number(width) - 1)}" height="${round(Number(height) - 1)}" rx="8" fill="${palette['ground']}" stroke="${palette['frame']}"/>`,
    `<path d="M1 30V9a8 8 0 0 1 8-8H${round(Number(width) - 9)}a8 8 0 0 1 8 8V30Z" fill="${palette['bar']}"/>`,
    ...['#ff8f87', '#f0cf7a', '#7fd88f'].map(
      (color, at) => `<circle cx="${18 + at * 16}" cy="15.5" r="5" fill="${color}"/>`,
    ),
    `<text x="${round(Number(width) / 2)}" y="20" text-anchor="middle" class="s2">${escaped(title)}</text>`,
    ...rows,
    '</svg>',
    '',
  ].join('\n');
};

const { values } = parseArgs({
  options: { title: { type: 'string', default: '' }, columns: { type: 'string', default: '100' } },
});
process.stdout.write(picture(readLines(fs.readFileSync(0, 'utf8')), values.title, Number(values.columns)));
