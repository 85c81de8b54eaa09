/** What is said about DNS: the resolvers in "fengni status", and what is published for a domain. */
export const dns = {
  'status.field.dns': 'DNS',
  'status.dns.validates': '{resolvers}: answers are checked by DNSSEC',
  'status.dns.does-not-validate': '{resolvers}: answers are NOT checked by DNSSEC',
  'status.dns.not-trusted':
    '{resolvers}: they say that they check by DNSSEC, but anybody on the way to them could say so',
  'status.dns.unavailable': '{resolvers}: NO ANSWER',
  'status.todo.dns.does-not-validate':
    'let a validating resolver run on this machine (apt install unbound) and name it: [dns] resolvers = ["127.0.0.1:53"]; until then a forged DNS answer can change what SPF, DKIM and DMARC say',
  'status.todo.dns.not-trusted':
    'let a validating resolver run on this machine, or, where nobody else can reach the way to it, set [dns] trust_ad = true',
  'status.todo.dns.unavailable':
    'look at /etc/resolv.conf or [dns] resolvers: without DNS nobody can be told who really sent a mail',
  'domain.dns.field.host': 'addresses of {hostname}',
  'domain.dns.field.spf': 'SPF',
  'domain.dns.field.dmarc': 'DMARC',
  'domain.dns.published': 'live; published for {domain}:',
  'domain.dns.none': 'none',
  'domain.dns.host-absent': 'none: nobody can reach this server by its name',
  'domain.dns.bad': 'BROKEN: {why}: {text}',
  'domain.dns.several': 'BROKEN: {count} records where only one may be',
  'domain.dns.not-known': 'could not be asked: {why}',
} as const;
