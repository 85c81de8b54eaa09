/** What the server does next in an exchange. */
export type SaslStep =
  /** send these octets in the protocol's base64 form and hand the answer to `respond` */
  | { readonly kind: 'challenge'; readonly octets: Uint8Array }
  /** ask whether this password opens this account: the exchange is over */
  | {
      readonly kind: 'password';
      readonly user: string;
      readonly password: string;
      /** whom the client wants to act as; empty for itself */
      readonly authorizationId: string;
    }
  /** ask for the salt and the rounds of this user's keys, whoever it is, and hand them to `parameters` */
  | { readonly kind: 'parameters'; readonly user: string }
  /** ask whether this proof opens this account; if it does, hand the server's signature to `proved` */
  | { readonly kind: 'proof'; readonly proof: SaslProof }
  /** the client has seen our signature: it is logged in */
  | { readonly kind: 'done' }
  /** the client did not keep to the mechanism */
  | { readonly kind: 'malformed'; readonly reason: string };

/** What SCRAM's client proves that it knows the password with. @source RFC 5802 §3 */
export interface SaslProof {
  readonly user: string;
  readonly authorizationId: string;
  readonly authMessage: Uint8Array;
  /** ClientProof */
  readonly proof: Uint8Array;
}

/** @source RFC 5802 §5.1 */
export interface ScramParameters {
  readonly salt: Uint8Array;
  readonly iterations: number;
}
