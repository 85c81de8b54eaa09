/**
 * The conformance suite of openspf (RFC 7208), its edition of 2014-05, the older one for RFC 4408, and the cases that
 * pyspf added.
 *
 * How many failed, of all files together, when the engine was broken once on purpose: 11 look-ups allowed 3; include matching
 * softfail and neutral too 6; DNS that fails as permerror 15.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { corpora, notRun } from '../../../test/support/corpora.ts';
import { type Zone, type ZoneRecords, type ZoneType, zoneDns } from '../../../test/support/dns-zone.ts';
import { parseYamlDocuments, type Yaml } from '../../../test/support/small-yaml.ts';
import { checkSpf } from './index.ts';

type YamlMap = { readonly [key: string]: Yaml };

interface Scenario {
  readonly tests: Readonly<Record<string, YamlMap>>;
  readonly zonedata: YamlMap;
}

const folder = corpora('spf-openspf');
const skip = folder === null ? notRun : false;

const scenarios = (file: string): Scenario[] =>
  parseYamlDocuments(fs.readFileSync(path.join(folder ?? '', file), 'utf8')).map(
    (document) => document as unknown as Scenario,
  );

const types: readonly ZoneType[] = ['A', 'AAAA', 'MX', 'TXT', 'PTR', 'NS'];

/** A record of type SPF stands for TXT unless the name has TXT itself; TIMEOUT is for the types that are not there. */
const zoneOf = (data: YamlMap): Zone =>
  Object.fromEntries(
    Object.entries(data).map(([name, entries]): [string, ZoneRecords] => {
      const all = [entries].flat();
      const of = (type: string): Yaml[] =>
        all.flatMap((entry) => {
          const value = typeof entry === 'object' && !Array.isArray(entry) ? entry[type] : undefined;
          return value === undefined ? [] : [value];
        });
      const txt = (of('TXT').length > 0 ? of('TXT').filter((value) => value !== 'NONE') : of('SPF')) as (
        | string
        | string[]
      )[];
      const records = {
        A: of('A') as string[],
        AAAA: of('AAAA') as string[],
        MX: of('MX').map((value) => {
          const [preference = '0', exchange = ''] = value as string[];
          return [Number(preference), exchange] as const;
        }),
        TXT: txt,
        PTR: of('PTR') as string[],
        NS: of('NS') as string[],
      };
      const cname = of('CNAME')[0] as string | undefined;
      const silent = all.includes('TIMEOUT') ? types.filter((type) => records[type].length === 0) : [];
      return [
        name,
        {
          ...records,
          ...(cname === undefined ? {} : { CNAME: cname }),
          fault: Object.fromEntries(silent.map((type) => [type, 'TIMEOUT'])),
        },
      ];
    }),
  );

/** Cases that come out otherwise, each with what we say and why. */
const departures: Readonly<Record<string, { readonly ours: string; readonly why: string }>> = {
  'pyspf/test.yml default-modifier': {
    ours: 'neutral',
    why: 'default= is of drafts before RFC 4408; RFC 7208 §6 has unknown modifiers ignored',
  },
  'pyspf/test.yml default-modifier-harsh': {
    ours: 'neutral',
    why: 'the same; “ambiguous” is a result of that library only',
  },
};

const runFile = async (file: string): Promise<{ count: number; failures: string[] }> => {
  const failures: string[] = [];
  let count = 0;
  for (const { tests, zonedata } of scenarios(file)) {
    const zone = zoneOf(zonedata);
    for (const [name, case_] of Object.entries(tests)) {
      count++;
      const result = await checkSpf({
        dns: zoneDns(zone),
        ip: String(case_['host']),
        helo: String(case_['helo']),
        mailFrom: String(case_['mailfrom'] ?? ''),
        receiver: String(case_['receiver'] ?? 'unknown'),
        nowMs: 0,
      });
      const wanted = [case_['result']].flat();
      const explanation = case_['explanation'];
      const told = result.explanation ?? 'DEFAULT';
      let ours: string = result.result;
      let isRight = wanted.includes(ours);
      if (isRight && ours === 'fail' && explanation !== undefined && told !== explanation) {
        ours += ` (${told})`;
        isRight = false;
      }
      const departure = departures[`${file} ${name}`];
      if (isRight === (departure !== undefined) || (departure !== undefined && departure.ours !== ours))
        failures.push(
          `${file} ${name}: ${ours} (${result.reason}); wanted ${wanted.join(' or ')} ${explanation ?? ''}`,
        );
    }
  }
  return { count, failures };
};

for (const [file, cases] of [
  ['rfc7208-tests.yml', 200],
  ['rfc7208-tests-2014-05.yml', 193],
  ['pyspf/rfc4408-tests.yml', 191],
  ['pyspf/test.yml', 16],
] as const) {
  test(`SPF: ${cases} cases of ${file} (RFC 7208)`, { skip }, async () => {
    const { count, failures } = await runFile(file);
    assert.deepEqual(failures, []);
    assert.equal(count, cases);
  });
}
