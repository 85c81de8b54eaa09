/** One sample of `/metrics`. */
export interface Sample {
  name: string;
  labels: Readonly<Record<string, string>>;
  value: number;
}

export interface MetricFamily {
  type: string;
  help: string;
  samples: Sample[];
}

const nameForm = '[a-zA-Z_][a-zA-Z0-9_]*';

/**
 * Reads Prometheus text 0.0.4 or OpenMetrics 1.0 as strictly as their texts are written: HELP and TYPE once and before the samples of a
 * family, families together, no series twice, histograms cumulative with `+Inf` equal to `_count`, values that are numbers.
 *
 * @throws {Error} with the line
 */
export const parseMetrics = (text: string, form: 'prometheus' | 'openmetrics'): Map<string, MetricFamily> => {
  const families = new Map<string, MetricFamily>();
  const seen = new Set<string>();
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const lines = text.slice(0, -1).split('\n');
  if (form === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('OpenMetrics ends in # EOF');
  let current = '';
  for (const line of lines) {
    const wrong = (why: string): Error => new Error(`${why}: ${line}`);
    if (line.startsWith('#')) {
      const [, keyword, name = '', rest = ''] =
        new RegExp(`^# (HELP|TYPE|UNIT) (${nameForm}) (.+)$`).exec(line) ?? [];
      if (keyword === undefined) throw wrong('no comment that there is');
      if (keyword === 'HELP') {
        if (families.has(name)) throw wrong('a family twice');
        if (rest.replace(/\\[\\n"]/g, '').includes('\\')) throw wrong('a backslash that escapes nothing');
        families.set(name, { type: '', help: rest, samples: [] });
        current = name;
        continue;
      }
      const family = families.get(name);
      if (name !== current || family === undefined || family.samples.length > 0) throw wrong('out of place');
      if (keyword === 'UNIT') {
        if (form !== 'openmetrics' || !name.endsWith(`_${rest}`))
          throw wrong('a unit that is not in the name');
        continue;
      }
      if (!/^(?:counter|gauge|histogram)$/.test(rest) || family.type !== '') throw wrong('no type');
      family.type = rest;
      continue;
    }
    const [, name = '', , labelText = '', valueText = ''] =
      new RegExp(`^(${nameForm})(\\{(.*)\\})? ([^ ]+)$`).exec(line) ?? [];
    const family = families.get(current);
    if (name === '' || family === undefined) throw wrong('no sample');
    if (!namesOf(current, family.type, form).includes(name)) throw wrong('a sample of another family');
    const labels: Record<string, string> = {};
    let left = labelText;
    while (left !== '') {
      const [whole, label = '', value = ''] =
        new RegExp(`^(${nameForm})="((?:[^"\\\\\\n]|\\\\["\\\\n])*)"(?:,(?=.)|$)`).exec(left) ?? [];
      if (whole === undefined || label in labels) throw wrong('labels');
      labels[label] = value;
      left = left.slice(whole.length);
    }
    const value = valueText === '+Inf' ? Number.POSITIVE_INFINITY : Number(valueText);
    if (!/^(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|\+Inf)$/i.test(valueText) || Number.isNaN(value))
      throw wrong('no number');
    if (family.type !== 'gauge' && value < 0) throw wrong('a count below zero');
    const key = `${name} ${JSON.stringify(Object.entries(labels).sort())}`;
    if (seen.has(key)) throw wrong('a series twice');
    seen.add(key);
    family.samples.push({ name, labels, value });
  }
  for (const [name, family] of families) {
    if (family.type === '' || family.samples.length === 0)
      throw new Error(`${name}: without type or samples`);
    if (family.type === 'histogram') checkHistograms(name, family.samples);
  }
  return families;
};

const namesOf = (family: string, type: string, form: 'prometheus' | 'openmetrics'): string[] => {
  if (type === 'histogram') return ['bucket', 'sum', 'count'].map((part) => `${family}_${part}`);
  return [type === 'counter' && form === 'openmetrics' ? `${family}_total` : family];
};

const checkHistograms = (name: string, samples: readonly Sample[]): void => {
  const series = new Map<string, { last: number; bound: number; count: number | null }>();
  for (const { name: own, labels, value } of samples) {
    const { le, ...others } = labels;
    const key = JSON.stringify(others);
    const known = series.get(key) ?? { last: 0, bound: Number.NEGATIVE_INFINITY, count: null };
    series.set(key, known);
    if (own.endsWith('_bucket')) {
      const bound = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le);
      if (!(bound > known.bound) || value < known.last) throw new Error(`${name}: buckets do not ascend`);
      known.bound = bound;
      known.last = value;
    } else if (own.endsWith('_count')) known.count = value;
  }
  for (const { last, bound, count } of series.values())
    if (bound !== Number.POSITIVE_INFINITY || count !== last)
      throw new Error(`${name}: +Inf is not the count`);
};
