import { openReadOnly, type ReadOnlyData } from '#app/connect';
import { openDns } from '#app/dns';
import { FengniError } from '#base/errors';
import { say } from '#base/text';
import { parseEnvelopeAddress } from '#message/address';
import type { Command, CommandContext } from '../command.ts';
import { subcommand } from '../subcommands.ts';
import { fieldLines, shownTime } from './field-lines.ts';
import {
  checkDmarcRecord,
  checkHost,
  checkMx,
  checkSpfRecord,
  type HostVerdict,
  type RecordVerdict,
} from './live-dns.ts';
import { withWriter } from './with-writer.ts';

const names = ['add', 'list', 'show', 'dns'] as const;

/** `fengni domain add|list|show|dns` */
export const command: Command = {
  usage: (language) => say(language, 'domain.usage'),
  options: {},
  run: async (context) => {
    const name = subcommand('domain', context, names);
    if (name === 'list') {
      context.argsMax(1);
      await list(context);
      return 0;
    }
    const domain = context.arg(1, 'D');
    context.argsMax(2);
    switch (name) {
      case 'add': {
        const added = await withWriter(context, (writer) =>
          writer.call<{ domain: string }>('domainAdd', { domain }),
        );
        context.print(context.say('domain.added', added));
        if (context.json) context.printJson(added);
        return 0;
      }
      case 'show':
        await show(context, domain);
        return 0;
      case 'dns':
        return dns(context, domain);
    }
  },
};

const list = async (context: CommandContext): Promise<void> => {
  const data = await openReadOnly(await context.dataFolder());
  try {
    const domains = data.directory
      .rows('domain')
      .map(({ key, value }) => ({ domain: key, createdMs: value['createdMs'] as number }));
    for (const { domain } of domains) context.print(domain);
    if (domains.length === 0) context.print(context.say('domain.none'));
    if (context.json) context.printJson(domains);
  } finally {
    data.close();
  }
};

/** The domain in A-labels as the log has it. @throws {FengniError} `domain-refused` */
const known = ({ directory }: ReadOnlyData, domain: string): { domain: string; createdMs: number } => {
  const ascii = parseEnvelopeAddress(`postmaster@${domain}`)?.asciiDomain ?? domain;
  const row = directory.row('domain', ascii);
  if (row !== null) return { domain: ascii, createdMs: row['createdMs'] as number };
  throw new FengniError('domain-refused', {
    subject: `${domain} is no domain of this server`,
    remedy: 'see "fengni domain list", or add it: fengni domain add D',
    exitStatus: 2,
  });
};

const show = async (context: CommandContext, given: string): Promise<void> => {
  const data = await openReadOnly(await context.dataFolder());
  try {
    const { domain, createdMs } = known(data, given);
    const within = (table: string): string[] =>
      data.directory
        .rows(table)
        .map(({ key }) => key)
        .filter((key) => key.endsWith(`@${domain}`));
    const [accounts, aliases] = [within('account'), within('alias')];
    context.print(domain);
    for (const line of fieldLines([
      [context.say('domain.field.since'), shownTime(createdMs)],
      [context.say('domain.field.accounts'), accounts.join(', ') || '-'],
      [context.say('domain.field.aliases'), aliases.join(', ') || '-'],
    ]))
      context.print(line);
    if (context.json) context.printJson({ domain, createdMs, accounts, aliases });
  } finally {
    data.close();
  }
};

/** Names that the public DNS will never have. @source RFC 2606 §2, RFC 6761, RFC 6762, RFC 8375 */
const localTlds = ['test', 'example', 'invalid', 'localhost', 'local', 'internal', 'home.arpa'];

const dns = async (context: CommandContext, given: string): Promise<0 | 1 | 3> => {
  const config = await context.config();
  const data = await openReadOnly(await context.dataFolder());
  let domain: string;
  try {
    ({ domain } = known(data, given));
  } finally {
    data.close();
  }
  const { hostname } = config.server;
  const records = [{ name: `${domain}.`, ttl: 3_600, type: 'MX', value: `10 ${hostname}.` }];
  context.print(context.say('domain.dns.zone', { domain }));
  for (const { name, ttl, type, value } of records) context.print(`${name} ${ttl} IN ${type} ${value}`);
  context.print(context.say('domain.dns.receives-only'));
  const tld = localTlds.find((name) => domain === name || domain.endsWith(`.${name}`));
  if (tld !== undefined) {
    if (context.json) context.printJson({ domain, records, mx: { kind: 'local' } });
    context.print(context.say('domain.dns.local', { tld }));
    return 0;
  }
  const client = openDns(config);
  const [mx, host, spf, dmarc] = await Promise.all([
    checkMx(client, domain, hostname),
    checkHost(client, hostname),
    checkSpfRecord(client, domain),
    checkDmarcRecord(client, domain),
  ]);
  client.close();
  if (context.json) context.printJson({ domain, records, mx, host, spf, dmarc });
  switch (mx.kind) {
    case 'live':
      context.print(context.say('domain.dns.live'));
      break;
    case 'absent':
      context.print(context.say('domain.dns.absent'));
      break;
    case 'other':
      context.print(context.say('domain.dns.other', { found: mx.found.join(', ') }));
      break;
    case 'unavailable': {
      // The zone stands there: that nobody could be asked is told beside it.
      const fault = context.say('domain.dns.unavailable', { reason: mx.reason });
      context.stderr.write(`fengni: ${fault}\n`);
    }
  }
  context.print(context.say('domain.dns.published', { domain }));
  for (const line of fieldLines([
    [context.say('domain.dns.field.host', { hostname }), hostText(context, host)],
    [context.say('domain.dns.field.spf'), recordText(context, spf)],
    [context.say('domain.dns.field.dmarc'), recordText(context, dmarc)],
  ]))
    context.print(line);
  if (mx.kind === 'unavailable') return 3;
  const isGood =
    mx.kind === 'live' &&
    !(host.kind === 'found' && host.addresses.length === 0) &&
    [spf, dmarc].every(({ kind }) => kind !== 'bad' && kind !== 'several');
  return isGood ? 0 : 1;
};

const hostText = (context: CommandContext, host: HostVerdict): string => {
  if (host.kind === 'unavailable') return context.say('domain.dns.not-known', { why: host.reason });
  return host.addresses.length > 0 ? host.addresses.join(', ') : context.say('domain.dns.host-absent');
};

const recordText = (context: CommandContext, record: RecordVerdict): string => {
  switch (record.kind) {
    case 'good':
      return record.text;
    case 'none':
      return context.say('domain.dns.none');
    case 'several':
      return context.say('domain.dns.several', { count: record.count });
    case 'bad':
      return context.say('domain.dns.bad', { why: record.why, text: record.text });
    case 'unavailable':
      return context.say('domain.dns.not-known', { why: record.reason });
  }
};
