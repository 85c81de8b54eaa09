/** The end of a command. `code` without brackets. @source RFC 9051 §7.1 */
export interface Reply {
  readonly condition: 'OK' | 'NO' | 'BAD';
  readonly code: string | null;
  readonly text: string;
}

export const ok = (text: string, code: string | null = null): Reply => ({ condition: 'OK', code, text });
export const no = (text: string, code: string | null = null): Reply => ({ condition: 'NO', code, text });
export const bad = (text: string): Reply => ({ condition: 'BAD', code: null, text });

export const refusal = (refused: { readonly code: string | null; readonly text: string }): Reply =>
  no(refused.text, refused.code);
