// Session clients at a stateless server, by hand: what no SDK sends, and what each must hear.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { open, rpc, send } from './lib/http.mjs';
import { startAsking, startRaw } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { until } from './lib/children.mjs';

let tulle, org, asking, raw, mcp, other, rawMcp;
before(async () => {
    [tulle, asking, raw] = await Promise.all([startTulle(), startAsking(), startRaw({ isModern: true })]);
    org = await tulle.makeOrg('acme');
    mcp = (await tulle.connect(org, { name: 'asking', url: asking.url })).mcp;
    other = (await tulle.connect(org, { name: 'other', url: asking.url })).mcp;
    rawMcp = (await tulle.connect(org, { name: 'raw', url: raw.url })).mcp;
});
after(() => tulle?.end());

const everything = { roots: { listChanged: true }, sampling: { tools: {} }, elicitation: { form: {}, url: {} }, tasks: {}, extensions: { 'io.modelcontextprotocol/ui': {}, 'io.modelcontextprotocol/tasks': {} } };

/** A session by hand: {id, headers, call, open, answer...}. */
async function begin({ url = mcp, key = org.key, version = '2025-11-25', capabilities = everything, headers = {} } = {}) {
    const started = await rpc(url, 'initialize', { protocolVersion: version, capabilities, clientInfo: { name: 'hand', version: '1' } }, { key, headers });
    assert.equal(started.status, 200, started.text);
    const session = { 'mcp-session-id': started.headers['mcp-session-id'] };
    assert.match(session['mcp-session-id'], /^[\x21-\x7e]+$/);
    const post = (body, more = {}) => send(url, { key, headers: { accept: 'application/json, text/event-stream', ...session, ...more }, body });
    return {
        result: started.body.result, session, post, url, key,
        call: (method, params, more = {}) => rpc(url, method, params, { key, headers: { ...session, ...more } }),
        tool: (name, args = {}, more = {}) => rpc(url, 'tools/call', { name, arguments: args }, { key, headers: { ...session, ...more } }),
        answer: (id, result) => post({ jsonrpc: '2.0', id, result }),
        open: (name, args = {}, id = 'c1') => open(url, { key, headers: session, body: { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } } }),
        stream: () => open(url, { method: 'GET', key, headers: session }),
        end: () => send(url, { method: 'DELETE', key, headers: session }),
    };
}

/** The nth question on a call's stream. */
const question = (stream, n = 0) => until('the question arrives', () => stream.messages().filter((message) => message.method && message.id !== undefined)[n]);
const result = (stream) => stream.messages().find((message) => message.id === 'c1');
const accept = (name) => ({ action: 'accept', content: { name } });

test('whatever it asks, a client may cancel it, and not ask again under its id meanwhile', async () => {
    const client = await begin({ url: rawMcp });
    const prompts = { jsonrpc: '2.0', id: 'p1', method: 'prompts/list' };
    await raw.plan({ 'prompts/list': { name: 'hang' } });
    await raw.forget();
    const waiting = client.post(prompts);
    await until('the server is asked', async () => (await raw.seen()).some(({ body }) => body.includes('prompts/list')));
    const again = await client.post(prompts);
    assert.match(again.body.error.message, /still waiting/, again.text);
    await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'p1' } });
    assert.equal((await waiting).body?.result, undefined);
    await raw.plan({});
    assert.ok((await client.post(prompts)).body.result, 'the id is free again');
    await client.end();
});

for (const version of ['2025-03-26', '2025-06-18', '2025-11-25'])
    test(`revision ${version} is negotiated, and what it can is declared`, async () => {
        const client = await begin({ version });
        assert.equal(client.result.protocolVersion, version);
        const { body } = await client.tool('whoami');
        const { meta } = JSON.parse(body.result.content[0].text);
        const elicitation = { '2025-06-18': { form: {} }, '2025-11-25': { form: {}, url: {} } }[version];
        assert.deepEqual(meta['io.modelcontextprotocol/clientCapabilities'], {
            roots: {}, sampling: version === '2025-11-25' ? { tools: {} } : {}, ...(elicitation && { elicitation }),
            extensions: { 'io.modelcontextprotocol/ui': {} },
        });
        assert.equal(body.result.resultType, undefined);
        if (!elicitation) return;
        const stream = await client.open('ask_form');
        const asked = await question(stream);
        assert.equal(asked.params.mode, version === '2025-11-25' ? 'form' : undefined);
        assert.equal((await client.answer(asked.id, accept(version))).status, 202);
        await stream.done;
        assert.match(result(stream).result.content[0].text, new RegExp(version));
    });

test('an initialize that asks for anything else is answered with the latest session revision', async () => {
    for (const version of ['2026-07-28', '1999-01-01'])
        assert.equal((await begin({ version })).result.protocolVersion, '2025-11-25');
    const { body } = await rpc(mcp, 'initialize', { capabilities: {} }, org);
    assert.equal(body.error.code, -32602);
});

test('a gone session is 404; initialize may still show its id', async () => {
    const client = await begin();
    assert.equal((await client.end()).status, 204);
    for (const answer of [await client.tool('echo'), await client.end(), await client.answer('ask-1', {}), await send(mcp, { method: 'GET', key: org.key, headers: { accept: 'text/event-stream', ...client.session } })])
        assert.deepEqual([answer.status, answer.body.error.code], [404, -32001]);
    await begin({ headers: client.session });
});

test('a session works for its principal and connection only', async () => {
    const client = await begin();
    const key = (await tulle.use('API_KEY_CREATE', { name: 'second' }, org)).key;
    const elsewhere = await rpc(other, 'ping', {}, { key: org.key, headers: client.session });
    const stolen = await rpc(mcp, 'ping', {}, { key, headers: client.session });
    const forged = await rpc(mcp, 'ping', {}, { key: org.key, headers: { 'mcp-session-id': client.session['mcp-session-id'].replace(/.{4}$/, 'AAAA') } });
    for (const answer of [elsewhere, stolen, forged]) assert.equal(answer.status, 404);
    assert.deepEqual((await client.call('ping')).body.result, {});
});

test('only the first answer counts, and only from its own session', async () => {
    const client = await begin(), twin = await begin();
    const key = (await tulle.use('API_KEY_CREATE', { name: 'thief' }, org)).key;
    const stream = await client.open('ask_form');
    const { id } = await question(stream);
    const stranger = await begin({ key });
    for (const answer of [
        await twin.answer(id, accept('twin')), await stranger.answer(id, accept('stranger')), await client.answer('ask-999', accept('nobody')),
        await client.answer(1, accept('number')), await client.post({ jsonrpc: '2.0', error: { code: -1, message: 'no id' } }),
    ]) assert.equal(answer.status, 202, answer.text);
    assert.equal((await send(mcp, { key, headers: client.session, body: { jsonrpc: '2.0', id, result: accept('stolen') } })).status, 404);
    assert.equal(result(stream), undefined);
    assert.equal((await client.answer(id, accept('first'))).status, 202);
    assert.equal((await client.answer(id, accept('second'))).status, 202);
    await stream.done;
    assert.match(result(stream).result.content[0].text, /first/);
    assert.equal(stream.messages().filter((message) => message.id === 'c1').length, 1);
});

test('DELETE in the middle of a question ends the call', async () => {
    const client = await begin();
    const stream = await client.open('ask_form');
    await question(stream);
    assert.equal((await client.end()).status, 204);
    assert.equal(await stream.done, true);
    assert.ok(result(stream).error, stream.text());
});

test('a client that leaves in the middle of a question and cancels it leaves nothing behind', async () => {
    const client = await begin();
    const stream = await client.open('ask_form');
    const { id } = await question(stream);
    stream.close();
    await stream.done;
    // Leaving alone is no cancellation: the call waits for the answer, or for a Last-Event-ID.
    assert.equal((await client.open('ask_form')).status, 400);
    assert.equal((await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'c1' } })).status, 202);
    // The same id is free again as soon as the call is over, and the late answer is of no use to the new one.
    const again = await until('the id is free', async () => {
        const next = await client.open('ask_form');
        if (next.status === 200 && next.headers['content-type'] === 'text/event-stream') return next;
        next.close();
        return undefined;
    });
    const asked = await question(again);
    assert.notEqual(asked.id, id);
    assert.equal((await client.answer(id, accept('late'))).status, 202);
    assert.equal(result(again), undefined);
    await client.answer(asked.id, accept('in time'));
    await again.done;
    assert.match(result(again).result.content[0].text, /in time/);
});

test('notifications/cancelled in the middle of a question ends the stream without an answer', async () => {
    const client = await begin();
    const stream = await client.open('ask_form');
    await question(stream);
    assert.equal((await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'c1' } })).status, 202);
    await stream.done;
    assert.equal(result(stream), undefined);
});

test('a second request with an id that waits is refused', async () => {
    const client = await begin();
    const stream = await client.open('ask_form');
    const { id } = await question(stream);
    const twice = await client.post({ jsonrpc: '2.0', id: 'c1', method: 'tools/call', params: { name: 'echo', arguments: {} } });
    assert.deepEqual([twice.status, twice.body.error.code], [400, -32600]);
    await client.answer(id, accept('ada'));
    await stream.done;
});

test('a client that reads JSON only hears why it cannot be asked', async () => {
    const client = await begin();
    const json = { accept: 'application/json' };
    const { body, headers } = await client.tool('ask_form', {}, json);
    assert.match(headers['content-type'], /application\/json/);
    assert.equal(body.result.isError, true);
    assert.match(body.result.content[0].text, /cannot carry requests/);
    const prompt = await client.call('prompts/get', { name: 'asks' }, json);
    assert.equal(prompt.body.error.code, -32603);
    assert.match(prompt.body.error.message, /cannot carry requests/);
    assert.equal((await client.tool('echo', { text: 'still' }, json)).body.result.content[0].text, 'still');
});

test('what the server does not have is answered here', async () => {
    const client = await begin(), plain = await begin({ url: rawMcp });
    assert.deepEqual((await client.call('ping')).body.result, {});
    assert.equal((await client.post({ jsonrpc: '2.0', method: 'notifications/initialized' })).status, 202);
    assert.equal((await client.post({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' })).status, 202);
    assert.equal((await client.call('logging/setLevel', { level: 'loud' })).body.error.code, -32602);
    assert.deepEqual((await client.call('logging/setLevel', { level: 'error' })).body.result, {});
    for (const method of ['tasks/list', 'tasks/get', 'server/discover', 'subscriptions/listen', 'no/such']) {
        const { status, body } = await client.call(method, { taskId: 'x', notifications: {} });
        assert.deepEqual([method, status, body.error.code], [method, 200, -32601]);
    }
    assert.equal((await plain.call('resources/subscribe', { uri: 'raw://one' })).body.error.code, -32601);
    assert.deepEqual((await plain.call('resources/unsubscribe', { uri: 'raw://one' })).body.result, {});
    assert.equal((await client.call('resources/read', { uri: 'ask://none' })).body.error.code, -32002);
});

test('what the client says of the other revision is not passed on', async () => {
    await raw.forget();
    const client = await begin({ url: rawMcp });
    const params = {
        name: 'echo', arguments: { text: 'x' }, task: { ttl: 1 }, inputResponses: { a: {} }, requestState: 's', kept: [1.1],
        _meta: { 'io.modelcontextprotocol/clientInfo': { name: 'forged' }, 'io.modelcontextprotocol/logLevel': 'debug', 'example.com/own': { k: 1 }, progressToken: 'mine' },
    };
    const text = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }).replace('[1.1]', '[1.10]');
    await client.post(text, { 'mcp-param-stray': 'x' });
    const seen = (await raw.seen()).find((request) => request.body.includes('tools/call'));
    const { params: passed } = JSON.parse(seen.body);
    assert.deepEqual(Object.keys(passed).sort(), ['_meta', 'arguments', 'kept', 'name']);
    assert.match(seen.body, /"kept":\[1\.10\]/);
    assert.equal(passed._meta['io.modelcontextprotocol/clientInfo'].name, 'hand');
    assert.equal(passed._meta['io.modelcontextprotocol/logLevel'], undefined);
    assert.deepEqual(passed._meta['example.com/own'], { k: 1 });
    assert.notEqual(passed._meta.progressToken, 'mine');
    assert.equal(seen.headers['mcp-param-stray'], undefined);
    assert.equal(seen.headers['mcp-session-id'], undefined);
});

test('errors of the stateless revision are put into words that session clients know', async () => {
    const client = await begin({ url: rawMcp });
    const failed = (status, error) => client.tool('status', { status, type: 'application/json', body: { jsonrpc: '2.0', error } });
    const missing = await failed(400, { code: -32021, message: 'm', data: { requiredCapabilities: { sampling: {} } } });
    assert.equal(missing.body.result.isError, true);
    assert.match(missing.body.result.content[0].text, /sampling/);
    const unknown = await failed(404, { code: -32601, message: 'Method not found' });
    assert.deepEqual([unknown.status, unknown.body.error.code], [200, -32601]);
    const upgraded = await failed(400, { code: -32022, message: 'm', data: { supported: ['2027-01-01'] } });
    assert.match(upgraded.body.result.content[0].text, /upgraded/);
    const mismatch = await failed(400, { code: -32020, message: 'headers' });
    assert.equal(mismatch.body.error.code, -32603);
    const invalid = await failed(400, { code: -32602, message: 'bad', data: { x: 1 } });
    assert.deepEqual(invalid.body.error, { code: -32602, message: 'bad', data: { x: 1 } });
    const broken = await client.tool('status', { status: 500 });
    assert.deepEqual([broken.status, broken.body.error.code], [200, -32603]);
    for (const sse of [false, true]) {
        const huge = await client.tool('huge', { mb: 9, sse });
        assert.equal(huge.body.error.code, -32603);
        assert.match(huge.body.error.message, /larger than 8388608 bytes.*session era/);
    }
    assert.equal((await client.tool('huge', { mb: 7 })).body.result.content[0].text.length, 7 * 1024 * 1024);
    const refused = await client.tool('status', { status: 401 });
    assert.deepEqual([refused.status, refused.body.error.code], [200, -32603]);
});

test('headers that the server did not expect: its tools are listed again, and the call is sent once more', async () => {
    const client = await begin({ url: rawMcp });
    await raw.forget();
    await client.tool('status', { status: 400, type: 'application/json', body: { jsonrpc: '2.0', error: { code: -32020, message: 'headers' } } });
    const methods = (await raw.seen()).map(({ body }) => JSON.parse(body).method);
    assert.deepEqual(methods.slice(methods.indexOf('tools/call')), ['tools/call', 'tools/list', 'tools/call']);
});

test('kinds of results that nobody declared are failures; more than one cannot be asked', async () => {
    const client = await begin({ url: rawMcp, capabilities: { elicitation: {} } });
    const plan = (value) => raw.plan({ 'tools/call': value && { name: 'result', result: value } });
    const outcome = async (value) => {
        await plan(value);
        const { body } = await client.tool('anything');
        await raw.plan({});
        return body.result?.isError && body.result.content[0].text;
    };
    assert.match(await outcome({ resultType: 'task', taskId: 't' }), /kind of result/);
    assert.match(await outcome({ resultType: 'input_required' }), /does not say which/);
    assert.match(await outcome({ resultType: 'input_required', inputRequests: { a: { method: 'roots/list' } } }), /does not support roots/);
    assert.match(await outcome({ resultType: 'input_required', inputRequests: { a: { method: 'tools/call', params: {} } } }), /cannot be asked/);
    assert.match(await outcome({ resultType: 'input_required', inputRequests: { a: 'nonsense' } }), /no request/);
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`k${i}`, { method: 'elicitation/create', params: { message: 'm', requestedSchema: { type: 'object', properties: {} } } }]));
    assert.match(await outcome({ resultType: 'input_required', inputRequests: many }), /more at once/);
});

test('questions of two calls at once do not mix', async () => {
    const client = await begin();
    const [first, second] = [await client.open('ask_form', {}, 'c1'), await client.open('ask_url', {}, 'c2')];
    const [one, two] = [await question(first), await question(second)];
    assert.notEqual(one.id, two.id);
    assert.equal(one.params.message, 'Who are you?');
    await client.answer(two.id, { action: 'cancel' });
    await second.done;
    assert.match(second.messages().find((message) => message.id === 'c2').result.content[0].text, /cancel/);
    await client.answer(one.id, accept('one'));
    await first.done;
    assert.match(result(first).result.content[0].text, /one/);
});

test('notifications wait for the GET stream; a newer stream takes over', async () => {
    const client = await begin();
    assert.deepEqual((await client.call('resources/subscribe', { uri: 'ask://one' })).body.result, {});
    await asking.publish('updated', 'ask://one');
    const first = await client.stream();
    assert.equal(first.headers['content-type'], 'text/event-stream');
    await until('the update is delivered', () => first.text().includes('ask://one'));
    const second = await client.stream();
    assert.equal(await first.done, true);
    await until('the newer stream hears', async () => {
        await asking.publish('updated', 'ask://one');
        return second.text().includes('resources/updated');
    });
    assert.deepEqual((await client.call('resources/unsubscribe', { uri: 'ask://one' })).body.result, {});
    await client.end();
    assert.equal(await second.done, true);
});

test('a revoked key ends its stream', async () => {
    const { key, item } = await tulle.use('API_KEY_CREATE', { name: 'to be revoked' }, org);
    const client = await begin({ key });
    const stream = await client.stream();
    await tulle.use('API_KEY_DELETE', { key_id: item.id }, org);
    assert.equal(await stream.done, true);
});

test('the server\'s listen streams end with their sessions', async () => {
    const before = (await asking.stats()).listens;
    const clients = await Promise.all(Array.from({ length: 5 }, () => begin()));
    const streams = await Promise.all(clients.map((client) => client.stream()));
    await until('the server is listened to', async () => (await asking.stats()).listens === before + 5);
    await Promise.all(clients.map((client) => client.end()));
    await Promise.all(streams.map((stream) => stream.done));
    await until('nothing is left', async () => (await asking.stats()).listens === before);
});

test('one client\'s sessions beyond the cap end its own oldest', async () => {
    const key = (await tulle.use('API_KEY_CREATE', { name: 'many' }, org)).key;
    const first = await begin({ key }), mine = await begin();
    for (let i = 0; i < 64; i++) await begin({ key });
    assert.equal((await first.call('ping')).status, 404);
    assert.deepEqual((await mine.call('ping')).body.result, {});
});
