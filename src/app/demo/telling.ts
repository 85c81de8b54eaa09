import { type Language, say } from '#base/text';
import { cellsOf, padCells, wrap } from './layout.ts';
import type { EvidenceName, StepName } from './words.ts';

/** What a step showed, told or failed with; what `--json` prints. */
export interface StepRecord {
  step: StepName;
  title: string;
  says: string;
  good: boolean;
  /** what it proves; null when it failed */
  proves: string | null;
  failure: string | null;
  evidence: Readonly<Record<string, string | readonly string[]>>;
}

export interface Screen {
  write(text: string): void;
  columns: number;
  color: boolean;
}

const columnsMax = 100;
const columnsMin = 40;
const codes = { bold: '1', dim: '2', green: '32', red: '31', yellow: '33', cyan: '36' } as const;
type Color = keyof typeof codes;

/** Tells the story as it happens; keeps it for `--json`. */
export class Telling {
  readonly records: StepRecord[] = [];
  readonly #language: Language;
  /** null: nobody reads along */
  readonly #screen: Screen | null;
  readonly #columns: number;
  readonly #labelCells: number;
  readonly #count: number;

  constructor(language: Language, screen: Screen | null, steps: number, evidence: readonly EvidenceName[]) {
    this.#language = language;
    this.#screen = screen;
    this.#count = steps;
    this.#columns = Math.min(columnsMax, Math.max(columnsMin, screen?.columns ?? columnsMax));
    this.#labelCells = Math.max(...evidence.map((name) => cellsOf(say(language, `demo.evidence.${name}`))));
  }

  paragraph(text: string, color?: Color): void {
    for (const line of wrap(text, this.#columns)) this.#line(this.#paint(line, color));
  }

  blank(): void {
    this.#line('');
  }

  /** A command and what it is for. */
  hint(command: string, text: string): void {
    this.#line(`  ${this.#paint(command, 'cyan')}`);
    for (const line of wrap(text, this.#columns - 6)) this.#line(`      ${line}`);
  }

  begin(step: StepName, says: string): void {
    const title = say(this.#language, `demo.step.${step}.title`);
    this.records.push({ step, title, says, good: false, proves: null, failure: null, evidence: {} });
    this.blank();
    const number = `${this.records.length}/${this.#count}`;
    this.#line(`${this.#paint(number, 'dim')}  ${this.#paint(title, 'bold')}`);
    this.#indented(says);
  }

  /**
   * One piece of evidence: a line, or several.
   *
   * @param onScreen where that is too much for a person: what is shown instead of all
   */
  show(
    name: EvidenceName,
    value: string | readonly string[],
    color?: Color,
    onScreen: string | readonly string[] = value,
  ): void {
    const record = this.#last();
    record.evidence = { ...record.evidence, [name]: value };
    const label = say(this.#language, `demo.evidence.${name}`);
    const room = this.#columns - 5 - this.#labelCells - 2;
    const lines = (typeof onScreen === 'string' ? [onScreen] : onScreen).flatMap((line) => wrap(line, room));
    lines.forEach((line, at) => {
      const first = padCells(at === 0 ? label : '', this.#labelCells);
      this.#line(`     ${this.#paint(first, 'dim')}  ${this.#paint(line, color)}`);
    });
  }

  proved(proves: string): void {
    const record = this.#last();
    record.good = true;
    record.proves = proves;
    this.#indented(proves, '✔', 'green');
  }

  failed(failure: string): void {
    this.#last().failure = failure;
    this.#indented(`${say(this.#language, 'demo.failed')} ${failure}`, '✘', 'red');
  }

  #last(): StepRecord {
    const record = this.records.at(-1);
    if (record === undefined) throw new TypeError('evidence belongs to a step');
    return record;
  }

  #indented(text: string, mark = ' ', color?: Color): void {
    const lines = text.split('\n').flatMap((line) => wrap(line, this.#columns - 5));
    lines.forEach((line, at) => {
      this.#line(`   ${this.#paint(at === 0 ? mark : ' ', color)} ${this.#paint(line, color)}`);
    });
  }

  #paint(text: string, color?: Color): string {
    if (color === undefined || this.#screen?.color !== true || text.trim() === '') return text;
    return `\x1b[${codes[color]}m${text}\x1b[0m`;
  }

  #line(text: string): void {
    this.#screen?.write(`${text.trimEnd()}\n`);
  }
}
