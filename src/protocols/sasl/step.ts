/** What the server does next in an exchange. */
export type SaslStep =
  /** send these octets in the protocol's base64 form and hand the answer to `respond` */
  | { readonly kind: 'challenge'; readonly octets: Uint8Array }
  /** ask whether this password opens this account */
  | {
      readonly kind: 'password';
      readonly user: string;
      readonly password: string;
      /** whom the client wants to act as; empty for itself */
      readonly authorizationId: string;
    }
  /** the client did not keep to the mechanism */
  | { readonly kind: 'malformed'; readonly reason: string };
