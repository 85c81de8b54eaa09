import type { sections, ValuesOf } from './schema.ts';
import type { ServiceName, TlsMode } from './services.ts';

/** A place where peers can connect. */
export interface Listener {
  /** of its section `[listen.NAME]`; unique, and its name in `run/ports.json` */
  readonly name: string;
  readonly service: ServiceName;
  /** IP addresses, or `unix:/path` */
  readonly addresses: readonly string[];
  /** nobody chose the addresses: one that this machine does not have (`::1`) is left out rather than a fault */
  readonly addressesAreDefault: boolean;
  /** 0: take one that is free on every address */
  readonly port: number;
  readonly tls: TlsMode;
  /** of a Unix socket */
  readonly socketMode: number;
  /** networks in CIDR form whose connections begin with a PROXY protocol header */
  readonly proxyFrom: readonly string[];
}

export interface CertificateFiles {
  /** absolute path */
  readonly cert: string;
  /** absolute path */
  readonly key: string;
}

type Sections = { readonly [Name in keyof typeof sections]: ValuesOf<(typeof sections)[Name]> };

/** The configuration as checked at the edge: complete, frozen, paths absolute, durations in milliseconds, sizes in octets. */
export interface Config extends Sections {
  /** absolute path of the file it came from; null: all defaults */
  readonly file: string | null;
  /** what this version opens, in the order of `services.ts`, then by name */
  readonly listeners: readonly Listener[];
  readonly tls: { readonly certificates: readonly CertificateFiles[] };
}
