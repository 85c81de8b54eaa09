import { certificate, listen, type Settings, sections } from './schema.ts';

/** JSON Schema (2020-12) of `fengni.toml`, for editors and tools. */
export const jsonSchema = (): Readonly<Record<string, unknown>> => ({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'fengni.toml',
  type: 'object',
  additionalProperties: false,
  properties: {
    ...Object.fromEntries(Object.entries(sections).map(([name, settings]) => [name, tableSchema(settings)])),
    listen: { type: 'object', additionalProperties: tableSchema(listen) },
    tls: {
      type: 'object',
      additionalProperties: false,
      properties: {
        certificate: {
          type: 'array',
          items: { ...tableSchema(certificate), required: Object.values(certificate).map(({ key }) => key) },
        },
      },
    },
  },
});

const tableSchema = (settings: Settings): Readonly<Record<string, unknown>> => ({
  type: 'object',
  additionalProperties: false,
  properties: Object.fromEntries(
    Object.values(settings).map(({ key, kind, fallback, about }) => [
      key,
      { ...kind.jsonSchema, ...(fallback === null ? {} : { default: fallback }), description: about.en },
    ]),
  ),
});
