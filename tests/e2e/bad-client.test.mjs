// What a bad client sends: every refusal of the stateless revision in its order (section "Server requirements"), at every address;
// clients that leave at each step, answer twice or for others, forge what is sealed.
import { after, before, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { until } from './lib/children.mjs';
import { send } from './lib/http.mjs';
import { startAsking, startAsks, startRaw } from './lib/servers.mjs';
import { VERSION, kinds, modernMessage, speak } from './lib/speakers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org, asks, asking, raw;
const targets = {};
before(async () => {
    [tulle, asks, asking, raw] = await Promise.all([startTulle(), startAsks(), startAsking(), startRaw()]);
    org = await tulle.makeOrg('acme');
    const made = {};
    for (const [slug, server] of Object.entries({ asks, asking, raw })) made[slug] = await tulle.connect(org, { name: slug, slug, url: server.url });
    const { item } = await tulle.use('VIRTUAL_SERVER_CREATE', { name: 'chosen', connections: [{ connection_id: made.asks.id }, { connection_id: made.asking.id }] }, org);
    Object.assign(targets, {
        management: { url: `${tulle.url}/mcp`, tool: 'USER_GET' },
        'session server': { url: made.asks.mcp, tool: 'echo', prefix: '' },
        'modern server': { url: made.asking.mcp, tool: 'echo', prefix: '' },
        hub: { url: `${tulle.url}/mcp/hub`, tool: 'asks__echo', prefix: 'asks__' },
        'virtual server': { url: `${tulle.url}/mcp/${item.id}`, tool: 'asks__echo', prefix: '' }, // prefixes where names clash
        raw: { url: made.raw.mcp, tool: 'echo', prefix: '' },
    });
    for (const [name, { url }] of Object.entries(targets)) assert.ok((await (await speak('modern', url, org.key)).ask('tools/list')).body.result, name);
});
after(() => tulle?.end());
beforeEach(() => asks.reset());
const addresses = ['management', 'session server', 'modern server', 'hub', 'virtual server'];

// ---- section A10: each refusal alone, and each two of them: the earlier one wins ----

const meta = (request) => request.body.params._meta;
const claims = 'io.modelcontextprotocol/protocolVersion', capable = 'io.modelcontextprotocol/clientCapabilities';
const isObject = (request) => typeof request.body === 'object' && !Array.isArray(request.body) && request.body.params?._meta;
/** step: its place in the order. on(request) spoils a good request. isClaimless: takes away what says that the message is stateless. */
const refusals = [
    { step: 1, what: 'a foreign Origin', status: 403, on: (r) => (r.headers.origin = 'https://evil.example') },
    { step: 1, what: 'Origin null', status: 403, on: (r) => (r.headers.origin = 'null') },
    { step: 2, what: 'PUT', status: 405, on: (r) => (r.method = 'PUT') },
    { step: 2.5, what: 'no token', status: 401, on: (r) => (r.key = undefined) },
    { step: 2.5, what: 'a wrong token', status: 401, on: (r) => (r.key = `${org.key.slice(0, -4)}AAAA`) },
    { step: 3, what: 'another content type', status: 415, on: (r) => (r.headers['content-type'] = 'text/plain') },
    { step: 3.5, what: 'an impossible Accept', status: 406, on: (r) => (r.headers.accept = 'image/png') },
    { step: 4, what: 'no JSON', status: 400, code: -32700, on: (r) => (r.body = '{"jsonrpc":"2.0",') },
    { step: 4, what: 'nothing', status: 400, code: -32700, on: (r) => (r.body = '') },
    { step: 5, what: 'an array', status: 400, code: -32600, on: (r) => (r.body = [r.body]) },
    { step: 5, what: 'a number', status: 400, code: -32600, on: (r) => (r.body = '7') },
    { step: 5, what: 'a posted response', isClaimless: true, status: 400, code: -32600, on: (r) => (r.body = { jsonrpc: '2.0', id: 1, result: {} }) },
    { step: 5, what: 'a posted error', isClaimless: true, status: 400, code: -32600, on: (r) => (r.body = { jsonrpc: '2.0', id: 1, error: { code: -1, message: 'no' } }) },
    { step: 5, what: 'an id that is null', status: 400, code: -32600, on: (r) => (r.body.id = null) },
    { step: 6, what: 'no _meta', isClaimless: true, status: 400, code: -32602, on: (r) => delete r.body.params._meta },
    { step: 6, what: 'no params', isClaimless: true, status: 400, code: -32602, on: (r) => delete r.body.params },
    { step: 6, what: '_meta that is no object', isClaimless: true, status: 400, code: -32602, on: (r) => (r.body.params._meta = [1]) },
    { step: 6, what: 'no version in _meta', isClaimless: true, status: 400, code: -32602, on: (r) => delete meta(r)[claims] },
    { step: 6, what: 'a version that is a number', status: 400, code: -32602, on: (r) => (meta(r)[claims] = 20260728) },
    { step: 6, what: 'no capabilities', status: 400, code: -32602, on: (r) => delete meta(r)[capable] },
    { step: 6, what: 'capabilities in an array', status: 400, code: -32602, on: (r) => (meta(r)[capable] = []) },
    { step: 7, what: 'another version in the header', status: 400, code: -32020, on: (r) => (r.headers['mcp-protocol-version'] = '2025-11-25') },
    { step: 7, what: 'no version in the header', status: 400, code: -32020, on: (r) => delete r.headers['mcp-protocol-version'] },
    {
        step: 8, what: 'a version that nobody speaks', status: 400, code: -32022, on: (r) => {
            r.headers['mcp-protocol-version'] = meta(r)[claims] = '2099-01-01';
        },
    },
    { step: 9, what: 'no Mcp-Method', status: 400, code: -32020, on: (r) => delete r.headers['mcp-method'] },
    { step: 9, what: 'another Mcp-Method', status: 400, code: -32020, on: (r) => (r.headers['mcp-method'] = 'Tools/Call') },
    { step: 9, what: 'no Mcp-Name', status: 400, code: -32020, on: (r) => delete r.headers['mcp-name'] },
    { step: 9, what: 'another Mcp-Name', status: 400, code: -32020, on: (r) => (r.headers['mcp-name'] = 'other') },
    { step: 9, what: 'an Mcp-Name in bad base64', status: 400, code: -32020, on: (r) => (r.headers['mcp-name'] = '=?base64?ZWNo*?=') },
    {
        step: 11, what: 'a method that nobody knows', status: 404, code: -32601, on: (r) => {
            r.headers['mcp-method'] = r.body.method = 'no/such';
        },
    },
    {
        step: 13, what: 'a tool that nobody has', status: 200, code: -32602, on: (r) => {
            r.headers['mcp-name'] = r.body.params.name = 'no_such_tool';
        },
    },
];

function spoiled(target, ...spoilers) {
    const request = { method: 'POST', key: org.key, ...modernMessage('tools/call', { name: target.tool, arguments: {} }, { id: 'mine' }) };
    for (const { on } of spoilers) on(request);
    return request;
}

async function refused(target, refusal, request, what) {
    const { status, body, headers, text } = await send(target.url, request);
    assert.equal(status, refusal.status, `${what}: HTTP ${status} ${text}`);
    if (refusal.code === undefined) return;
    assert.equal(body?.error?.code, refusal.code, `${what}: ${text}`);
    assert.equal(body.jsonrpc, '2.0', text);
    assert.ok(body.error.message.length > 0, text);
    assert.equal(headers['mcp-session-id'], undefined, text);
    if (refusal.step > 5) assert.equal(body.id, 'mine', text);
    else if (request.headers['mcp-protocol-version'] === VERSION) assert.notEqual(body.id, null, `${what}: an id that could not be read is left out: ${text}`);
    if (refusal.code === -32022) assert.deepEqual(body.error.data, { supported: [VERSION], requested: '2099-01-01' });
}

for (const name of addresses)
    test(`${name}: each refusal of the stateless revision has its status and code`, async () => {
        const target = targets[name];
        for (const refusal of refusals) await refused(target, refusal, spoiled(target, refusal), `${name}, ${refusal.what}`);
        const good = await send(target.url, spoiled(target));
        assert.ok(good.body.result, good.text);
    });

for (const name of addresses)
    test(`${name}: of two reasons to refuse, the earlier one is told`, async () => {
        const target = targets[name];
        for (const first of refusals)
            for (const second of refusals.filter(({ step }) => step > first.step)) {
                const request = spoiled(target, second);
                if (!isObject(request) && first.step >= 5) continue; // there is nothing left to spoil
                if (first.step === 9 && first.what.includes('Name') && second.step === 11) continue; // only some methods have a name
                if (first.isClaimless && second.step > 6 && second.step < 9) continue; // then nothing says that it is of this revision
                first.on(request);
                await refused(target, first, request, `${name}, ${first.what} and ${second.what}`);
            }
    });

test('other methods than POST are 405 and say so; without a session GET and DELETE too', async () => {
    for (const name of addresses)
        for (const method of ['GET', 'DELETE', 'PUT', 'PATCH']) {
            const { status, headers } = await send(targets[name].url, { method, key: org.key, headers: { accept: 'text/event-stream', 'mcp-protocol-version': VERSION } });
            assert.equal(status, 405, `${name} ${method}`);
            assert.match(headers.allow, /POST/, `${name} ${method}`);
        }
});

test('a body over the limit is 413 everywhere, announced or not', async () => {
    for (const name of addresses) {
        const request = spoiled(targets[name]);
        request.body.params.arguments.text = 'x'.repeat(4.2 * 1024 * 1024);
        const { status } = await send(targets[name].url, request).catch((error) => ({ status: error.code }));
        assert.ok([413, 'EPIPE', 'ECONNRESET'].includes(status), `${name}: ${status}`);
    }
});

test('what the stateless revision took away is 404 / -32601 everywhere, and no notification of it is minded', async () => {
    for (const name of addresses) {
        const client = await speak('modern', targets[name].url, org.key);
        for (const [method, params] of [['initialize', { protocolVersion: VERSION, capabilities: {}, clientInfo: { name: 'x', version: '1' } }], ['ping'],
            ['logging/setLevel', { level: 'info' }], ['resources/subscribe', { uri: 'asks://page/1' }], ['resources/unsubscribe', { uri: 'asks://page/1' }],
            ['tasks/list'], ['roots/list'], ['sampling/createMessage', { messages: [], maxTokens: 1 }], ['elicitation/create', { message: 'x', requestedSchema: {} }]]) {
            const { status, body, text } = await client.ask(method, params, { headers: { 'mcp-name': '' } });
            assert.deepEqual([status, body?.error?.code], [404, -32601], `${name} ${method}: ${status} ${text}`);
        }
        for (const method of ['notifications/initialized', 'notifications/roots/list_changed', 'notifications/elicitation/complete', 'notifications/cancelled']) {
            const { headers, body } = modernMessage(method, { requestId: 1 });
            delete body.id;
            const answer = await send(targets[name].url, { key: org.key, headers, body });
            assert.deepEqual([answer.status, answer.text], [202, ''], `${name} ${method}`);
        }
    }
});

test('an unknown tool, prompt or resource is the handler\'s error, at 200', async () => {
    for (const name of ['session server', 'modern server', 'hub', 'virtual server']) {
        const client = await speak('modern', targets[name].url, org.key);
        for (const [method, params] of [['tools/call', { name: 'none' }], ['prompts/get', { name: 'none' }], ['resources/read', { uri: 'none://none' }], ['tools/list', { cursor: 'forged' }]]) {
            const { status, body, text } = await client.ask(method, params);
            if (body.result && name === 'session server' && method !== 'tools/list') continue; // this server answers any name
            assert.deepEqual([status, body.error?.code], [200, -32602], `${name} ${method}: ${status} ${text}`);
        }
    }
});

// ---- clients that leave ----

/** A connection of its own on which only these bytes are sent; left at once, by FIN or RST. */
async function leaveAfter(bytes, { isReset = false } = {}) {
    const socket = connect(tulle.port, '127.0.0.1');
    socket.on('error', () => {});
    await new Promise((resolve) => socket.write(bytes, resolve));
    if (isReset) socket.resetAndDestroy();
    else socket.destroy();
}

test('a client that leaves before, in or after its body costs nothing and disturbs nobody', async () => {
    for (const name of addresses) {
        const { url, tool } = targets[name];
        const { headers, body } = modernMessage('tools/call', { name: tool, arguments: {} });
        const text = JSON.stringify(body);
        const head = [`POST ${new URL(url).pathname} HTTP/1.1`, `Host: 127.0.0.1:${tulle.port}`, `Authorization: Bearer ${org.key}`, 'Content-Type: application/json',
            `Content-Length: ${text.length}`, ...Object.entries(headers).map(([key, value]) => `${key}: ${value}`), '', ''].join('\r\n');
        for (const bytes of ['P', head.slice(0, 40), head.slice(0, -2), head, head + text.slice(0, 1), head + text.slice(0, -1), head + text])
            for (const isReset of [false, true]) await leaveAfter(bytes, { isReset });
        const client = await speak('modern', url, org.key);
        assert.ok((await client.tool(tool)).body.result, name);
    }
    // Long before the time that a body may take (30 s) is over.
    const open = async () => Number((await tulle.metrics()).match(/^tulle_http_connections (\d+)$/m)[1]);
    await until('none of their connections is kept', async () => await open() <= 1);
});

test('a client that leaves before the answer ends the call at the server', async () => {
    for (const kind of ['bare', 'modern']) {
        await asks.reset();
        for (const name of ['session server', 'hub']) {
            const client = await speak(kind, targets[name].url, org.key);
            const { aborted, runs } = await asks.seen();
            const waiting = client.openTool(`${targets[name].prefix}slow`);
            waiting.catch(() => {}); // given up below
            await until('the call has arrived', async () => (await asks.seen()).runs.slow > (runs.slow ?? 0));
            waiting.leave();
            await until(`${kind}, ${name}: it is told`, async () => (await asks.seen()).aborted > aborted);
        }
    }
});

test('a session client that leaves with a question open ends it; late answers are dropped', async () => {
    const capabilities = { elicitation: { form: {} } };
    for (const [name, tool] of [['modern server', 'ask_form'], ['hub', 'asking__ask_form'], ['virtual server', 'ask_form'], ['session server', 'form'], ['hub', 'asks__form']]) {
        const client = await speak('session', targets[name].url, org.key, { capabilities });
        const stream = await client.openTool(tool, {}, { id: 'left' });
        const { id } = await until(`${name}, ${tool}: the question arrives`, () => stream.messages().find((message) => message.method === 'elicitation/create'));
        stream.close();
        await stream.done;
        const late = await client.post({ jsonrpc: '2.0', id, result: { action: 'accept', content: { name: 'late' } } });
        assert.ok([202, 404].includes(late.status), `${name}: ${late.status}`);
        const again = await until('the id is free again', async () => {
            const next = await client.openTool(tool, {}, { id: 'left' });
            if (next.headers['content-type'] === 'text/event-stream') return next;
            next.close();
            return undefined;
        });
        const { id: second } = await until('it asks again', () => again.messages().find((message) => message.method === 'elicitation/create'));
        await client.post({ jsonrpc: '2.0', id: second, result: { action: 'accept', content: { name: 'in time' } } });
        await again.done;
        const answers = again.messages().filter((message) => message.id === 'left');
        assert.equal(answers.length, 1, again.text());
        assert.match(JSON.stringify(answers[0].result), /in time/, name);
        await client.end();
    }
});

// ---- answers ----

test('an answer counts once, from the client that was asked, at its own address', async () => {
    const capabilities = { elicitation: { form: {} } };
    for (const [name, tool] of [['hub', 'asking__ask_form'], ['hub', 'asks__form'], ['virtual server', 'ask_form'], ['modern server', 'ask_form']]) {
        const { url } = targets[name];
        const client = await speak('session', url, org.key, { capabilities }), twin = await speak('session', url, org.key, { capabilities });
        const stream = await client.openTool(tool, {}, { id: 'c1' });
        const twins = await twin.openTool(tool, {}, { id: 'c1' });
        const asked = (from) => until(`${name}, ${tool}: the question arrives`, () => from.messages().find((message) => message.method === 'elicitation/create'));
        const { id } = await asked(stream), { id: other } = await asked(twins);
        const reply = (from, to, content) => from.post({ jsonrpc: '2.0', id: to, result: { action: 'accept', content: { name: content } } });
        for (const wrong of ['ask-999999', 999999, 'c1', `${id}x`]) assert.ok([202, 400].includes((await reply(client, wrong, 'stray')).status), name);
        const elsewhere = await send(targets['modern server'].url === url ? targets.hub.url : targets['modern server'].url, {
            key: org.key, headers: { accept: 'application/json, text/event-stream', ...client.session }, body: { jsonrpc: '2.0', id, result: { action: 'accept', content: { name: 'elsewhere' } } },
        });
        assert.equal(elsewhere.status, 404, name);
        if (id !== other) await reply(twin, id, 'not mine');
        await reply(client, id, 'first');
        await reply(client, id, 'second');
        await stream.done;
        assert.match(JSON.stringify(stream.messages().find((message) => message.id === 'c1').result), /first/, name);
        assert.equal(twins.messages().find((message) => message.id === 'c1'), undefined, 'the twin still waits');
        await reply(twin, other, 'its own');
        await twins.done;
        assert.match(JSON.stringify(twins.messages().find((message) => message.id === 'c1').result), /its own/, name);
        await Promise.all([client.end(), twin.end()]);
    }
});

/** Texts that differ from a sealed one in one place each. */
function* tampered(sealed) {
    for (let at = 0; at < sealed.length; at += Math.max(1, Math.floor(sealed.length / 24)))
        yield sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1);
    yield* [sealed.slice(0, -1), sealed.slice(0, sealed.length / 2), `${sealed}A`, sealed + sealed, '', 'x', '{}', sealed.toLowerCase(), ` ${sealed}`];
}

test('a requestState that is forged, foreign or used again is -32602, and nothing runs', async () => {
    const capabilities = { elicitation: { form: {} } };
    const accept = { action: 'accept', content: { name: 'Eve' } };
    const key = (await tulle.use('API_KEY_CREATE', { name: 'eve' }, org)).key;
    for (const name of ['session server', 'hub', 'virtual server']) {
        await asks.reset();
        const { url, prefix } = targets[name];
        const client = await speak('modern', url, org.key, { capabilities }), eve = await speak('modern', url, key, { capabilities });
        const tool = `${prefix}form`;
        const { body: { result }, text } = await client.tool(tool);
        assert.equal(result?.resultType, 'input_required', `${name}: ${text}`);
        const inputResponses = { [Object.keys(result.inputRequests)[0]]: accept };
        const retry = (from, requestState, more = {}) => from.ask('tools/call', { name: tool, arguments: {}, inputResponses, requestState, ...more });
        const isRefused = ({ status, body, text }, what) => assert.deepEqual([status, body.error?.code], [200, -32602], `${name}, ${what}: ${status} ${text}`);
        for (const forged of tampered(result.requestState)) isRefused(await retry(client, forged), `forged: ${forged.length}`);
        for (const wrong of [1, true, {}, [result.requestState]]) {
            const { status, body, text } = await retry(client, wrong);
            assert.ok(status < 500 && body.error, `${name}: ${text}`);
        }
        isRefused(await retry(eve, result.requestState), 'of another principal');
        isRefused(await retry(client, result.requestState, { arguments: { other: 1 } }), 'for other arguments');
        isRefused(await retry(client, result.requestState, { name: `${prefix}sampling` }), 'for another tool');
        const done = await retry(client, result.requestState);
        assert.match(done.body.result.content[0].text, /Eve/, done.text);
        isRefused(await retry(client, result.requestState), 'used again');
        assert.equal((await asks.seen()).runs.form, 1, 'it ran once');
    }
});

test('a session id that is forged or of another address is 404, and the true one still works', async () => {
    for (const name of ['session server', 'modern server', 'hub', 'virtual server']) {
        const client = await speak('session', targets[name].url, org.key);
        const id = client.session['mcp-session-id'];
        for (const forged of [...tampered(id)].filter((one) => one !== '' && one.trim() !== id)) {
            const { status, body, text } = await client.post({ jsonrpc: '2.0', id: 1, method: 'ping' }, { 'mcp-session-id': forged });
            assert.deepEqual([status, body.error.code], [404, -32001], `${name}: ${text}`);
        }
        for (const other of ['session server', 'modern server', 'hub', 'virtual server'].filter((one) => one !== name)) {
            const { status } = await send(targets[other].url, { key: org.key, headers: { accept: 'application/json, text/event-stream', ...client.session }, body: { jsonrpc: '2.0', id: 1, method: 'ping' } });
            assert.equal(status, 404, `${name} at ${other}`);
        }
        assert.deepEqual((await client.ask('ping')).body.result, {}, name);
        await client.end();
    }
});

test('an answer that nobody waits for is accepted and dropped, from every kind of client that may post one', async () => {
    for (const name of ['session server', 'modern server', 'hub', 'virtual server'])
        for (const kind of kinds.filter((one) => one !== 'modern')) {
            const client = await speak(kind, targets[name].url, org.key);
            for (const body of [{ jsonrpc: '2.0', id: 'nobody', result: {} }, { jsonrpc: '2.0', id: 5, error: { code: -1, message: 'no' } }]) {
                const { status, text } = await client.post(body);
                assert.ok([202, 400].includes(status), `${kind}, ${name}: ${status} ${text}`);
            }
            await client.end();
        }
});
