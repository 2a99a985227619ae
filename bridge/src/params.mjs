// Mcp-Param-* headers of the 2026-07-28 revision: what a tool's schema marks with x-mcp-header travels as a header as well.

/** [[path, header]] of one tool. */
function marksOf(schema, path = []) {
    return Object.entries(schema?.properties ?? {}).flatMap(([name, property]) => [
        ...(typeof property?.['x-mcp-header'] === 'string' ? [[[...path, name], property['x-mcp-header']]] : []),
        ...(property?.properties ? marksOf(property, [...path, name]) : []),
    ]);
}

const isPlain = (text) => /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !/^=\?base64\?.*\?=$/.test(text);
const encode = (text) => isPlain(text) ? text : `=?base64?${Buffer.from(text, 'utf8').toString('base64')}?=`;

export class ParamHeaders {
    #marks = new Map();

    /** Learns from an answer to tools/list. */
    learn(tools) {
        for (const tool of Array.isArray(tools) ? tools : []) if (typeof tool?.name === 'string') this.#marks.set(tool.name, marksOf(tool.inputSchema));
    }

    /** The headers of one tools/call, or undefined. */
    headersFor(params) {
        const headers = {};
        for (const [path, name] of this.#marks.get(params?.name) ?? []) {
            const value = path.reduce((object, key) => object?.[key], params.arguments);
            if (['string', 'number', 'boolean'].includes(typeof value)) headers[`Mcp-Param-${name}`] = encode(String(value));
        }
        return Object.keys(headers).length > 0 ? headers : undefined;
    }
}
