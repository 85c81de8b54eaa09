// Lines for a terminal, where a Chinese character takes two cells.

/** @source Unicode UAX #11, East Asian Width: W and F, as far as our texts use them */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/;
/** a line never begins with one of these, nor ends with one of the others */
const closing = /^[，。；：！？、）》”’」』】]/;
const opening = /^[（《“‘「『【]$/;

/** Cells that a text takes. */
export const cellsOf = (text: string): number => {
  let cells = 0;
  for (const character of text) cells += wide.test(character) ? 2 : 1;
  return cells;
};

export const padCells = (text: string, cells: number): string =>
  text + ' '.repeat(Math.max(0, cells - cellsOf(text)));

/** Breaks a text into lines of at most `cells`: between words, and between Chinese characters; a longer word is cut. */
export const wrap = (text: string, cells: number): string[] => {
  const lines: string[] = [];
  let line = '';
  for (const piece of piecesOf(text, cells)) {
    if (cellsOf((line + piece).trimEnd()) > cells) {
      lines.push(line.trimEnd());
      line = '';
    }
    line += line === '' ? piece.trimStart() : piece;
  }
  if (line.trimEnd() !== '' || lines.length === 0) lines.push(line.trimEnd());
  return lines;
};

/** What stays together: a word with the blank after it, a Chinese character with the marks that cling to it. */
const piecesOf = (text: string, cells: number): string[] => {
  const pieces: string[] = [];
  for (const character of text) {
    const last = pieces.at(-1);
    const clings = closing.test(character) || (last !== undefined && opening.test(last));
    const continues = last !== undefined && !last.endsWith(' ') && !wide.test(last) && !wide.test(character);
    const isWhole = last !== undefined && cellsOf(last + character) > cells;
    if (last !== undefined && !isWhole && (clings || continues || (character === ' ' && !last.endsWith(' '))))
      pieces[pieces.length - 1] = last + character;
    else pieces.push(character);
  }
  return pieces;
};
