import type { HistogramSample } from '#net/metrics';
import { type Family, type FamilyName, families } from './families.ts';

export type Labels = Readonly<Record<string, string>>;

/** Samples of one answer, gathered by family. */
export interface Exposition {
  /** Adds to what the family has under these labels. */
  add(family: FamilyName, value: number, labels?: Labels): void;
  histogram(family: FamilyName, sample: HistogramSample, labels?: Labels): void;
  /** @param meaning a line about each family, in English */
  text(form: 'prometheus' | 'openmetrics', meaning: (family: FamilyName) => string): string;
}

/** What an answer is, by the form. @source Prometheus exposition formats; OpenMetrics 1.0 §3.3 */
export const contentTypes = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
} as const;

/** The form that a scraper asks for; the older one for everybody who does not say. @source RFC 9110 §12.5.1 */
export const askedForm = (accept: string): keyof typeof contentTypes =>
  /(?:^|,)\s*application\/openmetrics-text\s*(?:;|,|$)/i.test(accept.slice(0, 1_000))
    ? 'openmetrics'
    : 'prometheus';

interface Series {
  labels: Labels;
  value: number;
  histogram: HistogramSample | null;
}

export const createExposition = (): Exposition => {
  const all = new Map<FamilyName, Map<string, Series>>();
  const seriesOf = (family: FamilyName, labels: Labels): Series => {
    const own = all.get(family) ?? new Map<string, Series>();
    all.set(family, own);
    const key = JSON.stringify(families[family].labels.map((label: string) => labels[label] ?? ''));
    const known = own.get(key) ?? { labels, value: 0, histogram: null };
    own.set(key, known);
    return known;
  };
  return {
    add: (family, value, labels = {}) => {
      seriesOf(family, labels).value += value;
    },
    histogram: (family, sample, labels = {}) => {
      seriesOf(family, labels).histogram = sample;
    },
    text: (form, meaning) => {
      const lines: string[] = [];
      for (const name of Object.keys(families) as FamilyName[]) {
        const own = all.get(name);
        if (own === undefined) continue;
        const family: Family = families[name];
        // OpenMetrics §5.1.1: the family of a counter has no "_total", its samples have it.
        const title = form === 'openmetrics' ? name.replace(/_total$/, '') : name;
        lines.push(`# HELP ${title} ${escapeHelp(meaning(name), form)}`, `# TYPE ${title} ${family.type}`);
        if (form === 'openmetrics' && (family.unit === 'seconds' || family.unit === 'bytes'))
          if (title.endsWith(`_${family.unit}`)) lines.push(`# UNIT ${title} ${family.unit}`);
        for (const series of own.values()) lines.push(...sampleLines(name, family, series));
      }
      if (form === 'openmetrics') lines.push('# EOF');
      return `${lines.join('\n')}\n`;
    },
  };
};

const sampleLines = (name: string, family: Family, { labels, value, histogram }: Series): string[] => {
  const own = family.labels.map((label): [string, string] => [label, labels[label] ?? '']);
  if (histogram === null) return [`${name}${labelText(own)} ${number(value)}`];
  let count = 0;
  const buckets = histogram.counts.map((each, at) => {
    count += each;
    const bound = histogram.bounds[at];
    return `${name}_bucket${labelText([...own, ['le', bound === undefined ? '+Inf' : number(bound)]])} ${count}`;
  });
  return [
    ...buckets,
    `${name}_sum${labelText(own)} ${number(histogram.sum)}`,
    `${name}_count${labelText(own)} ${count}`,
  ];
};

const labelText = (labels: readonly (readonly [string, string])[]): string =>
  labels.length === 0
    ? ''
    : `{${labels.map(([name, value]) => `${name}="${escapeValue(value)}"`).join(',')}}`;

const escapeValue = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

const escapeHelp = (text: string, form: 'prometheus' | 'openmetrics'): string => {
  const plain = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return form === 'openmetrics' ? plain.replaceAll('"', '\\"') : plain;
};

const number = (value: number): string =>
  Number.isFinite(value) ? String(value) : value > 0 ? '+Inf' : 'NaN';
