// Servers and clients that others made, through Tulle: the reference servers of the MCP project over every transport, and to each
// the official SDKs' clients in every mode and MCP Inspector's command line.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch, repoDir, within } from './lib/children.mjs';
import { connectV1, connectV2, textOf } from './lib/clients.mjs';
import { startEverything } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

const packages = join(repoDir, 'tests/conformance/node_modules/@modelcontextprotocol');
const everythingScript = join(repoDir, 'tests/e2e/node_modules/@modelcontextprotocol/server-everything/dist/index.js');
const inspectorScript = join(packages, 'inspector/clients/launcher/build/index.js');

/** What to ask of each server: a tool, its arguments, and what its answer says. */
const probes = {
    everything: { tool: 'get-sum', args: { a: 2, b: 40 }, answer: /42/, tools: ['echo', 'get-sum', 'get-tiny-image'] },
    filesystem: { tool: 'read_text_file', args: () => ({ path: join(files, 'note.txt') }), answer: /written by the test/, tools: ['read_text_file', 'list_directory'] },
    memory: { tool: 'read_graph', args: {}, answer: /entities/, tools: ['create_entities', 'read_graph'] },
};

let tulle, org, files;
const connections = {};

before(async () => {
    files = mkdtempSync(join(tmpdir(), 'tulle-files-'));
    writeFileSync(join(files, 'note.txt'), 'written by the test');
    mkdirSync(join(files, 'home'));
    const [program, http, sse] = await Promise.all([startTulle(), startEverything(), startEverything({ isSse: true })]);
    tulle = program;
    org = await tulle.makeOrg('acme');
    const stdio = (...args) => ({ transport: 'stdio', command: process.execPath, args });
    const servers = {
        'everything over Streamable HTTP': { url: http.url },
        'everything over SSE': { url: sse.url, transport: 'sse' },
        'everything over stdio': stdio(everythingScript, 'stdio'),
        'filesystem over stdio': stdio(join(packages, 'server-filesystem/dist/index.js'), files),
        'memory over stdio': { ...stdio(join(packages, 'server-memory/dist/index.js')), env: { MEMORY_FILE_PATH: join(files, 'memory.jsonl') } },
    };
    for (const [name, fields] of Object.entries(servers)) connections[name] = await tulle.connect(org, { name, ...fields });
});
after(async () => {
    await tulle?.end();
    if (files) rmSync(files, { recursive: true, force: true });
});

/** The same questions through any client: {tools(), call(name, args), close()}. */
const sdk = (connect) => async (url) => {
    const client = await connect(url, org.key);
    return {
        tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
        call: async (name, args) => textOf(await client.callTool({ name, arguments: args })),
        close: () => client.close(),
    };
};

/** One run of the Inspector's command line: its JSON output. */
async function inspect(url, era, ...args) {
    const home = join(files, 'home');
    const child = launch(process.execPath, [inspectorScript, '--cli', url, '--transport', 'http', '--protocol-era', era,
        '--header', `Authorization: Bearer ${org.key}`, '--format', 'json', '--quiet', ...args], { env: { ...process.env, HOME: home }, cwd: home });
    child.stdin.end();
    const { code } = await within(120_000, 'the Inspector ends', child.ended).finally(() => child.end ?? child.kill('SIGKILL'));
    assert.equal(code, 0, `${args.join(' ')}: ${child.out}${child.err}`);
    return JSON.parse(child.out).result;
}

const inspector = (era) => async (url) => ({
    tools: async () => (await inspect(url, era, '--method', 'tools/list')).tools.map((tool) => tool.name),
    call: async (name, args) => textOf(await inspect(url, era, '--method', 'tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(args))),
    close: () => {},
});

const clients = {
    'SDK v1': sdk(connectV1),
    'SDK v2, legacy': sdk((url, key) => connectV2(url, key, { mode: 'legacy' })),
    'SDK v2, auto': sdk((url, key) => connectV2(url, key, { mode: 'auto' })),
    'SDK v2, modern': sdk((url, key) => connectV2(url, key, { mode: 'modern' })),
    'Inspector, legacy': inspector('legacy'),
    'Inspector, modern': inspector('modern'),
};

for (const server of ['everything over Streamable HTTP', 'everything over SSE', 'everything over stdio', 'filesystem over stdio', 'memory over stdio'])
    for (const [name, connect] of Object.entries(clients))
        test(`${server}: ${name}`, async () => {
            const probe = probes[server.split(' ')[0]];
            const client = await connect(connections[server].mcp);
            const tools = await client.tools();
            for (const tool of probe.tools) assert.ok(tools.includes(tool), `${tool} is among ${tools}`);
            assert.match(await client.call(probe.tool, typeof probe.args === 'function' ? probe.args() : probe.args), probe.answer);
            await client.close();
        });
