// One scenario of the suite's client mode: the client under test is Tulle. The scenario's server, whose address is the last argument,
// becomes a connection, and an SDK client behind Tulle then does what the scenario waits for. TULLE_URL and TULLE_KEY in the environment.
import { randomBytes } from 'node:crypto';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { settingsFor, useGuarded } from './client_auth.mjs';

const { TULLE_URL, TULLE_KEY, MCP_CONFORMANCE_SCENARIO: scenario, MCP_CONFORMANCE_PROTOCOL_VERSION: version, MCP_CONFORMANCE_CONTEXT } = process.env;
const context = JSON.parse(MCP_CONFORMANCE_CONTEXT ?? '{}');
const { toolCalls = [] } = context;
const isGuarded = scenario.startsWith('auth/');

async function manage(tool, args) {
    const answer = await fetch(`${TULLE_URL}/api/tools/${tool}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TULLE_KEY}`, 'content-type': 'application/json' },
        body: JSON.stringify(args),
    });
    if (!answer.ok) throw new Error(`${tool}: ${await answer.text()}`);
    return (await answer.json()).item;
}

async function register(url) {
    const slug = `c${randomBytes(6).toString('hex')}`;
    const { fields, client } = isGuarded ? settingsFor(scenario, context) : {};
    const { id } = await manage('CONNECTION_CREATE', { name: slug, slug, url, ...fields });
    if (client) await manage('CONNECTION_CREDENTIAL_SET', { connection_id: id, scope: 'organization', ...client });
    return `${TULLE_URL}/mcp/${id}`;
}

/** A value that a schema takes. */
function valueFor({ type, enum: choices, default: fallback }) {
    if (fallback !== undefined) return fallback;
    if (choices) return choices[0];
    return { number: 2, integer: 2, boolean: true, array: [], object: {} }[type] ?? 'text';
}

const fill = (schema) => Object.fromEntries(Object.entries(schema?.properties ?? {}).map(([name, one]) => [name, valueFor(one)]));

/** A tool that wants a schema wants that of the first tool, as it came to the client. */
const argumentsFor = ({ inputSchema }, first) => inputSchema.properties?.schema ? { schema: first.inputSchema } : fill(inputSchema);

async function connect(url) {
    const client = new Client({ name: 'conformance', version: '1.0.0' }, {
        capabilities: { elicitation: { form: { applyDefaults: true } }, sampling: {}, roots: {} },
        versionNegotiation: { mode: version >= '2026-07-28' ? { pin: version } : 'legacy' },
    });
    client.setRequestHandler('elicitation/create', ({ params }) => ({ action: 'accept', content: fill(params.requestedSchema) }));
    client.setRequestHandler('sampling/createMessage', () => ({ model: 'none', role: 'assistant', content: { type: 'text', text: 'sampled' } }));
    client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///root', name: 'root' }] }));
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { authorization: `Bearer ${TULLE_KEY}` } } }));
    return client;
}

async function useAll(client) {
    const { tools = [] } = await client.listTools();
    const calls = toolCalls.length > 0 ? toolCalls : tools.map((tool) => ({ name: tool.name, arguments: argumentsFor(tool, tools[0]) }));
    for (const call of calls) await client.callTool(call);
    const { resources, prompts } = client.getServerCapabilities() ?? {};
    if (resources) for (const { uri } of (await client.listResources()).resources) await client.readResource({ uri });
    if (prompts) for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name });
}

const address = await register(process.argv.at(-1));
const client = isGuarded ? await useGuarded(() => connect(address)) : await connect(address);
if (!isGuarded) await useAll(client);
await client.close();
