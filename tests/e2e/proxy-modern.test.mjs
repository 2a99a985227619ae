// The SDK v2 client in modern mode (2026-07-28) through the proxy, and the rules of that revision on the wire.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { connectV2, textOf } from './lib/clients.mjs';
import { startRaw, startV2 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { open, rpc, send } from './lib/http.mjs';
import { until } from './lib/children.mjs';

let tulle, org, servers;
before(async () => {
    let dual, strict, raw;
    [tulle, dual, strict, raw] = await Promise.all(
        [startTulle(), startV2(), startV2({ isModernOnly: true, isSse: true }), startRaw({ isModern: true })]);
    servers = { dual, strict, raw };
    org = await tulle.makeOrg('acme');
    for (const [name, server] of Object.entries(servers)) server.mcp = (await tulle.connect(org, { name, url: server.url })).mcp;
});
after(() => tulle?.end());

const VERSION = '2026-07-28';
const meta = { 'io.modelcontextprotocol/protocolVersion': VERSION, 'io.modelcontextprotocol/clientCapabilities': {} };

/** A modern request by hand; `headers` and `params` may spoil it. */
const modern = (url, method, params = {}, { headers = {}, id = 'hand-1', key = org.key } = {}) => rpc(url, method, { ...params, _meta: { ...meta, ...params._meta } }, {
    key, id,
    headers: { 'mcp-protocol-version': VERSION, 'mcp-method': method, ...(params.name && { 'mcp-name': params.name }), ...headers },
});

for (const name of ['dual', 'strict']) {
    test(`everything works through the proxy (${name} server)`, async () => {
        const client = await connectV2(servers[name].mcp, org.key);
        assert.equal(client.getNegotiatedProtocolVersion(), VERSION);
        assert.equal((await client.listTools()).tools.length, 10);
        assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { text: 'modern "æ"' } })), 'modern "æ"');
        assert.equal((await client.callTool({ name: 'structured', arguments: { city: 'Bonn' } })).structuredContent.city, 'Bonn');
        assert.equal((await client.callTool({ name: 'fail', arguments: {} })).isError, true);
        assert.equal(textOf(await client.callTool({ name: 'big', arguments: { bytes: 2_000_000 } })).length, 2_000_000);
        const steps = [];
        await client.callTool({ name: 'progress', arguments: { steps: 3 } }, { onprogress: (progress) => steps.push(progress.progress) });
        assert.deepEqual(steps, [1, 2, 3]);
        assert.equal((await client.listResources()).resources.length, 2);
        assert.equal((await client.readResource({ uri: 'fixture://static/beta' })).contents[0].text, 'content of beta');
        assert.equal((await client.listResourceTemplates()).resourceTemplates.length, 1);
        assert.equal((await client.listPrompts()).prompts.length, 2);
        assert.match((await client.getPrompt({ name: 'paint', arguments: { colour: 'red' } })).messages[0].content.text, /red/);
        assert.deepEqual((await client.complete({ ref: { type: 'ref/prompt', name: 'paint' }, argument: { name: 'colour', value: 'g' } })).completion.values, ['green']);
        await assert.rejects(client.callTool({ name: 'no_such_tool', arguments: {} }), (error) => error.code === -32602);
        await client.close();
    });

    test(`closing the stream cancels the call at the server (${name} server)`, async () => {
        const client = await connectV2(servers[name].mcp, org.key);
        const stats = async () => JSON.parse(textOf(await client.callTool({ name: 'stats', arguments: {} })));
        const before = await stats();
        const abort = new AbortController();
        const call = client.callTool({ name: 'slow', arguments: { ms: 20_000 } }, { signal: abort.signal });
        await until('the call has begun', async () => (await stats()).started > before.started);
        abort.abort('enough');
        await assert.rejects(call);
        await until('the server knows', async () => (await stats()).cancelled > before.cancelled, 5000);
        await client.close();
    });
}

test('auto mode finds a modern server', async () => {
    const client = await connectV2(servers.strict.mcp, org.key, { mode: 'auto' });
    assert.equal(client.getProtocolEra(), 'modern');
    await client.close();
});

test('the client\'s id comes back as it was, number or string, and the server sees another', async () => {
    for (const id of [0, 7, -3, 9007199254740991, 'server-discover-probe-1', 'with "quotes" and æ', '7']) {
        await servers.raw.forget();
        const { body } = await modern(servers.raw.mcp, 'tools/call', { name: 'echo', arguments: { text: 'x' } }, { id });
        assert.deepEqual([body.id, body.result.content[0].text], [id, 'x']);
    }
    const [seen] = (await servers.raw.seen()).filter((request) => request.body.includes('tools/call'));
    assert.notEqual(JSON.parse(seen.body).id, '7');
});

test('headers to the server are rebuilt from the body, unknown fields and numbers pass unharmed', async () => {
    await servers.raw.forget();
    const body = `{"jsonrpc":"2.0","extra":{"kept":1},"id":5,"method":"tools/call","params":{"name":"echo","arguments":{"text":"t","n":0.1,"big":12345678901234567890},"_meta":${JSON.stringify({ ...meta, 'example.test/own': [1, 2] })}}}`;
    const answer = await send(servers.raw.mcp, {
        key: org.key, body,
        headers: { accept: 'application/json, text/event-stream', 'mcp-protocol-version': VERSION, 'mcp-method': 'tools/call', 'mcp-name': 'echo' },
    });
    assert.equal(answer.status, 200, answer.text);
    const seen = (await servers.raw.seen()).find((request) => request.body.includes('tools/call'));
    assert.deepEqual([seen.headers['mcp-protocol-version'], seen.headers['mcp-method'], seen.headers['mcp-name']], [VERSION, 'tools/call', 'echo']);
    assert.ok(seen.headers.accept.includes('application/json') && seen.headers.accept.includes('text/event-stream'));
    for (const part of ['"n":0.1', '"big":12345678901234567890', '"example.test/own":[1,2]', '"extra":{"kept":1}'])
        assert.ok(seen.body.includes(part), `${part} in ${seen.body}`);
    assert.equal(seen.headers['mcp-session-id'], undefined);
});

test('a tool name that no header can carry travels as a sentinel', async () => {
    await servers.raw.forget();
    const name = 'a b é';
    const { body } = await modern(servers.raw.mcp, 'tools/call', { name, arguments: {} },
        { headers: { 'mcp-name': `=?base64?${Buffer.from(name).toString('base64')}?=` } });
    assert.ok(body.result, JSON.stringify(body));
    const seen = (await servers.raw.seen()).find((request) => request.body.includes('tools/call'));
    assert.equal(seen.headers['mcp-name'], '=?base64?YSBiIMOp?=');
});

test('headers that disagree with the body are refused with -32020', async () => {
    const call = { name: 'echo', arguments: {} };
    for (const headers of [{ 'mcp-method': 'tools/list' }, { 'mcp-name': 'other' }, { 'mcp-method': '' }, { 'mcp-name': '=?base64?!!!?=' }]) {
        const { status, body } = await modern(servers.raw.mcp, 'tools/call', call, { headers });
        assert.deepEqual([status, body.error.code, body.id], [400, -32020, 'hand-1'], JSON.stringify(headers));
    }
    const mismatch = await rpc(servers.raw.mcp, 'tools/call', { ...call, _meta: meta }, { key: org.key, headers: { 'mcp-protocol-version': '2025-06-18' } });
    assert.deepEqual([mismatch.status, mismatch.body.error.code], [400, -32020]);
});

test('an unsupported version is -32022 with the supported ones; missing _meta keys are -32602', async () => {
    const future = await modern(servers.raw.mcp, 'tools/list', { _meta: { 'io.modelcontextprotocol/protocolVersion': '2099-01-01' } },
        { headers: { 'mcp-protocol-version': '2099-01-01' } });
    assert.deepEqual([future.status, future.body.error.code], [400, -32022]);
    assert.ok(future.body.error.data.supported.includes(VERSION));
    assert.equal(future.body.error.data.requested, '2099-01-01');
    const { 'io.modelcontextprotocol/clientCapabilities': _, ...half } = meta;
    const missing = await rpc(servers.raw.mcp, 'tools/list', { _meta: half }, { key: org.key, headers: { 'mcp-protocol-version': VERSION, 'mcp-method': 'tools/list' } });
    assert.deepEqual([missing.status, missing.body.error.code], [400, -32602]);
    const bare = await rpc(servers.raw.mcp, 'tools/list', {}, { key: org.key, headers: { 'mcp-protocol-version': VERSION, 'mcp-method': 'tools/list' } });
    assert.deepEqual([bare.status, bare.body.error.code], [400, -32602]);
});

test('more Mcp-Param headers than can be carried are refused, not lost', async () => {
    const many = (n) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`mcp-param-p${i}`, String(i)]));
    const call = (n) => modern(servers.raw.mcp, 'tools/call', { name: 'whoami', arguments: {} }, { headers: many(n) });
    const { headers } = JSON.parse((await call(30)).body.result.content[0].text);
    assert.equal(Object.keys(headers).filter((name) => name.startsWith('mcp-param-')).length, 30);
    const refused = await call(33);
    assert.deepEqual([refused.status, refused.body.error.code], [400, -32600]);
    assert.match(refused.body.error.message, /33 Mcp-Param/);
});

test('tasks/get carries Mcp-Name to the server, and must carry the right one here', async () => {
    await servers.raw.forget();
    const params = { taskId: 'task-æ' };
    const header = `=?base64?${Buffer.from('task-æ').toString('base64')}?=`;
    await modern(servers.raw.mcp, 'tasks/get', params, { headers: { 'mcp-name': header } });
    const [seen] = (await servers.raw.seen()).filter((request) => request.body.includes('tasks/get'));
    assert.equal(seen.headers['mcp-name'], header);
    const wrong = await modern(servers.raw.mcp, 'tasks/get', params, { headers: { 'mcp-name': 'other' } });
    assert.deepEqual([wrong.status, wrong.body.error.code], [400, -32020]);
});

test('management speaks it too: discover, list, call', async () => {
    const client = await connectV2(`${tulle.url}/mcp`, org.key);
    assert.ok(client.getInstructions().length > 0);
    const { tools } = await client.listTools();
    assert.ok(tools.some((tool) => tool.name === 'CONNECTION_LIST'));
    const result = await client.callTool({ name: 'ORGANIZATION_GET', arguments: {} });
    assert.equal(result.structuredContent.item.slug, 'acme');
    await assert.rejects(client.callTool({ name: 'NO_SUCH_TOOL', arguments: {} }), (error) => error.code === -32602);
    await client.close();
    const unknown = await modern(`${tulle.url}/mcp`, 'logging/setLevel', { level: 'info' });
    assert.deepEqual([unknown.status, unknown.body.error.code], [404, -32601]);
});

test('a silent stream stays open and its answer arrives', async () => {
    const answer = await open(servers.raw.mcp, {
        key: org.key,
        headers: { 'mcp-protocol-version': VERSION, 'mcp-method': 'tools/call', 'mcp-name': 'slow_sse' },
        body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'slow_sse', arguments: { ms: 100, events: 4 }, _meta: meta } },
    });
    assert.equal(answer.headers['content-type'].split(';')[0], 'text/event-stream');
    assert.equal(answer.headers['x-accel-buffering'], 'no');
    assert.equal(await answer.done, true);
    assert.deepEqual(answer.messages().map((message) => message.id), [undefined, undefined, undefined, undefined, 1]);
});
