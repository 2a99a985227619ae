// Clients and servers that mean harm, or behave as if they did: nothing they send may stop Tulle, pass its policy, or reach others.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRaw, startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { guard } from './lib/secrets.mjs';
import { open, rpc, send } from './lib/http.mjs';
import { until, within } from './lib/children.mjs';

let tulle, org, raw, modernRaw, fixture, connection, stateless;
before(async () => {
    [tulle, raw, modernRaw, fixture] = await Promise.all([startTulle(), startRaw(), startRaw({ isModern: true }), startV1()]);
    org = await tulle.makeOrg('acme');
    connection = await tulle.connect(org, { name: 'raw', url: raw.url });
    stateless = await tulle.connect(org, { name: 'stateless', url: modernRaw.url });
});
after(() => tulle?.end());

const limit = { timeout: 10_000 };
const longText = 'x'.repeat(1_200_000);
const VERSION = '2026-07-28';
const both = 'application/json, text/event-stream';
const modernHeaders = (method) => ({ accept: both, 'mcp-protocol-version': VERSION, 'mcp-method': method });
const modernMeta = (more = {}) =>
    ({ 'io.modelcontextprotocol/protocolVersion': VERSION, 'io.modelcontextprotocol/clientCapabilities': {}, ...more });

/** A program of its own, which the test may hurt: run(tulle, its organization). */
async function alone(env, run) {
    const own = await startTulle({ env });
    try {
        await run(own, await own.makeOrg('alone'));
    } finally {
        await own.end();
    }
}

const release = (server) => fetch(`${server.origin}/_release`, { method: 'POST' });
const push = (server, message) => fetch(`${server.origin}/_push`, { method: 'POST', body: JSON.stringify({ jsonrpc: '2.0', ...message }) });
/** The bodies that the server got and that hold `part`. */
const arrived = async (server, part) => (await server.seen()).map(({ body }) => body).filter((body) => body.includes(part));

async function keyWith(fields, who = org, program = tulle) {
    const { key, item } = await program.use('API_KEY_CREATE', { name: 'e2e', ...fields }, who);
    return { key: guard(key, 'a key of the hostile tests'), id: item.id };
}
async function personWith(email, role, owner = org, program = tulle) {
    await program.makeUser(email);
    await program.use('ORGANIZATION_MEMBER_ADD', { email, role }, owner);
    return { key: await program.makeKey(owner.slug, email) };
}

/** Opens a session; the headers of its further requests. */
async function openSession(url, { key }) {
    const hello = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'by hand', version: '1' } };
    const { status, headers, text } = await rpc(url, 'initialize', hello, { key });
    assert.equal(status, 200, text);
    const session = { accept: both, 'mcp-session-id': headers['mcp-session-id'], 'mcp-protocol-version': '2025-06-18' };
    await send(url, { key, headers: session, body: { jsonrpc: '2.0', method: 'notifications/initialized' } });
    return session;
}

/** A bare tools/call whose client can leave at any time. */
function leaver(url, key, name, args = {}) {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } });
    const out = request(url, {
        method: 'POST', agent: false,
        headers: { authorization: `Bearer ${key}`, accept: both, 'content-type': 'application/json', 'content-length': body.length },
    });
    out.on('error', () => {});
    out.on('response', (res) => res.on('error', () => {}));
    out.end(body);
    return out;
}

test('clients that leave while large answers are on their way do no harm', { timeout: 20_000 }, () =>
    alone({ WORKERS: '1' }, async (own, owner) => {
        const { mcp } = await own.connect(owner, { name: 'raw', url: raw.url });
        const deadline = Date.now() + 2000;
        for (let round = 0; Date.now() < deadline; round++) {
            await raw.forget();
            const clients = Array.from({ length: 40 }, () => leaver(mcp, owner.key, 'hold', { kb: 400 }));
            await until('all calls arrive', async () => own.child.end || (await arrived(raw, '"hold"')).length === clients.length);
            assert.equal(own.child.end, undefined, own.child.err.slice(-2000));
            await release(raw);
            await sleep(round % 12);
            for (const client of clients) client.destroy();
        }
        const { body } = await rpc(mcp, 'tools/call', { name: 'echo', arguments: { text: 'alive' } }, owner);
        assert.equal(body.result.content[0].text, 'alive');
    }));

test('a uri of a megabyte is refused, and the audit goes on for others', { timeout: 20_000 }, () =>
    alone({}, async (own, owner) => {
        const victim = await own.makeOrg('victim');
        const [mine, theirs] = [await own.connect(owner, { name: 'raw', url: raw.url }), await own.connect(victim, { name: 'raw', url: raw.url })];
        const { status, body } = await rpc(mine.mcp, 'resources/read', { uri: longText }, owner);
        assert.ok([200, 400].includes(status), String(status));
        assert.equal(body.error?.code, -32602, JSON.stringify(body).slice(0, 300));
        for (let i = 0; i < 5; i++) await own.callTool(theirs, 'echo', { text: 'x' }, victim);
        await until('the rows of the other organization', async () => {
            const { items } = await own.use('CONNECTION_CALLS_LIST', { connection_id: theirs.id }, victim);
            return items.filter((row) => row.method === 'tools/call').length === 5;
        }, 4000);
    }));

test('a denied management tool with a megabyte for an id leaves its row, and the audit goes on', { timeout: 20_000 }, () =>
    alone({}, async (own, owner) => {
        const bob = await personWith('bob@alone.example', 'member', owner, own);
        const { status, text } = await own.tool('CONNECTION_DELETE', { connection_id: longText }, bob);
        assert.ok([400, 403, 404, 422].includes(status), `${status} ${text.slice(0, 200)}`);
        const rows = (name) => until(`a row of ${name}`, async () => {
            const { items } = await own.use('ORGANIZATION_AUDIT_LIST', { limit: 100 }, owner);
            const found = items.filter((row) => JSON.stringify(row).includes(name));
            return found.length > 0 && found;
        }, 4000);
        await own.use('ORGANIZATION_UPDATE', { description: 'afterwards' }, owner);
        await rows('ORGANIZATION_UPDATE');
        const [denial] = await rows('CONNECTION_DELETE');
        assert.equal(denial.outcome, 'denied');
        assert.ok(JSON.stringify(denial).length < 10_000, 'the row is short enough to be read');
    }));

const acknowledged = { jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params: { notifications: {} } };
const openListen = async (mcp, key, meta = {}) => {
    await modernRaw.plan({ 'subscriptions/listen': { name: 'stay_open', messages: [acknowledged] } });
    await modernRaw.forget();
    const stream = await open(mcp, {
        key, headers: modernHeaders('subscriptions/listen'),
        body: { jsonrpc: '2.0', id: 'listen-1', method: 'subscriptions/listen', params: { notifications: { toolsListChanged: true }, _meta: modernMeta(meta) } },
    });
    assert.equal(stream.status, 200);
    await until('the stream is acknowledged', () => stream.text().includes('acknowledged'), 4000);
    return stream;
};

test('progress on a listen stream does no harm', { timeout: 20_000 }, () =>
    alone({ WORKERS: '1', DRAIN_SECONDS: '1' }, async (own, owner) => {
        const { mcp } = await own.connect(owner, { name: 'stateless', url: modernRaw.url });
        const stream = await openListen(mcp, owner.key, { progressToken: 'a token of some length' });
        const [listen] = await arrived(modernRaw, 'subscriptions/listen');
        const token = JSON.parse(listen).params._meta.progressToken;
        for (const progressToken of [token, 'listen-1', 'a token of some length', 7])
            await push(modernRaw, { method: 'notifications/progress', params: { progressToken, progress: 1 } });
        await push(modernRaw, { method: 'notifications/tools/list_changed' });
        await until('the next message comes through', () => own.child.end || stream.text().includes('list_changed'), 4000);
        assert.equal(own.child.end, undefined, own.child.err.slice(-3000));
        assert.equal((await rpc(mcp, 'tools/list', { _meta: modernMeta() }, { key: owner.key, headers: modernHeaders('tools/list') })).status, 200);
        stream.close();
    }));

test('a call without an id is accepted and goes nowhere', limit, async () => {
    const narrow = await keyWith({ tools: ['echo'] });
    for (const { key } of [narrow, org]) {
        const headers = await openSession(connection.mcp, { key });
        await raw.forget();
        for (const name of ['whoami', 'echo']) {
            const body = { jsonrpc: '2.0', method: 'tools/call', params: { name, arguments: { text: 'unasked' } } };
            assert.equal((await send(connection.mcp, { key, headers, body })).status, 202);
        }
        assert.equal((await rpc(connection.mcp, 'ping', {}, { key, headers })).status, 200);
        assert.deepEqual(await arrived(raw, 'tools/call'), []);
    }
});

test('members that some servers would take for the judged ones are refused', limit, async () => {
    const { key } = await keyWith({ tools: ['echo'] });
    const headers = await openSession(connection.mcp, { key });
    await raw.forget();
    for (const members of [
        '"method":"tools/call","params":{"name":"echo","Name":"whoami","arguments":{}}',
        '"method":"tools/call","params":{"name":"echo","NAME":"whoami","arguments":{}}',
        '"method":"tools/call","params":{"N\\u0061me":"whoami","name":"echo"}',
        '"method":"ping","Method":"tools/call","params":{"name":"whoami","arguments":{}}',
        '"METHOD":"tools/call","method":"ping","params":{"name":"whoami","arguments":{}}',
        '"method":"tools/call","params":{"name":"echo"},"Params":{"name":"whoami"}',
        '"method":"tools/call","params":{"name":"echo"},"param\u017f":{"name":"whoami"}',
        '"method":"tools/call","params":{"name":"echo"},"param\\u017f":{"name":"whoami"}',
        '"method":"resources/read","params":{"uri":"raw://one","Uri":"raw://two"}',
    ])
        for (const [how, more] of [['bare', { accept: both }], ['in a session', headers]]) {
            const { body, text } = await send(connection.mcp, { key, headers: more, body: `{"jsonrpc":"2.0","id":5,${members}}` });
            assert.equal(body.error?.code, -32600, `${how}: ${members}: ${text}`);
        }
    for (const part of ['whoami', 'raw://']) assert.deepEqual(await arrived(raw, part), []);
});

test('another spelling of a denied resource is denied too', limit, async () => {
    const { id, mcp } = await tulle.connect(org, { name: 'fixture', url: fixture.url });
    const { item } = await tulle.use('ORGANIZATION_ROLE_CREATE', {
        name: 'no beta',
        statements: [
            { on: id, tools: ['*'], resources: ['fixture://static/*'], effect: 'allow' },
            { on: id, resources: ['fixture://static/beta'], effect: 'deny' },
        ],
    }, org);
    const person = await personWith('reader@acme.example', item.id);
    const read = (path) => rpc(mcp, 'resources/read', { uri: `fixture://static/${path}` }, person);
    assert.equal((await read('alpha')).body.result.contents[0].text, 'content of alpha');
    const denied = (await read('beta')).body.error;
    assert.equal(denied.code, -32602);
    for (const path of ['x/../beta', './beta', '%2e/beta', 'x/%2E%2e/beta', 'b\teta', 'be\nta', 'alpha/../beta']) {
        const { body, text } = await read(path);
        assert.deepEqual([body.error?.code, /not found/i.test(body.error?.message)], [-32602, /not found/i.test(denied.message)], `${JSON.stringify(path)}: ${text}`);
    }
});

test('CONNECTION_TOOL_CALL of two people uses two sessions of the server', limit, async () => {
    const bob = await personWith('bob@acme.example', 'member');
    const sessions = async (who) => {
        const found = new Set();
        for (let i = 0; i < 8; i++) {
            const { status, text } = await tulle.tool('CONNECTION_TOOL_CALL', { connection_id: connection.id, name: 'whoami', arguments: {} }, who);
            assert.equal(status, 200, text);
            found.add(/mcp-session-id\W+(raw-\d+)/.exec(text)[1]);
        }
        return found;
    };
    const first = await sessions(org);
    for (const session of await sessions(bob)) assert.ok(!first.has(session), `${session} is the session of both`);
});

/** The stream must end soon after its key does, though the server goes on sending. */
async function endsWithItsKey(stream, server, { id, key }, mcp) {
    await push(server, { method: 'notifications/message', params: { level: 'info', data: 'before' } });
    await until('the stream carries messages', () => stream.text().includes('before'), 4000);
    await tulle.use('API_KEY_DELETE', { key_id: id }, org);
    await until('the key stops', async () => (await rpc(mcp, 'ping', {}, { key })).status === 401, 4000);
    let isOpen = true;
    const done = stream.done.then(() => (isOpen = false));
    for (let i = 0; isOpen && i < 8; i++) {
        await push(server, { method: 'notifications/message', params: { level: 'info', data: `afterwards ${i}` } });
        await Promise.race([done, sleep(500)]);
    }
    stream.close();
    assert.ok(!isOpen, `the stream went on: ${stream.text()}`);
}

test('[253] an open GET stream ends with its key', limit, async () => {
    const who = await keyWith({});
    const headers = await openSession(connection.mcp, who);
    await raw.plan({ GET: { name: 'stay_open' } });
    try {
        const stream = await within(4000, 'the stream opens', open(connection.mcp, { method: 'GET', key: who.key, headers: { ...headers, accept: 'text/event-stream' } }));
        assert.equal(stream.status, 200);
        await endsWithItsKey(stream, raw, who, connection.mcp);
    } finally {
        await raw.plan({});
    }
});

test('[253] an open listen stream ends with its key', limit, async () => {
    const who = await keyWith({});
    await endsWithItsKey(await openListen(stateless.mcp, who.key), modernRaw, who, stateless.mcp);
});

test('a client that left a silent call has its row at once, though the server takes no cancellation', limit, async () => {
    const { id, mcp } = await tulle.connect(org, { name: 'silent', url: raw.url });
    await raw.plan({ 'notifications/cancelled': { name: 'hang' } });
    try {
        await raw.forget();
        const client = leaver(mcp, org.key, 'hang');
        await until('the call arrives', async () => (await arrived(raw, '"hang"')).length === 1, 4000);
        client.destroy();
        const row = await until('the row', async () => {
            const { items } = await tulle.use('CONNECTION_CALLS_LIST', { connection_id: id }, org);
            return items.find((one) => one.name === 'hang');
        }, 3000);
        assert.equal(row.outcome, 'cancelled');
    } finally {
        await raw.plan({});
    }
});

test('calls without a credential do not get in the way of one with it', limit, async () => {
    const refused = await Promise.all(Array.from({ length: 100 }, () => rpc(connection.mcp, 'tools/call', { name: 'echo', arguments: {} })));
    assert.ok(refused.every(({ status }) => [401, 429].includes(status)), [...new Set(refused.map(({ status }) => status))].join());
    const { body } = await tulle.callTool(connection, 'echo', { text: 'let in' }, org);
    assert.equal(body.result.content[0].text, 'let in');
});

test('a server that names other tools at each list does not brick its connection', limit, async () => {
    const growing = await tulle.connect(org, { name: 'growing', url: raw.url });
    await raw.plan({ 'tools/list': { name: 'new_tools', count: 300, kb: 8 } });
    try {
        for (let i = 0; i < 8; i++) {
            const { body } = await rpc(growing.mcp, 'tools/list', {}, org);
            assert.equal(body.result?.tools.length, 300, JSON.stringify(body).slice(0, 300));
        }
        await tulle.use('CONNECTION_UPDATE', { connection_id: growing.id, description: 'read it all again' }, org);
        const { body } = await tulle.callTool(growing, 'echo', { text: 'still here' }, org);
        assert.equal(body.result?.content[0].text, 'still here', JSON.stringify(body));
        const { items } = await tulle.use('CONNECTION_TOOLS_LIST', { connection_id: growing.id }, org);
        assert.ok(items.length > 0);
        assert.equal((await rpc(growing.mcp, 'tools/list', {}, org)).body.result?.tools.length, 300, 'the lists go on as well');
    } finally {
        await raw.plan({});
    }
});

test('initialize under a stateless envelope is no method', limit, async () => {
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'by hand', version: '1' }, _meta: modernMeta() };
    for (const url of [`${tulle.url}/mcp`, connection.mcp, stateless.mcp]) {
        const { status, headers, body, text } = await rpc(url, 'initialize', params, { key: org.key, headers: modernHeaders('initialize') });
        assert.deepEqual([status, body.error?.code], [404, -32601], `${url}: ${text}`);
        assert.equal(headers['mcp-session-id'], undefined);
    }
});
