/** A checked setting's value as TOML: text, numbers, booleans and lists of them are all there are. @source TOML 1.0 */
export const tomlValue = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(tomlValue).join(', ')}]`;
  // JSON escapes are TOML escapes but for U+007F, which JSON leaves bare.
  if (typeof value === 'string') return JSON.stringify(value).replaceAll('\x7f', '\\u007F');
  return String(value);
};
