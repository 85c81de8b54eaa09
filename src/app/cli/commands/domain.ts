import { openReadOnly, type ReadOnlyData } from '#app/connect';
import { FengniError } from '#base/errors';
import { say } from '#base/text';
import { parseEnvelopeAddress } from '#message/address';
import type { Command, CommandContext } from '../command.ts';
import { subcommand } from '../subcommands.ts';
import { fieldLines, shownTime } from './field-lines.ts';
import { checkMx, type MxVerdict } from './mx-check.ts';
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
  const verdict: MxVerdict | { kind: 'local' } =
    tld === undefined ? await checkMx(domain, hostname, config.dns.resolvers) : { kind: 'local' };
  if (context.json) context.printJson({ domain, records, mx: verdict });
  switch (verdict.kind) {
    case 'local':
      context.print(context.say('domain.dns.local', { tld: tld ?? '' }));
      return 0;
    case 'live':
      context.print(context.say('domain.dns.live'));
      return 0;
    case 'absent':
      context.print(context.say('domain.dns.absent'));
      return 1;
    case 'other':
      context.print(context.say('domain.dns.other', { found: verdict.found.join(', ') }));
      return 1;
    case 'unavailable': {
      // The zone stands there: that nobody could be asked is told beside it.
      const fault = context.say('domain.dns.unavailable', { reason: verdict.reason });
      context.stderr.write(`fengni: ${fault}\n`);
      return 3;
    }
  }
};
