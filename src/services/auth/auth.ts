import { createHmac, timingSafeEqual } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { availableParallelism } from 'node:os';
import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Clock, Random } from '#base/clock';
import { FengniError } from '#base/errors';
import type { Change, Secrets } from '#store/secrets';
import { type HashPriority, HashQueue } from './hash-queue.ts';
import { type Argon2Cost, argon2Cost, hashPassword, passwordMatches, preparePassword } from './password.ts';
import { Recent } from './recent.ts';

export interface Attempt {
  /** key of the log-in name: WIRE “Addresses” */
  user: string;
  password: string;
  /** IP address of the peer; IPv6 counts by its /64 */
  address: string;
  protocol: 'imap' | 'pop3' | 'submission' | 'managesieve' | 'http';
}

export type Verdict =
  | { kind: 'granted'; account: string; version: number }
  /** `disabled` is said only to who knows the password; all else, unknown users too, is `wrong` */
  | { kind: 'refused'; reason: 'wrong' | 'disabled' }
  /** too many wait: a temporary answer, never “wrong password” (clients would throw the password away) */
  | { kind: 'unavailable' };

export interface AuthLimits {
  /** hashes that run together; default one a core */
  hashesAtOnce: number;
  /** tries that wait for a hash */
  hashesWaitingMax: number;
  /** tries that wait because their address had too many wrong ones */
  slowedWaitingMax: number;
  /** wrong passwords from an address within `wrongLifeMs` before it is slowed */
  wrongPerAddress: number;
  wrongLifeMs: number;
  slowedMs: number;
  rememberedMs: number;
  /** how long an address of a successful log-in is known for its user */
  knownMs: number;
  /** entries of each table */
  tableMax: number;
}

export const authLimits: AuthLimits = {
  hashesAtOnce: availableParallelism(),
  hashesWaitingMax: 1_000,
  slowedWaitingMax: 10_000,
  wrongPerAddress: 10,
  wrongLifeMs: 15 * 60_000,
  slowedMs: 2_000,
  rememberedMs: 10 * 60_000,
  knownMs: 30 * 86_400_000,
  tableMax: 65_536,
};

export interface AuthStatus {
  granted: number;
  refused: number;
  unavailable: number;
  slowed: number;
  hashesWaiting: number;
  slowedWaiting: number;
}

export interface Auth {
  /** Makes ready what the first try would wait for: a password hash's worth of time. */
  prepare(): Promise<void>;
  /** @throws {FengniError} `verifier-damaged` */
  verify(attempt: Attempt): Promise<Verdict>;
  /**
   * Sets a password; durable when the promise resolves, to be confirmed when its ROW is. The sessions of the account are the
   * caller's to end.
   *
   * @throws {FengniError} `password-not-allowed`, `auth-busy` (retryable)
   */
  setPassword(account: { user: string; account: string; password: string }): Promise<Change>;
  disable(user: string): Change | null;
  enable(user: string): Change | null;
  removeAccount(user: string): Change | null;
  /** changes without their ROW: at start these are reported */
  unconfirmed(): Change[];
  confirm(id: number): boolean;
  status(): AuthStatus;
}

export interface AuthOptions {
  secrets: Secrets;
  clock: Clock;
  random: Random;
  limits?: Partial<AuthLimits>;
  /** counts by name; names as `/metrics` has them */
  count?(name: string): void;
  /** waits; a test's clock has its own */
  sleep?: (ms: number) => Promise<void>;
  /** another cost than the standard one, for tests */
  cost?: Argon2Cost;
}

export const createAuth = (options: AuthOptions): Auth => new PasswordAuth(options);

const countedAs = {
  granted: 'auth-login',
  refused: 'auth-login-refused',
  unavailable: 'auth-overloaded',
} as const;

class PasswordAuth implements Auth {
  readonly #secrets: Secrets;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #limits: AuthLimits;
  readonly #count: (name: string) => void;
  readonly #sleep: (ms: number) => Promise<void>;
  readonly #cost: Argon2Cost;
  readonly #queue: HashQueue;
  /** under it successes are remembered; it dies with the process */
  readonly #processKey: Uint8Array;
  readonly #remembered: Recent<Uint8Array>;
  readonly #wrong: Recent<number>;
  readonly #known: Recent<true>;
  /** the last try of each slowed address: its next one begins after it */
  readonly #slowed = new Map<string, Promise<void>>();
  readonly #matching = new Map<string, Promise<boolean | null>>();
  #dummyPhc: Promise<string> | null = null;
  readonly #counts = { granted: 0, refused: 0, unavailable: 0, slowed: 0 };
  #slowedWaiting = 0;

  constructor(options: AuthOptions) {
    const limits = { ...authLimits, ...options.limits };
    this.#secrets = options.secrets;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#limits = limits;
    this.#count = (name) => options.count?.(name);
    this.#sleep = options.sleep ?? ((ms) => sleepFor(ms));
    this.#cost = options.cost ?? argon2Cost;
    this.#queue = new HashQueue({ atOnce: limits.hashesAtOnce, waitingMax: limits.hashesWaitingMax });
    this.#processKey = options.random(32);
    const countMax = limits.tableMax;
    this.#remembered = new Recent({ countMax, lifeMs: limits.rememberedMs });
    this.#wrong = new Recent({ countMax, lifeMs: limits.wrongLifeMs });
    this.#known = new Recent({ countMax, lifeMs: limits.knownMs });
  }

  async prepare(): Promise<void> {
    await this.#dummy();
  }

  /** what a try for an unknown user is compared with, so that it costs what a known one costs */
  #dummy(): Promise<string> {
    this.#dummyPhc ??= hashPassword(Buffer.from(this.#random(32)).toString('hex'), this.#random, this.#cost);
    return this.#dummyPhc;
  }

  async verify(attempt: Attempt): Promise<Verdict> {
    const verdict = await this.#slowedVerdict(attempt);
    this.#counts[verdict.kind]++;
    this.#count(countedAs[verdict.kind]);
    return verdict;
  }

  /** After ten wrong ones an address has one try at a time, each of at least two seconds. */
  async #slowedVerdict(attempt: Attempt): Promise<Verdict> {
    const address = addressKey(attempt.address);
    if ((this.#wrong.get(address, this.#now()) ?? 0) < this.#limits.wrongPerAddress)
      return this.#verdict(attempt, address);
    if (this.#slowedWaiting >= this.#limits.slowedWaitingMax) return { kind: 'unavailable' };
    this.#counts.slowed++;
    this.#count('auth-slowed');
    this.#slowedWaiting++;
    const before = this.#slowed.get(address);
    const after = Promise.withResolvers<void>();
    this.#slowed.set(address, after.promise);
    try {
      await before;
      await this.#sleep(this.#limits.slowedMs);
      return await this.#verdict(attempt, address);
    } finally {
      this.#slowedWaiting--;
      if (this.#slowed.get(address) === after.promise) this.#slowed.delete(address);
      after.resolve();
    }
  }

  async #verdict(attempt: Attempt, address: string): Promise<Verdict> {
    const prepared = preparePassword(attempt.password);
    const { user } = attempt;
    const found = this.#secrets.verifier(user);
    const mark = this.#mark(user, found?.version ?? 0, prepared ?? '');
    const remembered = this.#remembered.get(user, this.#now());
    const isRemembered = remembered !== undefined && timingSafeEqual(remembered, mark);
    if (!isRemembered || found === null || prepared === null) {
      const phc = found === null || prepared === null ? await this.#dummy() : found.phc;
      // a user's own address goes before strangers, whoever floods
      const priority = this.#known.get(knownKey(user, address), this.#now()) === true ? 'first' : 'later';
      const matches = await this.#matches(mark, priority, address, prepared ?? 'x', phc);
      if (matches === null) return { kind: 'unavailable' };
      // the account may have changed meanwhile: what was checked is then worth nothing
      const now = this.#secrets.verifier(user);
      if (!matches || found === null || prepared === null || now?.version !== found.version) {
        this.#wrong.set(address, (this.#wrong.get(address, this.#now()) ?? 0) + 1, this.#now());
        return { kind: 'refused', reason: 'wrong' };
      }
    }
    if (found.disabled) return { kind: 'refused', reason: 'disabled' };
    if (!isRemembered) this.#remembered.set(user, mark, this.#now());
    this.#known.set(knownKey(user, address), true, this.#now());
    return { kind: 'granted', account: found.account, version: found.version };
  }

  /** A mail program opens several sessions at once: tries that are the same share one hash. */
  #matches(
    mark: Uint8Array,
    priority: HashPriority,
    address: string,
    prepared: string,
    phc: string,
  ): Promise<boolean | null> {
    const key = `${priority} ${Buffer.from(mark).toString('base64')}`;
    const running = this.#matching.get(key);
    if (running !== undefined) return running;
    const begun = this.#queue
      .run(priority, address, () => passwordMatches(prepared, phc))
      .finally(() => this.#matching.delete(key));
    this.#matching.set(key, begun);
    return begun;
  }

  async setPassword(account: { user: string; account: string; password: string }): Promise<Change> {
    const prepared = preparePassword(account.password);
    if (prepared === null)
      throw new FengniError('password-not-allowed', {
        subject: 'the new password',
        remedy: 'use 1 to 1,024 octets without control characters',
        exitStatus: 2,
      });
    const phc = await this.#queue.run('first', '', () => hashPassword(prepared, this.#random, this.#cost));
    if (phc === null)
      throw new FengniError('auth-busy', {
        subject: 'too many passwords wait to be checked',
        remedy: 'try again in a minute',
        retryable: true,
      });
    const { user } = account;
    const change = this.#secrets.setVerifier({
      user,
      account: account.account,
      phc,
      atMs: this.#clock.nowMs(),
    });
    this.#remembered.delete(user);
    return change;
  }

  disable(user: string): Change | null {
    return this.#setDisabled(user, true);
  }

  enable(user: string): Change | null {
    return this.#setDisabled(user, false);
  }

  removeAccount(user: string): Change | null {
    const change = this.#secrets.remove({ user, atMs: this.#clock.nowMs() });
    this.#remembered.delete(user);
    return change;
  }

  unconfirmed(): Change[] {
    return this.#secrets.unconfirmed();
  }

  confirm(id: number): boolean {
    return this.#secrets.confirm(id);
  }

  status(): AuthStatus {
    return { ...this.#counts, hashesWaiting: this.#queue.waiting, slowedWaiting: this.#slowedWaiting };
  }

  #setDisabled(user: string, disabled: boolean): Change | null {
    const change = this.#secrets.setDisabled({ user, disabled, atMs: this.#clock.nowMs() });
    this.#remembered.delete(user);
    return change;
  }

  /** What is kept of a password that was right: worthless without the process key, and for any other version of the account. */
  #mark(user: string, version: number, prepared: string): Uint8Array {
    return createHmac('sha256', this.#processKey)
      .update(JSON.stringify([user, version, prepared]))
      .digest();
  }

  #now(): number {
    return this.#clock.monotonicMs();
  }
}

const knownKey = (user: string, address: string): string => `${address} ${user}`;

/** What counts as one address: IPv4 whole (also when mapped into IPv6), IPv6 its /64. */
export const addressKey = (address: string): string => {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const bare = address.split('%')[0] ?? '';
  if (!isIPv6(bare)) return bare;
  // the URL parser's spelling is canonical
  const text = new URL(`http://[${bare}]`).hostname.slice(1, -1);
  const [before = '', after] = text.split('::');
  const left = before === '' ? [] : before.split(':');
  const right = after === undefined || after === '' ? [] : after.split(':');
  const groups = [...left, ...new Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return `${groups.slice(0, 4).join(':')}::/64`;
};
