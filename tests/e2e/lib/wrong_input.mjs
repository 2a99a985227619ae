// Makes arguments from a tool's input schema: plausible ones, and wrong ones that must be refused by name.

/** A value that fits a schema, as far as the schema says. */
export function plausible(schema = {}) {
    if (schema.const !== undefined) return schema.const;
    if (schema.enum) return schema.enum[0];
    const alternatives = schema.oneOf ?? schema.anyOf;
    if (alternatives && !schema.type) return plausible(alternatives[0]);
    switch ([schema.type].flat().find((type) => type !== 'null')) {
        case 'integer':
        case 'number': return schema.minimum ?? 1;
        case 'boolean': return true;
        case 'array': return Array.from({ length: schema.minItems ?? 0 }, () => plausible(schema.items));
        case 'object': return Object.fromEntries((schema.required ?? []).map((name) => [name, plausible(schema.properties?.[name])]));
        default:
            if (schema.format === 'email') return 'someone@example.test';
            if (schema.format === 'uri') return 'https://mcp.example.test/mcp';
            if (schema.format === 'date-time') return '2026-01-01T00:00:00.000Z';
            return 'x'.repeat(Math.max(4, schema.minLength ?? 0));
    }
}

/** Plausible values for what a tool requires. */
export const required = (inputSchema) =>
    Object.fromEntries((inputSchema.required ?? []).map((name) => [name, plausible(inputSchema.properties?.[name])]));

/** A value of a type that the schema does not allow, or undefined when it allows everything. */
export function wrongType(schema = {}) {
    const alternatives = [schema, ...schema.oneOf ?? [], ...schema.anyOf ?? []];
    const types = alternatives.flatMap((one) => one.type ?? []);
    if (schema.enum || schema.const !== undefined) return 987654;
    if (types.length === 0) return undefined;
    if (!types.includes('integer') && !types.includes('number')) return 987654;
    return types.includes('string') ? undefined : 'not-a-number';
}
