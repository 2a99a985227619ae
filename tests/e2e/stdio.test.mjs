// Servers that are programs: the reference server and fixtures over their pipes, through Tulle, with both SDKs' clients.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { e2ePath, until } from './lib/children.mjs';
import { connectV1, connectV2, textOf } from './lib/clients.mjs';
import { rpc } from './lib/http.mjs';
import { childrenOf, descriptors, marked } from './lib/processes.mjs';
import { speak } from './lib/speakers.mjs';
import { startTulle } from './lib/tulle.mjs';

const everything = e2ePath('node_modules/@modelcontextprotocol/server-everything/dist/index.js');
const mark = `stdio-test-${process.pid}`;
let tulle, org, connections;

const program = (script, ...args) => ({ transport: 'stdio', command: process.execPath, args: [script, ...args] });
const raw = (name, mode, more = {}) => ({ name, ...program(e2ePath('servers/stdio_raw.mjs'), `${mark}-${name}`, ...(mode ? [mode] : [])), ...more });

before(async () => {
    tulle = await startTulle();
    org = await tulle.makeOrg('acme');
    connections = {
        everything: await tulle.connect(org, { name: 'everything', ...program(everything, 'stdio') }),
        raw: await tulle.connect(org, raw('raw')),
        dual: await tulle.connect(org, { name: 'dual', ...program(e2ePath('servers/stdio_v2.mjs'), `${mark}-dual`) }),
        modern: await tulle.connect(org, { name: 'modern', ...program(e2ePath('servers/stdio_v2.mjs'), '--modern-only', `${mark}-modern`) }),
    };
});
after(async () => {
    await tulle?.end();
    assert.deepEqual(marked(mark), [], 'a program outlived Tulle');
});

const metric = async (name) => Number((await tulle.metrics()).match(new RegExp(`^${name} (\\d+)$`, 'm'))[1]);
const call = (name, args, connection = connections.raw) => tulle.callTool(connection, name, args, { key: org.key });

/** An SDK v1 client that can be asked. */
async function asking(url, key) {
    const client = new Client({ name: 'asked', version: '1' }, { capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } } });
    client.setRequestHandler(CreateMessageRequestSchema, () => ({ model: 'm', role: 'assistant', content: { type: 'text', text: 'sampled' } }));
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name: 'Ann' } }));
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///home', name: 'home' }] }));
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { authorization: `Bearer ${key}` } } }));
    return client;
}

/** Ends a client's session and waits for its process to go. */
async function leave(client) {
    await client.transport.terminateSession();
    await client.close();
}

test('the reference server works over its pipes', async () => {
    const test = await tulle.use('CONNECTION_TEST', { connection_id: connections.everything.id }, org);
    assert.deepEqual([test.ok, test.status, test.era], [true, 'healthy', 'session']);
    assert.equal(test.steps[0].name, 'program');
    const client = await connectV1(connections.everything.mcp, org.key);
    assert.equal(client.getServerVersion().name, 'mcp-servers/everything');
    assert.ok((await client.listTools()).tools.some((tool) => tool.name === 'get-sum'));
    assert.match(textOf(await client.callTool({ name: 'get-sum', arguments: { a: 2, b: 3 } })), /5/);
    const { resources } = await client.listResources();
    assert.ok((await client.readResource({ uri: resources[0].uri })).contents.length > 0);
    assert.ok((await client.listPrompts()).prompts.length > 0);
    const steps = [];
    await client.callTool({ name: 'trigger-long-running-operation', arguments: { duration: 0.3, steps: 3 } }, undefined,
        { onprogress: (progress) => steps.push(progress.progress) });
    assert.deepEqual(steps, [1, 2, 3]);
    await leave(client);
});

test('a server that asks reaches a session client: sampling, elicitation and roots', async () => {
    const client = await asking(connections.raw.mcp, org.key);
    const ask = async (name) => JSON.parse(textOf(await client.callTool({ name, arguments: {} })));
    assert.equal((await ask('sampling')).content.text, 'sampled');
    assert.deepEqual(await ask('elicit'), { action: 'accept', content: { name: 'Ann' } });
    assert.equal((await ask('roots')).roots[0].uri, 'file:///home');
    assert.deepEqual(await ask('ping'), {});
    await leave(client);
});

test('what belongs to no request comes on the stream of the session', async () => {
    const client = await connectV1(connections.raw.mcp, org.key);
    let changes = 0;
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => void changes++);
    await client.callTool({ name: 'change', arguments: {} });
    await until('the change arrives', () => changes === 1);
    await leave(client);
});

for (const mode of ['modern', 'auto', 'legacy'])
    test(`an SDK v2 client in ${mode} mode and an SDK v2 server of both eras`, async () => {
        const client = await connectV2(connections.dual.mcp, org.key, { mode });
        assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { text: 'søster' } })), 'søster');
        const steps = [];
        await client.callTool({ name: 'progress', arguments: { steps: 3 } }, { onprogress: (progress) => steps.push(progress.progress) });
        assert.deepEqual(steps, [1, 2, 3]);
        assert.equal(textOf(await client.callTool({ name: 'big', arguments: { bytes: 1_000_000 } })).length, 1_000_000);
        await client.close();
    });

test('a session client at a server of the stateless era alone, of which nothing is known yet', async () => {
    const unknown = await tulle.connect(org, { name: 'unknown', ...program(e2ePath('servers/stdio_v2.mjs'), '--modern-only', `${mark}-unknown`) });
    const client = await connectV1(unknown.mcp, org.key);
    assert.equal(client.getServerVersion().name, 'fixture-stdio-v2');
    assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { text: 'across' } })), 'across');
    await leave(client);
});

test('a first call that takes long is not taken for silence', async () => {
    const { body } = await call('slow', { ms: 1500 }, connections.modern);
    assert.equal(body.result.content[0].text, 'waited 1500');
});

test('what a program answers at once comes in one piece, with its status; a wait begins a stream', async () => {
    const dual = await speak('session', connections.dual.mcp, org.key);
    await until('an answer in one piece', async () => (await dual.tool('echo', { text: 'soon' })).headers['content-length']);
    const waited = await dual.tool('slow', { ms: 1000 });
    assert.deepEqual([waited.body.result.content[0].text, waited.headers['transfer-encoding']], ['waited 1000', 'chunked']);
    await dual.end();
    const refusing = await tulle.connect(org, { name: 'refusing', ...program(e2ePath('servers/stdio_modern_raw.mjs'), `${mark}-refusing`) });
    const modern = await speak('modern', refusing.mcp, org.key);
    await until('a refusal with its status', async () => (await modern.tool('refuse')).status === 400);
    const late = await modern.tool('late');
    assert.deepEqual([late.status, late.body.error.code], [200, -32021]);
});

test('a cancelled call is cancelled at the program, in either era', async () => {
    const client = await connectV2(connections.modern.mcp, org.key);
    const stats = async () => JSON.parse(textOf(await client.callTool({ name: 'stats', arguments: {} })));
    const before = (await stats()).cancelled;
    const abort = new AbortController();
    const slow = client.callTool({ name: 'slow', arguments: { ms: 600_000 } }, { signal: abort.signal });
    await until('it runs', async () => (await stats()).started > (await stats()).finished + before);
    abort.abort();
    await assert.rejects(slow);
    await until('the program hears of it', async () => (await stats()).cancelled === before + 1);
    await client.close();
});

test('a server of the stateless era alone is found out, and serves one process to each caller', async () => {
    const test = await tulle.use('CONNECTION_TEST', { connection_id: connections.modern.id }, org);
    assert.deepEqual([test.ok, test.era], [true, 'stateless']);
    const other = await tulle.makeKey(org.slug, org.email);
    const pids = new Set();
    for (const key of [org.key, org.key, other, other]) {
        const { body } = await tulle.callTool(connections.modern, 'whoami', {}, { key });
        pids.add(JSON.parse(body.result.content[0].text).pid);
    }
    assert.equal(pids.size, 2, 'one for each key');
});

test('one process serves all when the administrator says that it keeps nothing', async () => {
    const shared = await tulle.connect(org, {
        name: 'shared', ...program(e2ePath('servers/stdio_v2.mjs'), '--modern-only', `${mark}-shared`), metadata: { shared_process: true },
    });
    const keys = [org.key, await tulle.makeKey(org.slug, org.email)];
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) =>
        rpc(shared.mcp, 'tools/call', { name: 'echo', arguments: { text: `text ${i}` } }, { key: keys[i % 2], id: 1 })));
    assert.deepEqual(answers.map(({ body }) => body.result.content[0].text), Array.from({ length: 20 }, (_, i) => `text ${i}`));
    const pids = await Promise.all(keys.map(async (key) => JSON.parse((await tulle.callTool(shared, 'whoami', {}, { key })).body.result.content[0].text).pid));
    assert.equal(pids[0], pids[1]);
    await tulle.use('CONNECTION_DISABLE', { connection_id: shared.id }, org);
    await until('its process ends with the connection', () => marked(`${mark}-shared`).length === 0);
});

test('a program sees its own environment and nothing of ours', async () => {
    const seen = await tulle.connect(org, raw('env', undefined, { env: { GIVEN: 'to the program', LANG: 'xx' } }));
    const { body } = await call('env', {}, seen);
    const { env, cwd, fds } = JSON.parse(body.result.content[0].text);
    assert.deepEqual(Object.keys(env).filter((name) => name !== 'HOME').sort(), ['GIVEN', 'LANG', 'PATH']);
    assert.equal(env.GIVEN, 'to the program');
    assert.equal(env.LANG, 'xx');
    assert.equal(cwd, '/');
    assert.ok(fds < 30, `${fds} descriptors`);
    await tulle.use('CONNECTION_UPDATE', { connection_id: seen.id, env: { GIVEN: 'anew' } }, org);
    const again = await call('env', {}, seen);
    assert.equal(JSON.parse(again.body.result.content[0].text).env.GIVEN, 'anew');
});

test('each session has a process of its own, which ends with it', async () => {
    const clients = await Promise.all([1, 2, 3].map(() => connectV1(connections.raw.mcp, org.key)));
    const pids = await Promise.all(clients.map(async (client) => Number(textOf(await client.callTool({ name: 'pid', arguments: {} })))));
    assert.equal(new Set(pids).size, 3);
    for (const client of clients) await leave(client);
    await until('they end', () => pids.every((pid) => !marked(`${mark}-raw`).includes(pid)));
});

test('a hundred calls at once with the same id get their own answers', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) =>
        rpc(connections.raw.mcp, 'tools/call', { name: 'echo', arguments: { text: `mine ${i}` } }, { key: org.key, id: 7 })));
    answers.forEach(({ body }, i) => assert.deepEqual([body.id, body.result.content[0].text], [7, `mine ${i}`]));
});

test('processes and descriptors are as many after a hundred sessions as before', async () => {
    const settled = async () => ({ children: childrenOf(tulle.child.pid).length, channels: await metric('tulle_channels') });
    const before = await settled();
    const fdsBefore = descriptors(tulle.child.pid);
    for (let round = 0; round < 20; round++) {
        const clients = await Promise.all(Array.from({ length: 5 }, () => connectV1(connections.raw.mcp, org.key)));
        await Promise.all(clients.map((client) => client.callTool({ name: 'echo', arguments: { text: 'x' } })));
        await Promise.all(clients.map(leave));
    }
    await until('all have ended', async () => JSON.stringify(await settled()) === JSON.stringify(before), 30_000);
    await until('descriptors are closed', () => descriptors(tulle.child.pid) <= fdsBefore + 5, 30_000);
});
