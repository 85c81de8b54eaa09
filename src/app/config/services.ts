export type TlsMode = 'none' | 'starttls' | 'implicit';

export interface Service {
  /** of a local start; production uses the standard ones */
  readonly port: number;
  /** the first is the default; a service that takes passwords has no `none` */
  readonly tls: readonly [TlsMode, ...TlsMode[]];
  /** whether this version can open it */
  readonly isBuilt: boolean;
}

/** Every service that a listener may have, whether or not this version can open it. */
export const services = {
  smtp: { port: 2525, tls: ['starttls', 'implicit', 'none'], isBuilt: true },
  submissions: { port: 2465, tls: ['implicit'], isBuilt: false },
  submission: { port: 2587, tls: ['starttls'], isBuilt: false },
  lmtp: { port: 2424, tls: ['none', 'starttls'], isBuilt: true },
  imaps: { port: 2993, tls: ['implicit'], isBuilt: true },
  imap: { port: 2143, tls: ['starttls', 'implicit'], isBuilt: true },
  pop3s: { port: 2995, tls: ['implicit'], isBuilt: true },
  pop3: { port: 2110, tls: ['starttls', 'implicit'], isBuilt: true },
  managesieve: { port: 2419, tls: ['starttls'], isBuilt: false },
  https: { port: 2443, tls: ['implicit'], isBuilt: true },
  metrics: { port: 2909, tls: ['none', 'implicit'], isBuilt: true },
} as const satisfies Record<string, Service>;

export type ServiceName = keyof typeof services;
export const serviceNames = Object.keys(services) as readonly ServiceName[];
export const isServiceName = (name: string): name is ServiceName => Object.hasOwn(services, name);
