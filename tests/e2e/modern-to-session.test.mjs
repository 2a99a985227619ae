// Stateless clients (2026-07-28) at servers that only know sessions: the SDK v2 client in modern mode, with its automatic
// answers to input_required, and the wire by hand where an SDK would not go.
import { after, before, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { startAsks, startEverything, startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { open, rpc } from './lib/http.mjs';
import { until } from './lib/children.mjs';

let tulle, org, asks, json, blind, v1, everything;
before(async () => {
    [tulle, asks, json, blind, v1, everything] = await Promise.all(
        [startTulle(), startAsks(), startAsks({ isJson: true }), startAsks({ hasStream: false }), startV1({ isJson: true }), startEverything()]);
    org = await tulle.makeOrg('acme');
    for (const [name, server] of Object.entries({ asks, json, blind, v1, everything }))
        Object.assign(server, await tulle.connect(org, { name, url: server.url }));
});
after(() => tulle?.end());
beforeEach(() => Promise.all([asks, json, blind].map((server) => server.reset())));

const VERSION = '2026-07-28';
const everyCapability = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
const textOf = (result) => result.content[0].text;
const saidBy = (result) => JSON.parse(textOf(result));

/** The SDK's client in modern mode, which answers what it is asked. asked: what that was. */
async function connect(url, { capabilities = everyCapability, key = org.key, action = 'accept' } = {}) {
    const client = new Client({ name: 'modern', version: '1' }, { capabilities, versionNegotiation: { mode: { pin: VERSION } } });
    const asked = [];
    if (capabilities.elicitation) client.setRequestHandler('elicitation/create', ({ params }) => {
        asked.push(params);
        return params.mode === 'url' || action !== 'accept' ? { action } : { action, content: { name: 'Ada' } };
    });
    if (capabilities.sampling) client.setRequestHandler('sampling/createMessage', ({ params }) => {
        asked.push(params);
        return { role: 'assistant', model: 'test-model', stopReason: 'endTurn', content: { type: 'text', text: 'hi' } };
    });
    if (capabilities.roots) client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///home/ada', name: 'home' }] }));
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { authorization: `Bearer ${key}` } } }));
    return Object.assign(client, { asked });
}

/** A modern request by hand. */
const modern = (server, method, params = {}, { capabilities = everyCapability, key = org.key, id = 'hand', meta = {}, headers = {} } = {}) =>
    rpc(server.mcp, method, {
        ...params,
        _meta: { 'io.modelcontextprotocol/protocolVersion': VERSION, 'io.modelcontextprotocol/clientCapabilities': capabilities, ...params._meta, ...meta },
    }, { key, id, headers: { 'mcp-protocol-version': VERSION, 'mcp-method': method, ...((params.name ?? params.uri ?? params.taskId) && { 'mcp-name': params.name ?? params.uri ?? params.taskId }), ...headers } });
const callTool = (server, name, args = {}, options = {}) => modern(server, 'tools/call', { name, arguments: args, ...options.params }, options);
/** The answer to a first round that asks; its result. */
async function firstRound(server, name, args, options) {
    const { body, status, text } = await callTool(server, name, args, options);
    assert.equal(status, 200, text);
    assert.equal(body.result?.resultType, 'input_required', text);
    return body.result;
}
const accept = { action: 'accept', content: { name: 'Bob' } };
const expired = ({ body }) => assert.deepEqual([body.error?.code, body.result], [-32602, undefined], JSON.stringify(body));

// ---- results ----

test('discovery, lists, calls, prompts, resources and completion pass, in the words of the stateless revision', async () => {
    const client = await connect(asks.mcp);
    assert.equal(client.getNegotiatedProtocolVersion(), VERSION);
    assert.equal(client.getServerVersion().name, 'asks');
    assert.equal(client.getInstructions(), 'asks its clients');
    const capabilities = client.getServerCapabilities();
    assert.deepEqual([capabilities.tools, capabilities.resources, capabilities.tasks], [{ listChanged: true }, { subscribe: true, listChanged: true }, undefined]);
    const { tools } = await client.listTools();
    assert.ok(tools.some((tool) => tool.name === 'form') && !tools.some((tool) => tool.name === 'task_only'), 'tools that only run as tasks are hidden');
    assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { text: 'æ "quoted"' } })), 'æ "quoted"');
    assert.equal((await client.listPrompts()).prompts.length, 1);
    assert.equal((await client.listResources()).resources.length, 1);
    assert.deepEqual((await client.listResourceTemplates()).resourceTemplates, []);
    assert.equal((await client.readResource({ uri: 'asks://page/1' })).contents[0].text, '"plain"');
    assert.deepEqual((await client.complete({ ref: { type: 'ref/prompt', name: 'asking' }, argument: { name: 'a', value: '' } })).completion.values, ['one', 'two']);
    await client.close();
});

test('every result says what it is, lists and resources how long they hold', async () => {
    for (const [method, params, cacheable] of [['server/discover', {}, true], ['tools/list', {}, true], ['prompts/list', {}, true], ['resources/list', {}, true],
        ['resources/templates/list', {}, true], ['resources/read', { uri: 'asks://page/1' }, true], ['tools/call', { name: 'echo', arguments: {} }, false],
        ['completion/complete', { ref: { type: 'ref/prompt', name: 'asking' }, argument: { name: 'a', value: '' } }, false]]) {
        for (const capabilities of [{}, everyCapability]) {
            const { body, status, text } = await modern(asks, method, params, { capabilities });
            assert.equal(status, 200, text);
            assert.equal(body.id, 'hand');
            assert.equal(body.result.resultType, 'complete', text);
            assert.deepEqual(body.result._meta['io.modelcontextprotocol/serverInfo'], { name: 'asks', version: '2.1.0' });
            assert.deepEqual([body.result.ttlMs, body.result.cacheScope], cacheable ? [0, 'private'] : [undefined, undefined], method);
        }
    }
    const { body } = await modern(asks, 'server/discover');
    assert.deepEqual(body.result.supportedVersions, [VERSION]);
});

test('answers too large to hold are stamped as they stream, as JSON and within an event stream', async () => {
    for (const server of [asks, json]) {
        for (const options of [{ capabilities: {} }, {}, { meta: { progressToken: 'p' } }]) {
            const { body, text } = await callTool(server, 'big', { bytes: 3_000_000 }, options);
            assert.equal(body.result?.content[0].text.length, 3_000_000, text.slice(0, 300));
            assert.equal(body.result.resultType, 'complete');
            assert.equal(body.result._meta['example.test/kept'], 1);
            assert.equal(body.result._meta['io.modelcontextprotocol/serverInfo'].name, 'asks');
            assert.equal(body.id, 'hand');
        }
        // What the server says under names that are the revision's is left out, large or small.
        for (const bytes of [3_000_000, 10]) {
            const { body, text } = await callTool(server, 'big', { bytes, own: true }, { capabilities: {} });
            assert.equal(body.result?.content[0].text.length, bytes, text.slice(0, 300));
            assert.deepEqual([body.result.resultType, body.result.kept], ['complete', 1]);
            assert.doesNotMatch(text, /mine/);
        }
    }
});

test('the server sees no _meta of the stateless era, and everything else of it', async () => {
    const { body } = await callTool(asks, 'meta', {}, { meta: { 'io.modelcontextprotocol/clientInfo': { name: 'x', version: '1' }, 'io.modelcontextprotocol/logLevel': 'error', 'example.test/own': [1, 2], progressToken: 'mine' } });
    const meta = saidBy(body.result);
    assert.deepEqual(Object.keys(meta).sort(), ['example.test/own', 'progressToken']);
    assert.notEqual(meta.progressToken, 'mine');
});

test('codes are those of the stateless revision', async () => {
    const missing = await modern(asks, 'resources/read', { uri: 'asks://page/none' });
    assert.deepEqual([missing.status, missing.body.error.code, missing.body.error.data.uri], [200, -32602, 'asks://page/none']);
    const reserved = await callTool(asks, 'reserved_error');
    assert.deepEqual([reserved.status, reserved.body.error.code, reserved.body.error.data.code], [200, -32603, -32021]);
    assert.equal((await callTool(asks, 'no_such_tool')).body.error.code, -32602);
    for (const [code, seen] of [[-32000, -32000], [-32019, -32019], [-32020, -32603], [-32099, -32603]]) {
        const { error } = (await callTool(asks, 'reserved_error', { code })).body;
        assert.deepEqual([error.code, error.data?.code], [seen, seen === code ? undefined : code]);
    }
});

test('what the server says to other kinds of clients stays here, and its ping is answered', async () => {
    const { messages, body, text } = await callTool(asks, 'whispers', {}, { meta: { progressToken: 'p' } });
    assert.equal(textOf(body.result), '{}', text);
    assert.deepEqual(messages.slice(0, -1).map((message) => message.method), ['notifications/example.test/own']);
});

test('methods that the revision removed are -32601, and the server does not hear of them', async () => {
    for (const [method, params] of [['initialize', {}], ['ping', {}], ['logging/setLevel', { level: 'info' }], ['resources/subscribe', { uri: 'asks://page/1' }],
        ['resources/unsubscribe', { uri: 'asks://page/1' }], ['tasks/list', {}], ['tasks/get', { taskId: 't' }]]) {
        const { status, body } = await modern(asks, method, params);
        assert.deepEqual([status, body.error.code, body.id], [404, -32601, 'hand'], method);
    }
    assert.deepEqual((await asks.seen()).subscribed, []);
    assert.equal((await modern(asks, 'tools/list', {}, { meta: { 'io.modelcontextprotocol/logLevel': 'loud' } })).body.error.code, -32602);
});

test('one session for each set of capabilities, declared as the server\'s revision has them', async () => {
    const other = await tulle.makeOrg('capable');
    const mine = { ...await tulle.connect(other, { name: 'asks', url: asks.url }) };
    const list = (capabilities) => modern(mine, 'tools/list', {}, { capabilities, key: other.key });
    await Promise.all([list({}), list({}), list({}), list({}), list({ roots: {} }), list({ roots: { listChanged: true } }), list({ elicitation: {} }), list(everyCapability)]);
    const text = (one) => JSON.stringify(Object.entries(one).sort());
    const declared = (await asks.seen()).declared.map(text).sort();
    assert.deepEqual(declared, [{}, { elicitation: { form: {} } }, { roots: {} }, everyCapability].map(text).sort());
});

// ---- progress, logging, cancellation ----

test('progress and log lines reach the client that asked for them, with its own token and from its own level on', async () => {
    const client = await connect(asks.mcp);
    const steps = [];
    await client.callTool({ name: 'steps', arguments: { steps: 4 } }, { onprogress: ({ progress }) => steps.push(progress) });
    assert.deepEqual(steps, [1, 2, 3, 4]);
    await client.close();
    const logged = await callTool(asks, 'log', {}, { meta: { 'io.modelcontextprotocol/logLevel': 'warning' } });
    assert.deepEqual(logged.messages.filter((message) => message.method).map((message) => message.params.level), ['warning', 'error']);
    assert.deepEqual((await asks.seen()).levels, ['warning']);
    const silent = await callTool(asks, 'log');
    assert.deepEqual(silent.messages.filter((message) => message.method), []);
});

test('the lowest level in flight is the session\'s', async () => {
    const slow = await open(asks.mcp, {
        key: org.key,
        headers: { 'mcp-protocol-version': VERSION, 'mcp-method': 'tools/call', 'mcp-name': 'slow' },
        body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'slow', _meta: { 'io.modelcontextprotocol/protocolVersion': VERSION, 'io.modelcontextprotocol/clientCapabilities': everyCapability, 'io.modelcontextprotocol/logLevel': 'debug', progressToken: 1 } } },
    });
    await until('the call runs', async () => (await asks.seen()).runs.slow);
    await callTool(asks, 'log', {}, { meta: { 'io.modelcontextprotocol/logLevel': 'error' } });
    assert.deepEqual((await asks.seen()).levels.at(-1), 'debug');
    slow.close();
    await until('the server hears of it', async () => (await asks.seen()).aborted === 1);
});

test('closing the stream cancels the call at the server', async () => {
    for (const capabilities of [{}, everyCapability]) {
        await asks.reset();
        const client = await connect(asks.mcp, { capabilities });
        const abort = new AbortController();
        const call = client.callTool({ name: 'slow', arguments: {} }, { signal: abort.signal });
        await until('the call runs', async () => (await asks.seen()).runs.slow);
        abort.abort('enough');
        await assert.rejects(call);
        await until('the server is told', async () => (await asks.seen()).aborted === 1);
        await client.close();
    }
});

// ---- input ----

test('the SDK client answers elicitation, sampling and roots on its own, and each call runs once', async () => {
    const client = await connect(asks.mcp);
    const say = async (name) => saidBy(await client.callTool({ name, arguments: {} }));
    assert.deepEqual(await say('form'), { action: 'accept', content: { name: 'Ada' } });
    assert.deepEqual(await say('url'), { action: 'accept' });
    assert.equal((await say('sampling')).content.text, 'hi');
    assert.deepEqual(await say('roots'), { roots: [{ uri: 'file:///home/ada', name: 'home' }] });
    const together = await say('together');
    assert.deepEqual([together[0].action, together[1].model, together[2].roots.length], ['accept', 'test-model', 1]);
    assert.deepEqual((await say('in_turn')).map((one) => one.content.name), ['Ada', 'Ada']);
    assert.equal((await client.getPrompt({ name: 'asking' })).messages[0].content.text, '{"action":"accept","content":{"name":"Ada"}}');
    assert.equal((await client.readResource({ uri: 'asks://page/asking' })).contents[0].text, '{"action":"accept","content":{"name":"Ada"}}');
    assert.deepEqual(Object.values((await asks.seen()).runs), Array(7).fill(1));
    await client.close();
});

test('declining and cancelling are answers', async () => {
    for (const action of ['decline', 'cancel']) {
        const client = await connect(asks.mcp, { action });
        assert.deepEqual(saidBy(await client.callTool({ name: 'form', arguments: {} })), { action });
        await client.close();
    }
});

test('questions that come together are asked in one round, without what the client does not know', async () => {
    const { inputRequests, requestState, ttlMs } = await firstRound(asks, 'together');
    assert.deepEqual(Object.values(inputRequests).map((one) => one.method).sort(), ['elicitation/create', 'roots/list', 'sampling/createMessage']);
    assert.equal(typeof requestState, 'string');
    assert.equal(ttlMs, undefined);
    const url = await firstRound(asks, 'url');
    assert.deepEqual(url.inputRequests.r1, { method: 'elicitation/create', params: { mode: 'url', message: 'Sign in', url: 'https://example.com/sign-in' } });
});

test('what the client did not declare it is not asked: the server hears so at once', async () => {
    for (const [name, capabilities] of [['form', { sampling: {} }], ['url', { elicitation: {} }], ['sampling', { elicitation: { form: {} } }], ['roots', { sampling: {} }], ['form', {}]]) {
        const { body } = await callTool(asks, name, {}, { capabilities });
        assert.deepEqual(Object.keys(saidBy(body.result)), ['error'], `${name}: ${JSON.stringify(body)}`);
    }
});

test('a question on the session\'s own stream belongs to the only call in flight', async () => {
    for (const server of [asks, json]) {
        const client = await connect(server.mcp);
        assert.deepEqual(saidBy(await client.callTool({ name: 'own_stream', arguments: {} })), { action: 'accept', content: { name: 'Ada' } });
        await client.close();
    }
});

test('missing answers are asked for again; the same state then goes on', async () => {
    const { inputRequests, requestState } = await firstRound(asks, 'together');
    for (const inputResponses of [undefined, {}, { r1: accept }, { r1: 7, r2: null, r3: [] }, { other: accept }]) {
        const { body } = await callTool(asks, 'together', {}, { params: { requestState, ...(inputResponses && { inputResponses }) } });
        assert.equal(body.result.resultType, 'input_required');
        assert.deepEqual(body.result.inputRequests, inputRequests);
    }
    const answers = Object.fromEntries(Object.entries(inputRequests).map(([key, { method }]) => [key,
        method === 'roots/list' ? { roots: [] } : method === 'sampling/createMessage' ? { role: 'assistant', model: 'm', content: { type: 'text', text: 't' } } : accept]));
    const { body } = await callTool(asks, 'together', {}, { params: { requestState, inputResponses: { ...answers, unknown: {} } } });
    assert.equal(body.result.resultType, 'complete', JSON.stringify(body));
    assert.equal((await asks.seen()).runs.together, 1);
});

test('what the server said between rounds comes with the next one', async () => {
    const first = await firstRound(asks, 'in_turn', {}, { meta: { progressToken: 'one' } });
    const second = await callTool(asks, 'in_turn', {}, { meta: { progressToken: 'two' }, params: { requestState: first.requestState, inputResponses: { r1: accept } } });
    assert.deepEqual(second.messages.filter((message) => message.method).map((message) => message.params.progressToken), ['two']);
    assert.equal(second.body.result.resultType, 'input_required');
    assert.notEqual(second.body.result.requestState, first.requestState);
    const third = await callTool(asks, 'in_turn', {}, { params: { requestState: second.body.result.requestState, inputResponses: { r1: accept } } });
    assert.deepEqual(saidBy(third.body.result), [accept, accept]);
});

test('a state is good for one principal, connection, method, tool and arguments, whatever their spelling, and once', async () => {
    const args = { b: [1, { z: 'ä', a: null }], a: 1.50 };
    const { requestState } = await firstRound(asks, 'form', args);
    const params = { requestState, inputResponses: { r1: accept } };
    const mine = await tulle.makeKey('acme', org.email);
    expired(await callTool(asks, 'form', args, { params, key: mine }));
    expired(await callTool(json, 'form', args, { params }));
    expired(await callTool(asks, 'url', args, { params }));
    expired(await callTool(asks, 'form', { ...args, a: 2 }, { params }));
    expired(await callTool(asks, 'form', {}, { params }));
    expired(await modern(asks, 'prompts/get', { name: 'form', arguments: args, ...params }));
    for (const forged of ['', 'x', `${requestState}x`, requestState.slice(0, -2), requestState.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')), 7, null, { a: 1 }, 'v1.00000000.AAAA'])
        expired(await callTool(asks, 'form', args, { params: { ...params, requestState: forged } }));
    expired(await callTool(asks, 'form', args, { params: { inputResponses: { r1: accept } } }));
    expired(await callTool(asks, 'form', args, { params: { requestState, inputResponses: [] } }));
    assert.equal((await asks.seen()).runs.form, 1, 'nothing ran again');
    const respelled = await callTool(asks, 'form', { a: 1.50, b: [1, { a: null, z: '\u00e4' }] }, { params });
    assert.deepEqual(saidBy(respelled.body.result), accept, 'the order of members does not matter');
    expired(await callTool(asks, 'form', args, { params }));
    assert.equal((await asks.seen()).runs.form, 1);
});

test('of many that race with one state exactly one goes on', async () => {
    const { requestState } = await firstRound(asks, 'form');
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) =>
        callTool(asks, 'form', {}, { id: `race-${i}`, params: { requestState, inputResponses: { r1: accept } } })));
    const won = answers.filter(({ body }) => body.result);
    assert.equal(won.length, 1, JSON.stringify(answers.map(({ body }) => body)));
    assert.deepEqual(saidBy(won[0].body.result), accept);
    for (const answer of answers) if (answer !== won[0]) expired(answer);
    assert.equal((await asks.seen()).runs.form, 1);
});

test('a URL that must be opened first is input too; then the call begins anew', async () => {
    const { inputRequests, requestState } = await firstRound(asks, 'url_first');
    assert.deepEqual(inputRequests.r1.params, { mode: 'url', message: 'Sign in', url: 'https://example.com/sign-in' });
    await asks.grant();
    const params = { requestState, inputResponses: { r1: { action: 'accept' } } };
    const { body } = await callTool(asks, 'url_first', {}, { params });
    assert.equal(textOf(body.result), 'granted');
    expired(await callTool(asks, 'url_first', {}, { params }));
    await asks.reset();
    const declined = await callTool(asks, 'url_first', {}, { params: { requestState: (await firstRound(asks, 'url_first')).requestState, inputResponses: { r1: { action: 'decline' } } } });
    assert.equal(declined.body.result.isError, true);
    assert.equal((await asks.seen()).runs.url_first, 1);
    for (const capabilities of [{}, { elicitation: { form: {} } }]) {
        const refused = await callTool(asks, 'url_first', {}, { capabilities });
        assert.deepEqual([refused.status, refused.body.error.code, refused.body.error.data.requiredCapabilities], [400, -32021, { elicitation: { url: {} } }]);
        assert.equal(refused.body.id, 'hand');
    }
});

test('when the server loses the session, what waited in it is over and the rest goes on', async () => {
    const { requestState } = await firstRound(asks, 'form');
    await asks.forgetSessions();
    assert.equal((await callTool(asks, 'echo', { text: 'again' })).body.result.content[0].text, 'again');
    assert.equal((await modern(asks, 'tools/list')).status, 200);
    expired(await callTool(asks, 'form', {}, { params: { requestState, inputResponses: { r1: accept } } }));
    assert.equal((await asks.seen()).runs.form, 1);
});

// ---- subscriptions ----

/** A listen stream by hand: messages(), close(). */
async function listen(server, notifications, { id = 'L1', capabilities = everyCapability, key = org.key } = {}) {
    const stream = await open(server.mcp, {
        key, headers: { 'mcp-protocol-version': VERSION, 'mcp-method': 'subscriptions/listen' },
        body: { jsonrpc: '2.0', id, method: 'subscriptions/listen', params: { notifications, _meta: { 'io.modelcontextprotocol/protocolVersion': VERSION, 'io.modelcontextprotocol/clientCapabilities': capabilities } } },
    });
    assert.equal(stream.status, 200, stream.text());
    await until('the acknowledgement', () => stream.messages().length > 0);
    return stream;
}
const kinds = (stream) => stream.messages().map((message) => message.params?.uri ?? message.method?.replace('notifications/', '') ?? 'end');

test('listeners hear what they asked for and nothing else, each under its own id', async () => {
    const all = await listen(asks, { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true, resourceSubscriptions: ['asks://page/1', 'asks://page/2'] }, { id: 7 });
    const one = await listen(asks, { resourceSubscriptions: ['asks://page/1'] });
    assert.deepEqual(all.messages()[0].params.notifications, { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true, resourceSubscriptions: ['asks://page/1', 'asks://page/2'] });
    assert.deepEqual((await asks.seen()).subscribed.sort(), ['asks://page/1', 'asks://page/2'], 'asked for once, however many want it');
    await callTool(asks, 'change');
    await until('everything is heard', () => all.messages().length === 6 && one.messages().length === 2);
    assert.deepEqual(kinds(all).sort(), ['asks://page/1', 'asks://page/2', 'prompts/list_changed', 'resources/list_changed', 'subscriptions/acknowledged', 'tools/list_changed']);
    assert.deepEqual(kinds(one), ['subscriptions/acknowledged', 'asks://page/1']);
    for (const [stream, id] of [[all, 7], [one, 'L1']])
        for (const message of stream.messages()) assert.equal(message.params._meta['io.modelcontextprotocol/subscriptionId'], id);
    all.close();
    await until('the last one that wanted page 2 is gone', async () => (await asks.seen()).unsubscribed.includes('asks://page/2'));
    assert.deepEqual((await asks.seen()).unsubscribed, ['asks://page/2']);
    one.close();
    await until('and page 1', async () => (await asks.seen()).unsubscribed.includes('asks://page/1'));
});

test('the SDK client listens', async () => {
    const client = await connect(asks.mcp);
    const heard = [];
    client.setNotificationHandler('notifications/tools/list_changed', () => heard.push('tools'));
    const subscription = await client.listen({ toolsListChanged: true });
    await client.callTool({ name: 'change', arguments: {} });
    await until('the change is heard', () => heard.length > 0);
    await subscription.close();
    await client.close();
});

test('a server without a stream of its own: nothing is promised', async () => {
    const stream = await listen(blind, { toolsListChanged: true, resourceSubscriptions: ['asks://page/1'] });
    assert.equal(await stream.done, true);
    assert.deepEqual(stream.messages(), [
        { jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params: { _meta: { 'io.modelcontextprotocol/subscriptionId': 'L1' }, notifications: {} } },
        { jsonrpc: '2.0', id: 'L1', result: { resultType: 'complete', _meta: { 'io.modelcontextprotocol/subscriptionId': 'L1' } } },
    ]);
    const client = await connect(blind.mcp);
    assert.deepEqual(saidBy(await client.callTool({ name: 'form', arguments: {} })), { action: 'accept', content: { name: 'Ada' } });
    await client.close();
});

test('subscriptions outlive the server\'s session', async () => {
    const stream = await listen(asks, { toolsListChanged: true, resourceSubscriptions: ['asks://page/1'] });
    await asks.forgetSessions();
    await until('subscribed again', async () => (await asks.seen()).subscribed.length === 2, 20_000);
    await until('what may have been missed is said', () => stream.messages().length >= 3);
    const before = stream.messages().length;
    await callTool(asks, 'change');
    await until('and changes are heard', () => stream.messages().length >= before + 2);
    await asks.forgetSessions();
    await callTool(asks, 'echo', { text: 'again' }); // which opens the next session
    await until('subscribed there, too', async () => (await asks.seen()).subscribed.length >= 3, 20_000);
    stream.close();
});

test('listening asks for a filter', async () => {
    assert.equal((await modern(asks, 'subscriptions/listen')).body.error.code, -32602);
});

// ---- waiting ----

test('a call whose client does not come back ends at the server, and a state does not outlive a restart', async () => {
    const brief = await startTulle({ env: { INPUT_WAIT_SECONDS: '1' } });
    const theirs = await brief.makeOrg('brief');
    const server = { ...await brief.connect(theirs, { name: 'asks', url: asks.url }) };
    const first = await firstRound(server, 'form', {}, { key: theirs.key });
    await until('the server is told', async () => (await asks.seen()).aborted + (await asks.seen()).refused.length > 0);
    expired(await callTool(server, 'form', {}, { key: theirs.key, params: { requestState: first.requestState, inputResponses: { r1: accept } } }));
    await brief.stop();
    await asks.reset();
    const again = await startTulle({ dataDir: brief.dataDir, port: brief.port, env: { INPUT_WAIT_SECONDS: '600' } });
    const second = await firstRound(server, 'form', {}, { key: theirs.key });
    await again.stop();
    const after = await startTulle({ dataDir: brief.dataDir, port: brief.port });
    expired(await callTool(server, 'form', {}, { key: theirs.key, params: { requestState: second.requestState, inputResponses: { r1: accept } } }));
    assert.equal((await asks.seen()).runs.form, 1);
    await after.end();
});

// ---- sessions and eras ----

test('people do not share a session, whatever they declare', async () => {
    const other = await tulle.makeOrg('people');
    const server = await tulle.connect(other, { name: 'asks', url: asks.url });
    const second = await tulle.makeKey(other.slug, other.email);
    for (const key of [other.key, other.key, second, second]) assert.equal((await callTool(server, 'echo', {}, { key })).status, 200);
    assert.equal((await asks.seen()).sessions, 2);
});

/** A server in this process that is of one era or the other, and may hold initialize: {url, is, calls, initialized}. */
async function startTurncoat() {
    const state = { era: 'session', calls: 0, initialized: 0, held: null };
    const answer = (res, status, body, headers = {}) => res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify({ jsonrpc: '2.0', ...body }));
    const handle = async (req, res) => {
        let text = '';
        for await (const chunk of req) text += chunk;
        const { id, method } = text ? JSON.parse(text) : {};
        const isModern = req.headers['mcp-protocol-version'] === VERSION;
        if (req.method !== 'POST') return res.writeHead(405).end();
        if (state.era === 'modern' && !isModern) return answer(res, 400, { id, error: { code: -32022, message: 'unsupported', data: { supported: [VERSION] } } });
        if (state.era === 'modern' && method === 'server/discover') return answer(res, 200, { id, result: { resultType: 'complete', supportedVersions: [VERSION], capabilities: { tools: {} } } });
        if (state.era === 'session' && isModern) return answer(res, 400, { id: null, error: { code: -32000, message: 'Bad Request: no session' } });
        if (method === 'initialize') {
            state.initialized++;
            if (state.held) return state.held.then(() => answer(res, 500, { id, error: { code: -32603, message: 'no' } }));
            return answer(res, 200, { id, result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'turncoat', version: '1' } } }, { 'mcp-session-id': 'only-one' });
        }
        if (id === undefined) return res.writeHead(202).end();
        state.calls++;
        if (method === 'tools/list') return answer(res, 200, { id, result: { tools: [], nextCursor: `of ${state.era}`, ...(state.era === 'modern' && { resultType: 'complete', ttlMs: 0, cacheScope: 'private' }) } });
        return answer(res, 200, { id, result: { content: [{ type: 'text', text: state.era }], ...(state.era === 'modern' && { resultType: 'complete' }) } });
    };
    const listener = createServer((req, res) => handle(req, res).catch(() => res.destroy()));
    await new Promise((ready) => listener.listen(0, '127.0.0.1', ready));
    listener.unref();
    return Object.assign(state, { url: `http://127.0.0.1:${listener.address().port}/mcp` });
}

test('a server that was upgraded, or set back, is noticed; the call that notices runs once', async () => {
    const server = await startTurncoat();
    server.mcp = (await tulle.connect(org, { name: 'turncoat', url: server.url })).mcp;
    for (const era of ['session', 'modern', 'session', 'modern']) {
        for (const capabilities of [everyCapability, {}]) {
            server.era = era;
            const before = server.calls;
            // Doubts are a moment apart: a server that refuses everything is not probed for each call.
            const { body } = await until(`the server is known as ${era}`, async () => {
                const given = await callTool(server, 'any', {}, { capabilities });
                return given.body.result && given;
            });
            assert.equal(textOf(body.result), era);
            assert.equal(server.calls, before + 1);
        }
    }
});

test('a place in a list of the one era is none in the other', async () => {
    const server = await startTurncoat();
    server.mcp = (await tulle.connect(org, { name: 'turnlist', url: server.url })).mcp;
    const { nextCursor } = (await modern(server, 'tools/list')).body.result;
    assert.equal((await modern(server, 'tools/list', { cursor: nextCursor })).body.result.nextCursor !== undefined, true);
    server.era = 'modern';
    await until('the server is known as modern', async () => (await callTool(server, 'any')).body.result);
    assert.equal((await modern(server, 'tools/list', { cursor: nextCursor })).body.error.code, -32602);
});

test('those who wait for one initialize fail with it', async () => {
    const [own, server] = await Promise.all([startTulle(), startTurncoat()]); // nobody else's calls are to be counted
    const theirs = await own.makeOrg('patient');
    server.mcp = (await own.connect(theirs, { name: 'holds', url: server.url })).mcp;
    after(() => own.end());
    let release;
    server.held = new Promise((resolve) => (release = resolve));
    const waiters = async () => Number(/^tulle_downstream_session_waiters (\d+)/m.exec(await own.metrics())[1]);
    const calls = Array.from({ length: 8 }, () => callTool(server, 'any', {}, { capabilities: {}, key: theirs.key }));
    await until('all but the one that asks wait', async () => server.initialized === 1 && await waiters() === 7);
    release();
    for (const { body } of await Promise.all(calls)) assert.equal(body.error.code, -32603);
    assert.equal(server.initialized, 1);
});

// ---- servers that are not ours ----

test('server-everything: tools, sampling, elicitation, roots, progress, logging, subscriptions', async () => {
    const client = await connect(everything.mcp);
    assert.ok((await client.listTools()).tools.length > 5);
    assert.match(textOf(await client.callTool({ name: 'echo', arguments: { message: 'hello' } })), /hello/);
    assert.match(JSON.stringify((await client.callTool({ name: 'trigger-sampling-request', arguments: { prompt: 'p', maxTokens: 5 } })).content), /test-model/);
    assert.match(JSON.stringify((await client.callTool({ name: 'trigger-elicitation-request', arguments: {} })).content), /Ada|accept/i);
    const steps = [];
    await client.callTool({ name: 'trigger-long-running-operation', arguments: { duration: 0.3, steps: 3 } }, { onprogress: ({ progress, message }) => message ?? steps.push(progress) });
    assert.ok(steps.length > 0 && steps.every((step, i) => i === 0 || step > steps[i - 1]), JSON.stringify(steps));
    assert.ok((await client.listPrompts()).prompts.length > 0);
    assert.ok((await client.listResources()).resources.length > 0);
    await client.close();
});

test('the fixture on SDK v1 with JSON answers', async () => {
    const client = await connect(v1.mcp, { capabilities: {} });
    assert.equal((await client.listTools()).tools.length, 10);
    assert.equal((await client.callTool({ name: 'structured', arguments: { city: 'Bonn' } })).structuredContent.city, 'Bonn');
    await v1.forgetSessions();
    assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { text: 'again' } })), 'again');
    await client.close();
});
