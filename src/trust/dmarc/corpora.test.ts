/**
 * DMARC against two third-party corpora: what Fastmail's milter wrote into Authentication-Results (its words for SPF and
 * DKIM go in, its word for DMARC must come out; its words for SPF are checked too), and the DMARC cases of rspamd, with
 * our own DKIM and SPF.
 *
 * Both are of RFC 7489, with a public suffix list and pct; where RFC 9989 says otherwise the new expectation stands beside
 * the old.
 *
 * How many failed when the engine was broken once on purpose: every identifier aligned 8; a walk that
 * stops at the author's domain 5; an aligned identifier counts whatever its result 14.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { mailboxesOf, parseAddressList } from '#message/address';
import { beginDkim, type DkimOutcome, SignedMessage } from '#trust/dkim';
import type { Dns } from '#trust/dns';
import { checkSpf } from '#trust/spf';
import { corpora, notRun } from '../../../test/support/corpora.ts';
import { type Zone, type ZoneRecords, zoneDns } from '../../../test/support/dns-zone.ts';
import { checkDmarc, type DmarcResult } from './index.ts';

const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1);

/** Values of header fields of this name, unfolded. */
const fieldsOf = (message: string, name: RegExp): string[] => {
  const [header = ''] = message.split(/\r?\n\r?\n/, 1);
  const fields: string[] = [];
  for (const line of header.split(/\r?\n/)) {
    if (/^[ \t]/.test(line)) fields.push(`${fields.pop() ?? ''} ${line.trim()}`);
    else fields.push(line);
  }
  return fields.flatMap((field) => {
    const [, key = '', value = ''] = /^([^:\s]+)[ \t]*:(.*)$/s.exec(field) ?? [];
    return name.test(key) ? [value.trim()] : [];
  });
};

const authorsOf = (message: string): string[] =>
  fieldsOf(message, /^from$/i).flatMap((value) =>
    mailboxesOf(parseAddressList(value)).flatMap(({ domain }) => domain ?? []),
  );

// --- Fastmail

const fastmail = corpora('dmarc-fastmail');

/** As much of a zone file as this one uses. */
const readZoneFile = (text: string): Zone => {
  const zone: Record<string, { -readonly [Key in keyof ZoneRecords]: ZoneRecords[Key] }> = {};
  for (const line of text.split('\n')) {
    const [, name = '', type = '', data = ''] =
      /^([^\s;]+?)\.?\s+(?:\d+\s+)?(?:IN\s+)?(A|AAAA|MX|TXT|PTR|CNAME)\s+(.*)$/.exec(line) ?? [];
    if (name === '') continue;
    zone[name.toLowerCase()] ??= {};
    const records = zone[name.toLowerCase()] ?? {};
    const value = data.trim().replace(/\.$/, '');
    if (type === 'A') records.A = [...(records.A ?? []), value];
    else if (type === 'AAAA') records.AAAA = [...(records.AAAA ?? []), value];
    else if (type === 'PTR') records.PTR = [...(records.PTR ?? []), value];
    else if (type === 'CNAME') records.CNAME = value;
    else if (type === 'MX') {
      const [preference = '0', exchange = ''] = value.split(/\s+/);
      records.MX = [...(records.MX ?? []), [Number(preference), exchange]];
    } else {
      const strings = [...data.matchAll(/"([^"]*)"|([^\s()"]+)/g)].map(
        ([, quoted, bare]) => quoted ?? bare ?? '',
      );
      if (strings.length > 0) records.TXT = [...(records.TXT ?? []), strings];
    }
  }
  return zone;
};

/**
 * `From: "Dear Customer", <noreply@example.com>`: that milter says permerror, “no parseable from domain”. We see an author
 * at example.com, which has no record, and say none: else a name before the address would be a way around DMARC.
 */
const isUnread = /^spam_headers/;

/** The property behind a name in one method's part of the field. */
const property = (part: string, name: string): string | null =>
  new RegExp(`(?:^|\\s)${name}="?([^\\s";]*)"?`).exec(part)?.[1] ?? null;

test('Fastmail: 61 words for DMARC, 5 with another expectation, and 53 for SPF', {
  skip: fastmail === null ? notRun : false,
}, async () => {
  const folder = fastmail ?? '';
  const zone = readZoneFile(fs.readFileSync(path.join(folder, 'dns/zonefile'), 'latin1'));
  const failures: string[] = [];
  let [dmarcCount, spfCount] = [0, 0];
  for (const file of fs.readdirSync(path.join(folder, 'example')).sort()) {
    // The commands of an SMTP dialogue stand before some messages.
    const message = fs
      .readFileSync(path.join(folder, 'example', file), 'latin1')
      .replace(/^EHLO [\s\S]*?\nDATA\r?\n/, '')
      .replace(/^#+$\r?\n/gm, '');
    const dns = zoneDns(zone);
    // The topmost is the milter's; others came with the message.
    const [results = ''] = fieldsOf(message, /^authentication-results$/i);
    const parts = results.split(';').map((part) => part.trim());
    const of = (method: string): string[] => parts.filter((part) => part.startsWith(`${method}=`));
    const word = (part: string): string => /=([a-z]+)/.exec(part)?.[1] ?? '';

    const [spfPart] = of('spf');
    const mailFrom = spfPart === undefined ? '' : (property(spfPart, 'smtp.mailfrom') ?? '');
    const helo = spfPart === undefined ? '' : (property(spfPart, 'smtp.helo') ?? '');
    const [received = ''] = fieldsOf(message, /^received-spf$/i);
    const ip = /client-ip=([0-9a-f.:]+)/i.exec(received)?.[1];
    if (spfPart !== undefined && ip !== undefined) {
      spfCount++;
      const { result, reason } = await checkSpf({
        dns,
        ip,
        helo,
        mailFrom,
        receiver: 'test.module',
        nowMs: 0,
      });
      if (result !== word(spfPart))
        failures.push(`${file}: spf=${result} (${reason}), wanted ${word(spfPart)}`);
    }

    const verdicts = of('dmarc');
    const inputs = {
      dns,
      spf:
        spfPart === undefined
          ? null
          : { domain: domainOf(mailFrom === '' ? helo : mailFrom), result: word(spfPart) },
      dkim: of('dkim').flatMap((part) => {
        const domain = property(part, 'header.d');
        return domain === null
          ? []
          : [{ domain, selector: property(part, 'header.s') ?? '', result: word(part) }];
      }),
    };
    for (const part of verdicts) {
      dmarcCount++;
      const from = property(part, 'header.from');
      const told = await checkDmarc({ ...inputs, from: from === null ? authorsOf(message) : [from] });
      const wanted = [word(part), property(part, 'policy.published-domain-policy') ?? 'none'];
      const ours = [told.result, told.publishedPolicy ?? 'none'];
      if (isUnread.test(file) && ours.join() === 'none,none' && wanted[0] === 'permerror') continue;
      if (ours.join() !== wanted.join())
        failures.push(`${file}: dmarc=${ours} (${told.reason}), wanted ${wanted}`);
    }
    // Several authors in one message: the strictest of them.
    if (verdicts.length > 1) {
      const told = await checkDmarc({ ...inputs, from: authorsOf(message) });
      if (told.result !== 'fail' || told.policy !== 'reject')
        failures.push(`${file}: ${told.result} ${told.policy}`);
    }
  }
  assert.deepEqual(failures, []);
  assert.deepEqual([dmarcCount, spfCount], [61, 53]);
});

// --- rspamd

const rspamd = corpora('dmarc-rspamd');

interface FakeRecord {
  readonly name: string;
  readonly type: string;
  readonly replies: readonly string[];
  readonly rcode: string;
}

const rspamdZone = (records: readonly FakeRecord[]): Zone => {
  const zone: Record<string, { -readonly [Key in keyof ZoneRecords]: ZoneRecords[Key] }> = {};
  for (const { name, type, replies, rcode } of records) {
    if (rcode === 'nxdomain') continue;
    const key = name.toLowerCase();
    zone[key] ??= {};
    const each = zone[key] ?? {};
    const upper = type.toUpperCase() as 'A' | 'AAAA' | 'TXT' | 'MX' | 'PTR';
    if (rcode === 'timeout')
      each.fault = { ...(typeof each.fault === 'object' ? each.fault : {}), [upper]: 'TIMEOUT' };
    else if (upper === 'MX')
      each.MX = replies.map((reply) => {
        const [preference = '0', exchange = ''] = reply.split(' ');
        return [Number(preference), exchange] as const;
      });
    else if (upper === 'A' || upper === 'AAAA' || upper === 'TXT' || upper === 'PTR') each[upper] = replies;
  }
  return zone;
};

/** symbol → result and the policy that applies */
const symbols: Readonly<Record<string, string>> = {
  DMARC_POLICY_ALLOW: 'pass',
  DMARC_POLICY_REJECT: 'fail reject',
  DMARC_POLICY_QUARANTINE: 'fail quarantine',
  DMARC_POLICY_SOFTFAIL: 'fail none',
  DMARC_DNSFAIL: 'temperror',
  DMARC_NA: 'none',
};

const treeWalk =
  'RFC 9989 §4.10.2: mom.za.org has no DMARC record, so that it is not the organisational domain of names below it that have one; with a public suffix list it was';
const pct = 'RFC 9989 has no pct';
const newer: Readonly<Record<string, { readonly ours: string; readonly why: string }>> = {
  'DMARC SUBDOMAIN PASS DKIM RELAXED ALIGNMENT': { ours: 'fail reject', why: treeWalk },
  'DMARC SUBDOMAIN PASS SPF RELAXED ALIGNMENT': { ours: 'fail reject', why: treeWalk },
  'DMARC PCT ZERO REJECT': { ours: 'fail reject', why: pct },
  'DMARC PCT ZERO SP QUARANTINE': { ours: 'fail quarantine', why: pct },
};
/** not in the corpus: the message utf.eml; reports in Redis */
const without = ['DMARC NA NXDOMAIN'];

const checkMessage = async (
  dns: Dns,
  octets: Uint8Array,
  peer: { readonly ip: string; readonly from: string },
): Promise<DmarcResult> => {
  let finish = async (): Promise<DkimOutcome> => ({ results: [], uncheckedCount: 0 });
  const message = new SignedMessage((header, body) => {
    finish = beginDkim(header, body, { dns, nowMs: Date.UTC(2024, 0, 1) });
  });
  message.write(octets);
  message.end();
  const { results } = await finish();
  const spf = await checkSpf({
    dns,
    ip: peer.ip,
    helo: 'mail.example.net',
    mailFrom: peer.from,
    receiver: 'mx.fengni.test',
    nowMs: 0,
  });
  return checkDmarc({ dns, from: authorsOf(Buffer.from(octets).toString('latin1')), spf, dkim: results });
};

test('rspamd: 17 cases of DMARC, 4 with newer expectations', {
  skip: rspamd === null ? notRun : false,
}, async () => {
  const folder = rspamd ?? '';
  const read = (name: string): string => fs.readFileSync(path.join(folder, name), 'utf8');
  const zone = rspamdZone(JSON.parse(read('dns.json')) as FakeRecord[]);
  const cases = JSON.parse(read('cases.json')) as { file: string; name: string; steps: string[][] }[];
  const failures: string[] = [];
  let count = 0;
  for (const { file, name, steps } of cases) {
    const words = steps.flat();
    const symbol = words.find((each) => each in symbols);
    const eml = words.find((each) => each.endsWith('.eml'));
    if (file !== '115_dmarc' || symbol === undefined || eml === undefined || without.includes(name)) continue;
    count++;
    const argument = (key: string): string | undefined =>
      words
        .flatMap((each) => each.split(' '))
        .find((each) => each.startsWith(`${key}=`))
        ?.slice(key.length + 1);
    const octets = Buffer.from(
      fs.readFileSync(path.join(folder, path.basename(eml)), 'latin1').replaceAll(/\r?\n/g, '\r\n'),
      'latin1',
    );
    const peer = { ip: argument('IP') ?? '127.0.0.1', from: argument('From') ?? '' };
    const told = await checkMessage(zoneDns(zone), octets, peer);
    const ours = told.result === 'fail' ? `fail ${told.policy}` : told.result;
    const wanted = newer[name]?.ours ?? symbols[symbol];
    if (ours !== wanted || newer[name]?.ours === symbols[symbol])
      failures.push(`${name}: ${ours} (${told.reason}), wanted ${wanted}`);
  }
  assert.deepEqual(failures, []);
  assert.equal(count, 17);
});
