// The management tools' own schemas: outputs are checked against outputSchema, and which tools were called is noted.
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { rpc } from './http.mjs';

const ajv = new Ajv2020.default({ strict: false, allErrors: true });
addFormats.default(ajv);
const validators = new Map(); // one program under test per process: names are enough
let definitions;

/** Every tool that this key sees at /mcp, by name. */
export async function listTools(tulle, key, query = '') {
    const { body } = await rpc(`${tulle.url}/mcp${query}`, 'tools/list', {}, { key });
    assert.ok(body?.result?.tools, `tools/list: ${JSON.stringify(body)}`);
    return new Map(body.result.tools.map((tool) => [tool.name, tool]));
}

/** The same with the tools that are listed only by their toolset. */
export const allTools = async (tulle, key) => new Map([...await listTools(tulle, key), ...await listTools(tulle, key, '?toolset=collections')]);

/** The definition of one tool, as the first key that asked sees it. */
export async function toolDefinition(tulle, key, name) {
    if (!definitions?.has(name)) definitions = new Map([...definitions ?? [], ...await allTools(tulle, key)]);
    const tool = definitions.get(name);
    assert.ok(tool, `tools/list has no ${name}`);
    return tool;
}

/** Notes the tools that exist, for the check that each of them is called by some test (check_called.mjs). */
export function noteListed(names) {
    if (process.env.TULLE_CALLED_FILE)
        appendFileSync(process.env.TULLE_CALLED_FILE, [...names].map((name) => `listed ${name}\n`).join(''));
}

/** Fails unless `output` fits the tool's outputSchema. */
export async function checkOutput(tulle, key, name, output) {
    if (!validators.has(name)) {
        const { outputSchema } = await toolDefinition(tulle, key, name);
        assert.ok(outputSchema, `${name} has no outputSchema`);
        validators.set(name, ajv.compile(outputSchema));
    }
    const validate = validators.get(name);
    assert.ok(validate(output), `${name} answered ${JSON.stringify(output)}\n${ajv.errorsText(validate.errors)}`);
}

/**
 * Arguments under the names that the tool's schema uses: {'name|tool': 'echo'} becomes {tool: 'echo'} where the schema has `tool`
 * and no `name`. A key that the schema does not know under any of its names is left out.
 */
export async function fit(tulle, key, name, wanted) {
    const known = Object.keys((await toolDefinition(tulle, key, name)).inputSchema.properties ?? {});
    const out = {};
    for (const [alternatives, value] of Object.entries(wanted)) {
        const found = alternatives.split('|').find((candidate) => known.includes(candidate));
        if (found) out[found] = value;
    }
    return out;
}
