import type { Config, Listener } from '#app/config';
import type { Gathered, RoleSample } from '#net/metrics';

/** `parser` runs only while an index is rebuilt, `pickup` only while mail waits that local programs left. */
export type RoleName = 'sealer' | 'auth' | 'writer' | 'parser' | 'pickup' | 'mx' | 'access' | 'web';

/** In the order in which they start; they stop the other way round. */
export const roleNames = [
  'sealer',
  'auth',
  'writer',
  'mx',
  'access',
  'web',
] as const satisfies readonly RoleName[];

/** A socket that the role inherits and listens on. */
export interface InheritedSocket {
  service: Listener['service'];
  /** of its section `[listen.NAME]` */
  name: string;
  tls: Listener['tls'];
  descriptor: number;
  /** an IP address, or the path of a Unix socket */
  address: string;
  /** 0 for a Unix socket */
  port: number;
  /** proxies whose connections begin with a PROXY header */
  proxyFrom: readonly string[];
}

export interface TlsMaterial {
  certificates: { name: string; cert: string; key: string }[];
  /** base64 */
  ticketKeys: string;
}

/** What the supervisor tells a role at its start. */
export interface StartMessage {
  kind: 'start';
  role: RoleName;
  dataFolder: string;
  /** the sealer's own folder */
  sealerFolder: string;
  /** where the sealer answers, a role or a service of its own */
  sealerSocket: string;
  config: Config;
  sockets: InheritedSocket[];
  /** descriptors of our own Unix sockets that this role listens on */
  internal: Partial<Record<'control' | 'writer' | 'auth' | 'sealer' | 'parser', number>>;
  /** null for a role that speaks no TLS */
  tls: TlsMaterial | null;
  isDiskNearlyFull: boolean;
  /** a process of this role ended by itself within the last day */
  afterDeath: boolean;
  logForm: 'text' | 'json';
}

export type SupervisorMessage =
  | StartMessage
  /** new connections use these from now on */
  | { kind: 'tls'; tls: TlsMaterial }
  /** sessions in other roles, by what they are counted under */
  | { kind: 'sessions'; elsewhere: Readonly<Record<string, number>> }
  /** sessions that another role has opened since it said so last */
  | { kind: 'opened'; elsewhere: Readonly<Record<string, number>> }
  /** whether new mail should be begun at all */
  | { kind: 'disk'; isNearlyFull: boolean }
  /** tell what you count: answered by `metrics` with the same number */
  | { kind: 'metrics'; ask: number }
  /** for the role that asked by `metrics-wanted` */
  | { kind: 'gathered'; gathered: Gathered }
  /** answered by `alive` at the next turn of its event loop */
  | { kind: 'alive' }
  /** finish what runs, take nothing new, end */
  | { kind: 'stop' };

export interface RoleFault {
  code: string;
  subject: string;
  remedy: string;
  exitStatus: 0 | 1 | 2 | 3;
}

export type RoleMessage =
  | { kind: 'ready' }
  /** sessions here, by what they are counted under: those with many */
  | { kind: 'sessions'; counts: Readonly<Record<string, number>> }
  /** sessions opened here since the last time */
  | { kind: 'opened'; counts: Readonly<Record<string, number>> }
  /** starting again would not help: the server ends with this */
  | { kind: 'fatal'; fault: RoleFault }
  /** why it ends; starting again may help */
  | { kind: 'failed'; fault: RoleFault }
  | { kind: 'alive' }
  | { kind: 'metrics'; ask: number; sample: RoleSample }
  /** somebody wants to know what all roles count */
  | { kind: 'metrics-wanted' }
  /** the writer rebuilds an index and has messages to parse */
  | { kind: 'parser-wanted' };
