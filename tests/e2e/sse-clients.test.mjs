// Clients of the HTTP+SSE transport of 2024-11-05, to servers of every kind.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { ElicitRequestSchema, LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { startAsking, startEverything, startLegs, startV1, startV2 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { connectV1, textOf } from './lib/clients.mjs';
import { open, rpc, send } from './lib/http.mjs';
import { eventsOf } from './lib/sessions.mjs';
import { until } from './lib/children.mjs';

let tulle, org, other, servers, urls;
before(async () => {
    let legs, v1, v2, sse, asking;
    [tulle, legs, v1, v2, sse, asking] = await Promise.all([
        startTulle({ env: { WORKERS: '2' } }), startLegs(), startV1(), startV2({ isModernOnly: true }), startEverything({ isSse: true }), startAsking(),
    ]);
    servers = { legs, v1, v2, sse, asking };
    org = await tulle.makeOrg('acme');
    other = await tulle.makeKey('acme', org.email);
    urls = { hub: `${tulle.url}/mcp/hub`, management: `${tulle.url}/mcp` };
    for (const [name, server] of Object.entries(servers)) urls[name] = (await tulle.connect(org, { name, url: server.url })).mcp;
});
after(() => tulle?.end());

async function connectSse(url, { capabilities = {}, key = org.key, prepare = () => {} } = {}) {
    const client = new Client({ name: 'old', version: '1' }, { capabilities });
    prepare(client);
    await client.connect(new SSEClientTransport(new URL(url), { requestInit: { headers: { authorization: `Bearer ${key}` } } }));
    return client;
}

for (const where of ['v1', 'v2'])
    test(`the SDK's SSE client calls a ${where === 'v1' ? 'session' : 'stateless'} server`, async () => {
        const client = await connectSse(urls[where]);
        assert.ok((await client.listTools()).tools.length > 0);
        assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { text: 'old' } })), 'old');
        const steps = [];
        await client.callTool({ name: 'progress', arguments: { steps: 3, ms: 300 } }, undefined, { onprogress: (step) => steps.push(step.progress) });
        // The client drops a step that arrives in one piece with the answer.
        assert.ok(steps.length > 0);
        assert.deepEqual(steps, [1, 2, 3].slice(0, steps.length));
        const texts = await Promise.all(Array.from({ length: 10 }, (_, i) => client.callTool({ name: 'echo', arguments: { text: String(i) } })));
        assert.deepEqual(texts.map(textOf), Array.from({ length: 10 }, (_, i) => String(i)));
        assert.equal(textOf(await client.callTool({ name: 'big', arguments: { bytes: 2_000_000 } })).length, 2_000_000);
        await assert.rejects(client.readResource({ uri: 'fixture://nowhere' }));
        await client.close();
    });

test('the SDK\'s SSE client calls a server of its own transport', async () => {
    const client = await connectSse(urls.sse);
    assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { message: 'both old' } })), 'Echo: both old');
    await client.close();
});

test('the SDK\'s SSE client uses the hub and the management server', async () => {
    const hub = await connectSse(urls.hub);
    assert.equal(textOf(await hub.callTool({ name: 'v1__echo', arguments: { text: 'hub' } })), 'hub');
    await hub.close();
    const management = await connectSse(urls.management);
    assert.ok((await management.listTools()).tools.some((tool) => tool.name === 'CONNECTION_LIST'));
    const { structuredContent } = await management.callTool({ name: 'CONNECTION_LIST', arguments: {} });
    assert.ok(structuredContent);
    await management.close();
});

for (const where of ['legs', 'asking'])
    test(`questions of a server reach an SSE client (${where})`, async () => {
        const asked = [];
        const client = await connectSse(urls[where], {
            capabilities: { elicitation: {} },
            prepare: (one) => one.setRequestHandler(ElicitRequestSchema, (request) => {
                asked.push(request.params.message);
                return { action: 'accept', content: { name: 'Ada' } };
            }),
        });
        const { tools } = await client.listTools();
        const name = tools.map((tool) => tool.name).find((one) => /elicit|^ask$|form|name/.test(one));
        const result = await client.callTool({ name, arguments: {} });
        assert.equal(asked.length, 1);
        assert.match(JSON.stringify(result.content), /Ada/);
        await client.close();
    });

test('what the server says by itself comes on the stream', async () => {
    const said = [];
    const client = await connectSse(urls.legs, {
        prepare: (one) => one.setNotificationHandler(LoggingMessageNotificationSchema, (message) => said.push(message.params.data)),
    });
    await until('the server has a stream', async () => (await servers.legs.seen()).open > 0);
    await servers.legs.say();
    await until('it is heard', () => said.length > 0);
    await client.close();
    await until('the stream is closed at the server', async () => (await servers.legs.seen()).open === 0);
});

test('closing the stream ends the session and cancels its calls', async () => {
    const watcher = await connectV1(urls.v1, org.key);
    const stats = async () => JSON.parse(textOf(await watcher.callTool({ name: 'stats', arguments: {} })));
    const before = await stats();
    const client = await connectSse(urls.v1);
    const call = client.callTool({ name: 'slow', arguments: { ms: 60_000 } }).catch(() => 'closed');
    await until('the call has begun', async () => (await stats()).started > before.started);
    await client.close();
    assert.equal(await call, 'closed');
    await until('the session has ended', async () => (await stats()).sessionsEnded > before.sessionsEnded);
    await watcher.close();
});

// ---- the wire ----

const accept = { accept: 'text/event-stream' };

async function openOld(url, key = org.key) {
    const stream = await open(url, { method: 'GET', key, headers: accept });
    assert.equal(stream.status, 200);
    await until('the endpoint', () => eventsOf(stream.text()).length > 0);
    const [first] = eventsOf(stream.text());
    assert.equal(first.event, 'endpoint');
    const endpoint = new URL(first.data, url).href;
    return { stream, endpoint, post: (body, options = {}) => send(endpoint, { key, body, ...options }) };
}

test('the first event names the address; messages are 202 and answered on the stream', async () => {
    const { stream, endpoint, post } = await openOld(urls.legs);
    assert.equal(new URL(endpoint).pathname, new URL(urls.legs).pathname);
    const hello = await post({ jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: 'x', version: '1' } } });
    assert.equal(hello.status, 202);
    assert.equal(hello.headers['mcp-session-id'], undefined);
    await until('the answer', () => eventsOf(stream.text()).length > 1);
    assert.equal(JSON.parse(eventsOf(stream.text())[1].data).result.protocolVersion, '2024-11-05');
    await post({ jsonrpc: '2.0', method: 'notifications/initialized' });
    await post({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'media', arguments: {} } });
    await until('the second answer', () => eventsOf(stream.text()).length > 2);
    const { content } = JSON.parse(eventsOf(stream.text())[2].data).result;
    assert.deepEqual(content.map((block) => block.type), ['text', 'text', 'text']);
    stream.close();
    await until('the session is over', async () => (await post({ jsonrpc: '2.0', id: 3, method: 'ping' })).status === 404);
});

test('an address belongs to its principal, connection and stream', async () => {
    const { stream, endpoint, post } = await openOld(urls.legs);
    const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
    assert.equal((await send(endpoint, { key: other, body: ping })).status, 404);
    assert.equal((await send(endpoint, { body: ping })).status, 401);
    const elsewhere = new URL(endpoint);
    elsewhere.pathname = new URL(urls.v1).pathname;
    assert.equal((await send(elsewhere.href, { key: org.key, body: ping })).status, 404);
    assert.equal((await send(`${urls.legs}?sessionId=made-up`, { key: org.key, body: ping })).status, 404);
    assert.equal((await post('{"jsonrpc":', { headers: { 'content-type': 'application/json' } })).status, 400);
    assert.equal((await post([ping])).status, 400, 'that revision has no batches');
    assert.equal((await post('x', { headers: { 'content-type': 'text/plain' } })).status, 415);
    assert.equal(eventsOf(stream.text()).length, 1, 'nothing of it came to the stream');
    stream.close();
});

test('a GET of a later revision is not taken for one of an old client', async () => {
    for (const url of [urls.legs, urls.hub, urls.management]) {
        for (const version of ['2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28']) {
            const answer = await send(url, { method: 'GET', key: org.key, headers: { ...accept, 'mcp-protocol-version': version } });
            assert.equal(answer.status, 405, `${url} ${version}`);
        }
        assert.equal((await send(url, { method: 'GET', key: org.key })).status, 405, 'nor one that does not want events');
    }
    assert.equal((await send(urls.legs, { method: 'GET', headers: accept })).status, 401);
    assert.equal((await send(`${tulle.url}/mcp/conn_nothing`, { method: 'GET', key: org.key, headers: accept })).status, 404);
});

test('a revoked key ends the stream', async () => {
    const { item, key } = await tulle.use('API_KEY_CREATE', { name: 'brief' }, org);
    const { stream } = await openOld(urls.legs, key);
    await tulle.use('API_KEY_DELETE', { key_id: item.id }, org);
    await stream.done;
});
