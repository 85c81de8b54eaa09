import type { SaslStep, ScramParameters } from './step.ts';

/** One log-in under way, on the server's side. */
export interface SaslExchange {
  /** @param initial the initial response, or null when the client sent none */
  begin(initial: Uint8Array | null): SaslStep;
  respond(octets: Uint8Array): SaslStep;
  /** answers the step `parameters` */
  parameters(parameters: ScramParameters): SaslStep;
  /** answers the step `proof` when the proof was right; the client is logged in when it has answered this too */
  proved(serverSignature: Uint8Array): SaslStep;
}

/** What a mechanism needs of the connection that it runs over. */
export interface SaslChannel {
  /** The channel's data for a binding of this name; null where there is none. @source RFC 5056 */
  binding(name: string): Uint8Array | null;
  /** whether SCRAM-SHA-256-PLUS was announced on this connection */
  readonly offersPlus: boolean;
  random(bytes: number): Uint8Array;
}
