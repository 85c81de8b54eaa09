import type { ConnectionFacts } from './store.ts';

/** What a session needs of its connection. The driver calls `receive`, `drained`, `secured` and `closed`. */
export interface ImapTransport {
  readonly facts: ConnectionFacts;
  readonly secure: boolean;
  readonly canStartTls: boolean;
  /** the data of a channel binding by its name, null where there is none; left out: there are none */
  readonly channelBinding?: (name: string) => Uint8Array | null;
  /** text has one octet a character; false: wait for `drained` before writing more */
  write(octets: string | Uint8Array): boolean;
  /** after what was written; `secured` follows */
  startTls(): void;
  /** the log-in is done: other limits of time hold from now on */
  loggedIn(): void;
  pause(): void;
  resume(): void;
  /** after what was written */
  end(): void;
  /** at once: the client must not take what it got for whole */
  destroy(): void;
}
