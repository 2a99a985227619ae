// JSON-RPC batches: only sessions of revision 2025-03-26 have them.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startAsking, startLegs } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { rpc, send } from './lib/http.mjs';
import { openSession } from './lib/sessions.mjs';

let tulle, org, legs, urls;
before(async () => {
    let modern;
    [tulle, legs, modern] = await Promise.all([startTulle(), startLegs(), startAsking()]);
    org = await tulle.makeOrg('acme');
    urls = {
        'session server': (await tulle.connect(org, { name: 'legs', url: legs.url })).mcp,
        'stateless server': (await tulle.connect(org, { name: 'modern', url: modern.url })).mcp,
        hub: `${tulle.url}/mcp/hub`,
    };
});
after(() => tulle?.end());

const ping = (id) => ({ jsonrpc: '2.0', id, method: 'ping' });
const list = (id) => ({ jsonrpc: '2.0', id, method: 'tools/list' });
const note = { jsonrpc: '2.0', method: 'notifications/roots/list_changed' };
const byId = (messages) => Object.fromEntries(messages.map((message) => [message.id, message]));

for (const where of ['session server', 'stateless server', 'hub']) {
    test(`a batch of 2025-03-26 is answered as an array (${where})`, async () => {
        const session = await openSession(urls[where], org.key, { version: '2025-03-26' });
        const answer = await session.post([ping(1), note, list('two'), { jsonrpc: '2.0', id: 3, method: 'no/such' }]);
        assert.equal(answer.status, 200, answer.text);
        assert.match(answer.headers['content-type'], /^application\/json/);
        const answers = byId(JSON.parse(answer.text));
        assert.deepEqual(Object.keys(answers).sort(), ['1', '3', 'two']);
        assert.deepEqual(answers[1].result, {});
        assert.ok(answers.two.result.tools.length > 0);
        assert.equal(answers[3].error.code, -32601);
    });

    test(`a batch of notifications and responses is 202 (${where})`, async () => {
        const session = await openSession(urls[where], org.key, { version: '2025-03-26' });
        const answer = await session.post([note, { jsonrpc: '2.0', id: 'nobody asked', result: {} }]);
        assert.equal(answer.status, 202, answer.text);
        assert.equal(answer.text, '');
    });

    test(`other revisions have no batches (${where})`, async () => {
        for (const version of ['2025-06-18', '2025-11-25']) {
            const session = await openSession(urls[where], org.key, { version });
            const answer = await session.post([ping(1)]);
            assert.equal(answer.status, 400, version);
            assert.equal(answer.body.error.code, -32600);
        }
        const bare = await send(urls[where], { key: org.key, headers: { accept: 'application/json, text/event-stream' }, body: [ping(1)] });
        assert.equal(bare.status, 400);
        assert.equal(bare.body.error.code, -32600);
    });
}

test('what may not stand in a batch refuses the whole', async () => {
    const session = await openSession(urls['session server'], org.key, { version: '2025-03-26' });
    await legs.reset();
    const claim = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
    const bad = {
        empty: [],
        initialize: [ping(1), { jsonrpc: '2.0', id: 2, method: 'initialize', params: { protocolVersion: '2025-03-26', capabilities: {} } }],
        'a modern message': [ping(1), { jsonrpc: '2.0', id: 2, method: 'tools/list', params: { _meta: claim } }],
        'too many': Array.from({ length: 51 }, (_, i) => ping(i)),
    };
    for (const [what, body] of Object.entries(bad)) {
        const answer = await session.post(body);
        assert.equal(answer.status, 400, what);
        assert.equal(answer.body.error.code, -32600, what);
    }
    assert.equal((await session.post('[{"jsonrpc":')).status, 400);
    assert.deepEqual((await legs.seen()).methods, {}, 'nothing reached the server');
});

test('a message that is none gets its error, the others their answers', async () => {
    const session = await openSession(urls['session server'], org.key, { version: '2025-03-26' });
    const answers = JSON.parse((await session.post([1, { id: 7 }, ping(8)])).text);
    assert.equal(answers.length, 3);
    assert.deepEqual(answers.map((one) => one.error?.code ?? 'good'), [-32600, -32600, 'good']);
});

test('an event stream carries the answers when one of them streams', async () => {
    const session = await openSession(urls['session server'], org.key, { version: '2025-03-26' });
    const call = await session.open([ping(1), { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'held', arguments: { text: 'x' } } }, ping(3)]);
    assert.equal(call.status, 200);
    assert.match(call.headers['content-type'], /^text\/event-stream/);
    while (!call.text().includes('begun')) await new Promise((go) => setTimeout(go, 10));
    await legs.release();
    assert.equal(await call.done, true);
    const messages = call.messages();
    assert.deepEqual(messages.filter((one) => one.id !== undefined).map((one) => one.id), [1, 2, 3]);
    assert.equal(messages.filter((one) => one.method === 'notifications/message').length, 2);
});

test('messages of a batch reach the server one by one, never as a batch', async () => {
    const session = await openSession(urls['session server'], org.key, { version: '2025-03-26' });
    await legs.reset();
    await session.post([ping(1), ping(2), note]);
    const { methods } = await legs.seen();
    assert.equal(methods.ping, 2);
    assert.equal(methods['notifications/roots/list_changed'], 1);
});

test('a batch in an unknown session is 404', async () => {
    const answer = await send(urls['session server'], { key: org.key, headers: { accept: 'application/json, text/event-stream', 'mcp-session-id': 'forged' }, body: [ping(1)] });
    assert.equal(answer.status, 404);
    assert.equal(answer.body.error.code, -32001);
});

test('the management server, which has no sessions, goes by the version header', async () => {
    const url = `${tulle.url}/mcp`;
    const post = (version, body) => send(url, { key: org.key, headers: { accept: 'application/json', ...(version && { 'mcp-protocol-version': version }) }, body });
    const answer = await post('2025-03-26', [ping(1), list(2), note]);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(JSON.parse(answer.text).length, 2);
    for (const version of [undefined, '2025-06-18', '2025-11-25', '2026-07-28']) {
        const refused = await post(version, [ping(1)]);
        assert.equal(refused.status, 400, String(version));
        assert.equal(refused.body.error.code, -32600);
    }
    assert.equal((await rpc(url, 'ping', {}, { key: org.key })).status, 200);
});
