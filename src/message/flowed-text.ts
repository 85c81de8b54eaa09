/**
 * The lines of format=flowed text put together again, quote marks as `>> text`, one line a paragraph.
 *
 * @param deletesSpace DelSp=yes: the blank at the end of a flowed line is no part of the text
 * @source RFC 3676 §4
 */
export const unflow = (text: string, deletesSpace: boolean): string => {
  const result: string[] = [];
  let paragraph: { depth: number; pieces: string[] } | null = null;
  const flush = (): void => {
    if (paragraph === null) return;
    result.push(withMarks(paragraph.depth, paragraph.pieces.join('')));
    paragraph = null;
  };
  for (const line of text.split(/\r?\n/)) {
    const depth = quoteDepth(line);
    // §4.4: one blank that was put in front is taken away.
    const content = line.slice(line[depth] === ' ' ? depth + 1 : depth);
    const open = paragraph as { depth: number; pieces: string[] } | null;
    // §4.5: a paragraph ends where its quote depth does, and before a signature.
    if (open !== null && (open.depth !== depth || content === '-- ')) flush();
    const isFlowed = content.endsWith(' ') && content !== '-- ';
    const piece = isFlowed && deletesSpace ? content.slice(0, -1) : content;
    const current = paragraph as { depth: number; pieces: string[] } | null;
    if (current === null) paragraph = { depth, pieces: [piece] };
    else current.pieces.push(piece);
    if (!isFlowed) flush();
  }
  flush();
  return result.join('\n');
};

const quoteDepth = (line: string): number => {
  let depth = 0;
  while (line[depth] === '>') depth++;
  return depth;
};

const withMarks = (depth: number, text: string): string =>
  depth === 0 ? text : `${'>'.repeat(depth)}${text === '' ? '' : ` ${text}`}`;
