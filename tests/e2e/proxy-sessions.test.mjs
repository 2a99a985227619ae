// The SDK v1 client through the proxy: to the reference server and to our session fixture, with event streams and with JSON.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { connectV1, connectV2, textOf } from './lib/clients.mjs';
import { startEverything, startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { rpc, send } from './lib/http.mjs';
import { until } from './lib/children.mjs';

let tulle, org, other, everything, fixtures;
before(async () => {
    let sse, json;
    [tulle, everything, sse, json] = await Promise.all([startTulle(), startEverything(), startV1(), startV1({ isJson: true })]);
    org = await tulle.makeOrg('acme');
    other = await tulle.makeOrg('other');
    everything.connection = await tulle.connect(org, { name: 'everything', url: everything.url });
    fixtures = { sse, json };
    for (const [name, server] of Object.entries(fixtures)) server.connection = await tulle.connect(org, { name, url: server.url });
});
after(() => tulle?.end());

const stats = async (client) => JSON.parse(textOf(await client.callTool({ name: 'stats', arguments: {} })));

test('the reference server works through the proxy', async () => {
    const client = await connectV1(everything.connection.mcp, org.key);
    assert.equal(client.getServerVersion().name, 'mcp-servers/everything');
    assert.ok(client.getInstructions().length > 0);
    const { tools } = await client.listTools();
    assert.ok(tools.some((tool) => tool.name === 'get-sum'));
    assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { message: 'hello' } })), 'Echo: hello');
    assert.match(textOf(await client.callTool({ name: 'get-sum', arguments: { a: 2, b: 3 } })), /5/);
    const image = await client.callTool({ name: 'get-tiny-image', arguments: {} });
    assert.ok(image.content.some((block) => block.type === 'image' && block.data.length > 100));
    const weather = await client.callTool({ name: 'get-structured-content', arguments: { location: 'New York' } });
    assert.equal(typeof weather.structuredContent, 'object');
    const { resources } = await client.listResources();
    const { contents } = await client.readResource({ uri: resources[0].uri });
    assert.ok(contents[0].text.length > 0);
    const { resourceTemplates } = await client.listResourceTemplates();
    assert.ok(resourceTemplates.length > 0);
    const { prompts } = await client.listPrompts();
    assert.ok(prompts.some((prompt) => prompt.name === 'completable-prompt'));
    const prompt = await client.getPrompt({ name: 'args-prompt', arguments: { city: 'Oslo' } });
    assert.match(prompt.messages[0].content.text, /Oslo/);
    const done = await client.complete({ ref: { type: 'ref/prompt', name: 'completable-prompt' }, argument: { name: 'department', value: 'E' } });
    assert.deepEqual(done.completion.values, ['Engineering']);
    await assert.rejects(client.complete({ ref: { type: 'ref/resource', uri: `test://${'x'.repeat(5000)}` }, argument: { name: 'department', value: 'E' } }),
        (error) => error.code === -32602 && /expected at most 4096/.test(error.message));
    assert.deepEqual(await client.ping(), {});
    await client.transport.terminateSession();
    await client.close();
});

test('progress of the reference server arrives step by step, before the answer', async () => {
    const client = await connectV1(everything.connection.mcp, org.key);
    const steps = [];
    const result = await client.callTool({ name: 'trigger-long-running-operation', arguments: { duration: 0.3, steps: 3 } }, undefined,
        { onprogress: (progress) => steps.push(progress.progress) });
    assert.deepEqual(steps, [1, 2, 3]);
    assert.match(textOf(result), /completed/);
    await client.close();
});

for (const kind of ['sse', 'json']) {
    test(`the fixture works through the proxy (${kind} answers)`, async () => {
        const client = await connectV1(fixtures[kind].connection.mcp, org.key);
        assert.equal((await client.listTools()).tools.length, 10);
        assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { text: 'søster "quoted" \u{1f600}' } })), 'søster "quoted" \u{1f600}');
        assert.equal((await client.callTool({ name: 'structured', arguments: { city: 'Bonn' } })).structuredContent.city, 'Bonn');
        assert.equal((await client.callTool({ name: 'fail', arguments: {} })).isError, true);
        assert.equal(textOf(await client.callTool({ name: 'big', arguments: { bytes: 2_000_000 } })).length, 2_000_000);
        assert.deepEqual((await client.listResources()).resources.map((one) => one.uri), ['fixture://static/alpha', 'fixture://static/beta']);
        assert.equal((await client.readResource({ uri: 'fixture://page/7' })).contents[0].text, 'page 7');
        assert.match((await client.getPrompt({ name: 'paint', arguments: { colour: 'red' } })).messages[0].content.text, /red/);
        assert.deepEqual((await client.complete({ ref: { type: 'ref/prompt', name: 'paint' }, argument: { name: 'colour', value: 'r' } })).completion.values, ['red', 'rose']);
        await client.close();
    });

    test(`a cancelled call is cancelled at the server (${kind} answers)`, async () => {
        const client = await connectV1(fixtures[kind].connection.mcp, org.key);
        const before = await stats(client);
        const abort = new AbortController();
        const call = client.callTool({ name: 'slow', arguments: { ms: 20_000 } }, undefined, { signal: abort.signal });
        await until('the call has begun', async () => (await stats(client)).started > before.started);
        abort.abort('enough');
        await assert.rejects(call);
        await until('the server knows', async () => (await stats(client)).cancelled > before.cancelled, 5000);
        assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { text: 'still here' } })), 'still here');
        await client.close();
    });
}

test('progress tokens of two calls at once do not mix', async () => {
    const client = await connectV1(fixtures.sse.connection.mcp, org.key);
    const seen = { one: [], two: [] };
    const call = (name, steps) => client.callTool({ name: 'progress', arguments: { steps, ms: 20 } }, undefined,
        { onprogress: (progress) => seen[name].push(progress.total) });
    await Promise.all([call('one', 4), call('two', 6)]);
    assert.deepEqual(seen, { one: [4, 4, 4, 4], two: [6, 6, 6, 6, 6, 6] });
    await client.close();
});

test('the SDK v2 client works in legacy and in auto mode', async () => {
    for (const mode of ['legacy', 'auto']) {
        const client = await connectV2(fixtures.sse.connection.mcp, org.key, { mode });
        assert.equal(textOf(await client.callTool({ name: 'add', arguments: { a: 1, b: 2 } })), '3', mode);
        await client.close();
    }
});

const initialize = (url, key, version = '2025-11-25') =>
    rpc(url, 'initialize', { protocolVersion: version, capabilities: {}, clientInfo: { name: 'bare', version: '1' } }, { key });

test('each session revision is served, and each client has its own downstream session', async () => {
    const { mcp } = fixtures.sse.connection;
    const ids = new Set();
    for (const version of ['2025-03-26', '2025-06-18', '2025-11-25']) {
        const { status, headers, body } = await initialize(mcp, org.key, version);
        assert.equal(status, 200);
        assert.equal(body.result.protocolVersion, version);
        const session = headers['mcp-session-id'];
        assert.match(session, /^[\x21-\x7e]+$/);
        ids.add(session);
        const options = { key: org.key, headers: { 'mcp-session-id': session, 'mcp-protocol-version': version } };
        const note = await send(mcp, { ...options, body: { jsonrpc: '2.0', method: 'notifications/initialized' }, headers: { ...options.headers, accept: 'application/json, text/event-stream' } });
        assert.equal(note.status, 202);
        assert.equal(note.text, '');
        assert.ok((await rpc(mcp, 'tools/list', {}, options)).body.result.tools.length > 0);
    }
    assert.equal(ids.size, 3);
});

test('[256] an unknown, foreign or ended session is 404, and the client can begin again', async () => {
    const { mcp } = fixtures.sse.connection;
    const { headers } = await initialize(mcp, org.key);
    const session = { 'mcp-session-id': headers['mcp-session-id'], 'mcp-protocol-version': '2025-11-25' };
    const list = (key, extra = session, url = mcp) => rpc(url, 'tools/list', {}, { key, headers: extra });
    assert.equal((await list(org.key)).status, 200);

    const forged = await list(org.key, { ...session, 'mcp-session-id': 'forged' });
    assert.equal(forged.status, 404);
    assert.equal(forged.body.error.code, -32001);
    const secondKey = await tulle.makeKey('acme', org.email);
    assert.equal((await list(secondKey)).status, 404, 'a session belongs to the principal that opened it');
    assert.equal((await list(org.key, session, fixtures.json.connection.mcp)).status, 404, 'and to its connection');
    assert.equal((await list(other.key)).status, 404, 'the connection is not there for others');

    const ended = await send(mcp, { method: 'DELETE', key: org.key, headers: session });
    assert.ok([200, 202, 204].includes(ended.status), String(ended.status));
    assert.equal((await list(org.key)).status, 404);
    assert.equal((await initialize(mcp, org.key)).status, 200);
});

test('a client that ends its session ends it downstream', async () => {
    const client = await connectV1(fixtures.sse.connection.mcp, org.key);
    const watcher = await connectV1(fixtures.sse.connection.mcp, org.key);
    const before = await stats(watcher);
    await client.transport.terminateSession();
    await client.close();
    await until('the server saw the DELETE', async () => (await stats(watcher)).sessionsEnded > before.sessionsEnded, 5000);
    await watcher.close();
});

test('a server that lost its sessions is given a new one, and the client need not notice', async () => {
    const { mcp } = fixtures.json.connection;
    const { headers } = await initialize(mcp, org.key);
    await fixtures.json.forgetSessions();
    const answer = await rpc(mcp, 'tools/list', {}, { key: org.key, headers: { 'mcp-session-id': headers['mcp-session-id'], 'mcp-protocol-version': '2025-11-25' } });
    assert.equal(answer.status, 200, answer.text);
    assert.ok(answer.body.result.tools.length > 0);
});
