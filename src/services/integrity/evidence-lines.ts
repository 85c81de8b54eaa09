/** A line of a text that `ses`, `env` or `aut` commits to, its name and its value. @source docs/formats/leaf.md, “Evidence” */
export type EvidenceLine = readonly [name: string, value: string];

/** The lines of such a text; the escapes `\xHH` of controls stay, so that a value remains one line. */
export const evidenceLines = (text: string): EvidenceLine[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const blank = line.indexOf(' ');
      return blank < 0 ? [line, ''] : [line.slice(0, blank), line.slice(blank + 1)];
    });

/** The first value of a name, or null. */
export const evidenceValue = (lines: readonly EvidenceLine[], name: string): string | null =>
  lines.find(([own]) => own === name)?.[1] ?? null;
