import type { Language } from '#base/text';
import * as kinds from './kinds.ts';
import { type ServiceName, serviceNames, type TlsMode } from './services.ts';

/** One setting: its key in `fengni.toml`, the kind of its value, its default and its meaning. */
export interface Setting<Value> {
  readonly key: string;
  readonly kind: kinds.Kind<Value>;
  /** as it would stand in the file; null where there is none */
  readonly fallback: unknown;
  readonly about: Readonly<Record<Language, string>>;
  /** known, but without effect in this version */
  readonly isLater: boolean;
}

const setting = <Value>(
  key: string,
  kind: kinds.Kind<Value>,
  fallback: unknown,
  en: string,
  zh: string,
): Setting<Value> => ({ key, kind, fallback, about: { en, zh }, isLater: false });

/** A setting that may be left out altogether: its value is then null. */
const optional = <Value>(
  key: string,
  kind: kinds.Kind<Value>,
  en: string,
  zh: string,
): Setting<Value | null> => setting<Value | null>(key, kind, null, en, zh);

const later = <Value>(what: Setting<Value>): Setting<Value> => ({ ...what, isLater: true });

/** Sections that stand once, as `[name]`. The names on the left are the ones in the source, with their units. */
export const sections = {
  server: {
    hostname: setting(
      'hostname',
      kinds.hostname,
      'mail.fengni.test',
      'Name that this server gives itself: in its greeting, in Received and Authentication-Results fields, in receipts. Must be the name that its IP address and its certificate have.',
      '本服务器的自称：出现在问候语、Received 与 Authentication-Results 字段以及凭据中。应与其 IP 地址和证书的名字一致。',
    ),
    data: setting(
      'data',
      kinds.path,
      './data',
      'Data folder; everything that Fengni keeps is in it. In the file, a relative path starts at the folder of the file. --data wins over it.',
      '数据目录，封泥保存的一切都在其中。写在文件里的相对路径从该文件所在目录算起。--data 优先于它。',
    ),
    user: optional(
      'user',
      kinds.text,
      'User that the server becomes when it is started as root. Left out: the owner of the data folder, else user "fengni".',
      '以 root 启动时切换到的用户。不写则为数据目录的所有者，否则为用户 fengni。',
    ),
  },
  sealer: {
    socket: optional(
      'socket',
      kinds.path,
      'Socket of a sealer that is a service of its own ("fengni sealer"), under a user of its own. Left out: the server starts a sealer itself, as one of its processes.',
      '作为独立服务、以独立用户运行的封印进程（“fengni sealer”）的套接字。不写则由服务器自己启动封印进程。',
    ),
  },
  dns: {
    resolvers: setting(
      'resolvers',
      kinds.list(kinds.endpoint, { min: 0, max: 8 }),
      [],
      'DNS resolvers to ask, the first one first; they must look further themselves (recursion). Empty: those of /etc/resolv.conf, as they were when the server started. Best is a validating resolver on this machine, such as unbound.',
      '要询问的 DNS 解析器，按所写顺序；它们须自行递归查询。为空则用服务器启动时 /etc/resolv.conf 中的。最好是本机上做验证的解析器，例如 unbound。',
    ),
    trustAd: setting(
      'trust_ad',
      kinds.boolean,
      false,
      'Whether to believe these resolvers when they say that an answer was checked by DNSSEC; only where nobody can change answers on the way. A resolver on loopback is believed anyway.',
      '是否相信这些解析器关于“已通过 DNSSEC 验证”的说法；只应在途中无人能篡改应答时打开。本机回环上的解析器总被相信。',
    ),
  },
  authentication: {
    dmarc: setting(
      'dmarc',
      kinds.choice('obey', 'junk', 'report'),
      'obey',
      'What is done with mail for whose author nobody vouches, where the author’s domain asks for it (DMARC): "obey" refuses or puts it into Junk as asked, "junk" refuses nothing, "report" only writes down what was found.',
      '作者的域要求（DMARC）而无人为作者担保的邮件如何处理：“obey” 按要求拒收或放入 Junk；“junk” 从不拒收；“report” 只记录结果。',
    ),
    forgedResults: setting(
      'forged_results',
      kinds.choice('keep', 'reject'),
      'keep',
      'What is done with a message that already has an Authentication-Results field in the name of this server. It stays what it is, below Fengni-Seal, and is believed by nobody; "reject" refuses the message.',
      '邮件自带以本服务器名义写的 Authentication-Results 字段时如何处理。该字段原样留在 Fengni-Seal 之下，无人采信；“reject” 则拒收整封邮件。',
    ),
    exempt: setting(
      'exempt',
      kinds.list(kinds.network, { min: 0, max: 64 }),
      [],
      'Networks of relays and programs of your own: of their mail only signatures are checked, since their address says nothing about the sender. LMTP and Unix sockets are such anyway, until XCLIENT says who is behind them; mail from this machine in the name of its own domains is never refused.',
      '自己的中继与程序所在的网段：其邮件只核验签名，因为它们的地址并不说明发件人是谁。LMTP 与 Unix 套接字本就如此，除非 XCLIENT 说明背后是谁；本机以自己的域发出的邮件从不被拒收。',
    ),
    trustedSealers: setting(
      'trusted_sealers',
      kinds.list(kinds.hostname, { min: 0, max: 256 }),
      [],
      'Domains of relays and mailing lists whose ARC seal is believed: where the last sealer of a chain that holds is one of them, mail that DMARC would have refused goes to Junk instead.',
      '其 ARC 封缄被采信的中继与邮件列表的域：有效链条的最后封缄者在此列时，DMARC 本会拒收的邮件改为放入 Junk。',
    ),
  },
  smtp: {
    sizeBytesMax: setting(
      'size_max',
      kinds.size('64KiB', '1GiB'),
      '50MiB',
      'Largest message taken; a larger one gets 552 5.3.4.',
      '可接收的最大邮件；更大的得到 552 5.3.4。',
    ),
    recipientsMax: setting(
      'recipients_max',
      kinds.integer(100, 10_000),
      1_000,
      'Most recipients of one message; a further one gets 452 4.5.3.',
      '一封邮件的收件人上限；再多的得到 452 4.5.3。',
    ),
    binarymime: setting(
      'binarymime',
      kinds.boolean,
      false,
      'Whether to announce BINARYMIME (RFC 3030). A message that came so can be relayed only to servers that take it too.',
      '是否宣告 BINARYMIME（RFC 3030）。以此方式收到的邮件只能转发给同样支持它的服务器。',
    ),
    xclientFrom: setting(
      'xclient_from',
      kinds.list(kinds.network, { min: 0, max: 64 }),
      [],
      'Networks of relays in front of this server (Postfix: smtp_send_xforward_command, or an XCLIENT proxy) that may say who is behind them. What they say stands in Received with the relay that said it; sessions and rates are counted by the relay’s own address, so name it in [limits] trusted too. Peers of a Unix socket always may.',
      '本服务器前置中继所在的网段（Postfix：smtp_send_xforward_command，或 XCLIENT 代理），它们可说明背后的对端是谁。所说内容连同作此说明的中继一起写入 Received；会话与频率仍按中继自己的地址计数，因此也应写进 [limits] trusted。Unix 套接字的对端总可以。',
    ),
    greetPauseMs: setting(
      'greet_pause',
      kinds.duration('0s', '30s'),
      '2s',
      'How long a peer that is not known yet waits for the greeting; one that speaks before it gets 554 and is closed. Who waited once is remembered for a day; [limits] trusted and TLS from the start never wait. 0s: nobody waits.',
      '尚不认识的对端等待问候语的时间；提前说话的得到 554 并被关闭。等待过一次的会被记住一天；[limits] trusted 中的地址和一开始就用 TLS 的连接从不等待。0s 表示都不等待。',
    ),
  },
  sendmail: {
    domain: optional(
      'domain',
      kinds.hostname,
      'Domain that "fengni sendmail" gives to names without one: root becomes root@DOMAIN. Left out: the host name without its first part.',
      '“fengni sendmail”给没有域的名字加上的域：root 成为 root@域。不写则为去掉第一段的主机名。',
    ),
  },
  delivery: {
    port: later(setting('port', kinds.port, 25, 'Port of other mail servers.', '其他邮件服务器的端口。')),
    smartHost: later(
      optional(
        'smart_host',
        kinds.hostPort,
        'Relay that takes all outgoing mail, instead of the recipients’ own servers.',
        '接收全部外发邮件的中继，代替收件人自己的服务器。',
      ),
    ),
    retryAfterMs: later(
      setting(
        'retry',
        kinds.list(kinds.duration('1s', '7d'), { min: 1, max: 50 }),
        ['5m', '15m', '30m', '1h', '2h', '4h'],
        'Waits between attempts to deliver; the last one is repeated.',
        '各次投递尝试之间的等待；最后一个会重复使用。',
      ),
    ),
  },
  limits: {
    trusted: setting(
      'trusted',
      kinds.list(kinds.network, { min: 0, max: 256 }),
      ['127.0.0.0/8', '::1'],
      'Networks whose sessions are counted but never refused for their number or rate. Wrong passwords count everywhere.',
      '来自这些网段的会话只计数，不因数量或频率被拒绝。密码错误在任何地方都计数。',
    ),
    sessionsPerAddress: setting(
      'sessions_per_address',
      kinds.integer(1, 100_000),
      50,
      'Most sessions at the same time from one IPv4 address or one IPv6 /64; further ones get 421 4.7.0.',
      '一个 IPv4 地址或一个 IPv6 /64 的同时会话数上限；再多的得到 421 4.7.0。',
    ),
    sessionsPerSecond: setting(
      'sessions_per_second',
      kinds.integer(1, 100_000),
      10,
      'Most new sessions a second from one IPv4 address or one IPv6 /64.',
      '一个 IPv4 地址或一个 IPv6 /64 每秒的新会话数上限。',
    ),
    imapSessionsPerAccount: setting(
      'imap_sessions_per_account',
      kinds.integer(1, 10_000),
      40,
      'Most IMAP sessions of one account at the same time.',
      '一个账户的同时 IMAP 会话数上限。',
    ),
    freeBytesMin: setting(
      'free_min',
      kinds.size('0B', '1024GiB'),
      '2GiB',
      'With less room on the disk of the data folder than this, or less than 5 % of it, new mail gets 452 4.3.1 until there is room again; reading and deleting go on.',
      '数据目录所在磁盘的剩余空间低于此值或低于 5% 时，新邮件得到 452 4.3.1，直到空间恢复；阅读和删除照常。',
    ),
  },
  backup: {
    targets: later(
      setting(
        'targets',
        kinds.list(kinds.text, { min: 0, max: 16 }),
        [],
        'Where backups go.',
        '备份的去处。',
      ),
    ),
  },
  log: {
    level: setting(
      'level',
      kinds.choice('debug', 'info', 'warn', 'error'),
      'info',
      'Events below this level are not written. Addresses appear at debug only; content and secrets never.',
      '低于此级别的事件不写入日志。地址只在 debug 级出现；内容与机密从不写入。',
    ),
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Setting<unknown>>>>>;

/** Sections that stand once a listener, as `[listen.NAME]`. Defaults that depend on the service are in `services.ts`. */
export const listen = {
  service: setting<ServiceName | null>(
    'service',
    kinds.choice(...serviceNames),
    null,
    'What is served there. Default: NAME.',
    '此处提供的服务。默认即 NAME。',
  ),
  isEnabled: setting(
    'enabled',
    kinds.boolean,
    true,
    'false closes a listener, such as one that is open by default.',
    'false 表示关闭该监听，例如默认打开的监听。',
  ),
  addresses: setting(
    'address',
    kinds.list(kinds.listenAddress, { min: 1, max: 16, singleAllowed: true }),
    ['127.0.0.1', '::1'],
    'Address or addresses to listen on. By default this machine only, ::1 where there is IPv6; "0.0.0.0" and "::" are all.',
    '监听的地址，一个或多个。默认只限本机（有 IPv6 时包括 ::1）;"0.0.0.0" 和 "::" 为全部地址。',
  ),
  port: setting<number | null>(
    'port',
    kinds.listenPort,
    null,
    'Port; 0 takes one that is free. Default: see the table, plus --port-base.',
    '端口；0 表示任取一个空闲端口。默认见下表，再加上 --port-base。',
  ),
  socketMode: setting(
    'socket_mode',
    kinds.choice('0600', '0660', '0666'),
    '0660',
    'Who may connect to a Unix socket: its owner (the user of the server), also its group, or everybody.',
    '谁可以连接 Unix 套接字：所有者（服务器的用户）、其用户组，或所有人。',
  ),
  tls: setting<TlsMode | null>(
    'tls',
    kinds.choice('none', 'starttls', 'implicit'),
    null,
    'implicit: TLS from the first octet; starttls: after STARTTLS or STLS; none. Default and choice: see the table; what takes a password is never without TLS.',
    'implicit：从第一个字节起就是 TLS;starttls：在 STARTTLS 或 STLS 之后；none：不用 TLS。默认值与可选值见下表；接受密码的服务绝不会没有 TLS。',
  ),
  proxyFrom: setting(
    'proxy_from',
    kinds.list(kinds.network, { min: 0, max: 64 }),
    [],
    'Networks of proxies that must begin each connection with a PROXY protocol header, and are believed.',
    '代理所在的网段：来自它们的连接必须以 PROXY 协议头开始，且其内容被相信。',
  ),
} as const satisfies Readonly<Record<string, Setting<unknown>>>;

/** Sections that may be repeated, as `[[tls.certificate]]`. */
export const certificate = {
  cert: optional(
    'cert',
    kinds.path,
    'PEM file with the certificate and the ones above it.',
    'PEM 文件，含证书及其上级证书。',
  ),
  key: optional('key', kinds.path, 'PEM file with its private key.', 'PEM 文件，含其私钥。'),
} as const satisfies Readonly<Record<string, Setting<unknown>>>;

export type Settings = Readonly<Record<string, Setting<unknown>>>;

/** The checked values of a table of settings. */
export type ValuesOf<Table extends Settings> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer Value> ? Value : never;
};
