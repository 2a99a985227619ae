// What a bad server does, seen by every kind of client, at both eras of servers, directly and through the hub: a clear error
// in the protocol's own form, exactly one answer, and the connection works afterwards.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { until } from './lib/children.mjs';
import { startRaw } from './lib/servers.mjs';
import { kinds, speak } from './lib/speakers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { plant } from './lib/secrets.mjs';

const eras = ['session', 'modern'];
const bearer = plant('bad-server');
let tulle, org, other;
const servers = {}, cells = [];
before(async () => {
    [tulle, servers.session, servers.modern, other] = await Promise.all([startTulle(), startRaw(), startRaw({ isModern: true }), startRaw()]);
    org = await tulle.makeOrg('acme');
    for (const era of eras) {
        const connection = await tulle.connect(org, { name: `${era} server`, slug: `bad-${era}`, url: servers[era].url, credential: { bearer } });
        for (const kind of kinds) {
            cells.push({ era, kind, way: 'direct', what: `${kind} client, ${era} server`, url: connection.mcp, prefix: '' });
            cells.push({ era, kind, way: 'hub', what: `${kind} client, hub, ${era} server`, url: `${tulle.url}/mcp/hub`, prefix: `bad-${era}__` });
        }
    }
    for (const cell of cells) cell.client = await speak(cell.kind, cell.url, org.key);
    for (const cell of cells) assert.ok((await cell.client.ask('tools/list')).body.result, cell.what); // the hub knows its names now
});
after(() => tulle?.end());

const call = (cell, name, args = {}) => cell.client.tool(cell.prefix + name, args);

/** The cell works; where its session is gone, as 404 says, the client begins a new one. */
async function works(cell, why) {
    const { status, body, text } = await call(cell, 'echo', { text: 'still here' });
    assert.equal(status, 200, `${cell.what} after ${why}: ${text}`);
    assert.equal(body.result?.content[0].text, 'still here', `${cell.what} after ${why}: ${text}`);
}

function isOneError(cell, why, { status, body, messages, headers, text }) {
    const where = `${cell.what}, ${why}: HTTP ${status} ${text.slice(0, 600)}`;
    assert.equal(status, 200, where);
    assert.equal(body?.jsonrpc, '2.0', where);
    assert.equal(body.error?.code, -32603, where);
    assert.ok(body.error.message.length > 0, where);
    assert.match(body.error.data?.reason ?? 'none', /^[a-z_]+$/, where);
    assert.equal(messages.filter((message) => 'id' in message).length, 1, where);
    assert.equal(headers['www-authenticate'], undefined, where);
    assert.ok(!text.includes('their stack trace'), where);
}

const failures = {
    'a reset connection': ['reset'],
    'a stream cut before the answer': ['cut_sse'],
    'a stream that ends without the answer': ['end_sse'],
    'JSON that breaks off': ['invalid_json'],
    'an event that is not JSON': ['invalid_sse'],
    'bytes that are not UTF-8': ['invalid_utf8'],
    'an answer to another question': ['wrong_id'],
    'an answer to another question as an event': ['message', { sse: true, messages: [{ jsonrpc: '2.0', id: 987654321, result: { content: [] } }] }],
    'an answer with a null id': ['message', { messages: [{ jsonrpc: '2.0', id: null, result: { content: [] } }] }],
    'an array for an answer': ['message', { messages: [[{ jsonrpc: '2.0', id: '@ID', result: { content: [] } }]] }],
    'an answer without result and error': ['message', { messages: [{ jsonrpc: '2.0', id: '@ID' }] }],
    'the question for an answer': ['message', { messages: [{ jsonrpc: '2.0', id: '@ID', method: 'tools/call', params: {} }] }],
    'an error that is no object': ['message', { messages: [{ jsonrpc: '2.0', id: '@ID', error: 'bad' }] }],
    '401': ['status', { status: 401, headers: { 'www-authenticate': 'Bearer realm="downstream"' } }],
    '403': ['status', { status: 403 }],
    '405': ['status', { status: 405 }],
    '429 with Retry-After': ['status', { status: 429, headers: { 'retry-after': '7' } }],
    '500': ['status', { status: 500, body: 'their stack trace' }],
    '502 with HTML': ['status', { status: 502, body: '<html>bad gateway</html>', type: 'text/html' }],
    '200 with HTML': ['status', { status: 200, body: '<html>sign in</html>', type: 'text/html' }],
    '200 with an empty body': ['status', { status: 200, body: '', type: 'application/json' }],
    '200 with an empty event stream': ['status', { status: 200, body: '', type: 'text/event-stream' }],
    '202 for a request': ['accepted'],
    'a status beyond all': ['status', { status: 999 }],
    'compressed bytes that nobody asked for': ['status', { status: 200, body: '{}', type: 'application/json', headers: { 'content-encoding': 'gzip' } }],
    'no HTTP at all': ['bytes', { text: 'SSH-2.0-OpenSSH_9.2\r\n' }],
    'a head that never ends': ['bytes', { text: `HTTP/1.1 200 OK\r\n${'X-Fill: 0123456789\r\n'.repeat(8000)}` }],
    'two lengths': ['bytes', { text: 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n{}     ' }],
    'a chunk that is no number': ['bytes', { text: 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n' }],
};
for (const [why, [name, args]] of Object.entries(failures))
    test(`${why}: one clear error for every client`, async () => {
        for (const cell of cells) {
            isOneError(cell, why, await call(cell, name, args));
            await works(cell, why);
        }
    });

test('404: an error, or the end of the session that it means', async () => {
    for (const cell of cells) {
        const answer = await call(cell, 'session_lost');
        const isItsOwn = cell.kind === 'session' && cell.way === 'direct' && cell.era === 'session';
        if (!isItsOwn) {
            if (cell.era === 'session') isOneError(cell, '404', answer);
            else assert.ok(answer.body.error, answer.text); // its own error, as it is
        } else {
            assert.deepEqual([answer.status, answer.body.error.code], [404, -32001], answer.text);
            cell.client = await speak(cell.kind, cell.url, org.key);
        }
        await works(cell, '404');
    }
});

test('a session that vanishes between two calls is opened anew beneath its client', async () => {
    for (const cell of cells.filter(({ era }) => era === 'session')) {
        await servers.session.forgetSessions();
        await works(cell, 'a lost session');
    }
});

test('a redirect to another origin is not followed, the credential stays home', async () => {
    for (const cell of cells)
        for (const to of [other.url, 'file:///etc/passwd', `${servers[cell.era].origin}/elsewhere`, '//', 'http://[::1']) {
            isOneError(cell, `redirect to ${to}`, await call(cell, 'redirect', { to }));
            await works(cell, 'redirect');
        }
    assert.deepEqual(await other.seen(), []);
    for (const era of eras) assert.ok((await servers[era].seen()).every(({ url }) => !url.startsWith('/elsewhere')), 'nor one to itself');
});

test('two answers to one request: the client gets the first', async () => {
    for (const cell of cells) {
        const { body, messages, text } = await call(cell, 'duplicate');
        assert.equal(body.result?.content[0].text, 'first', `${cell.what}: ${text}`);
        assert.equal(messages.filter((message) => 'id' in message).length, 1, text);
        await works(cell, 'duplicate');
    }
});

test('slow but honest answers arrive, and so does one after a flood', async () => {
    const before = resident();
    await Promise.all(cells.map(async (cell) => {
        assert.equal((await call(cell, 'drip')).body.result?.content[0].text, 'dripped', cell.what);
        assert.equal((await call(cell, 'slow_sse', { ms: 20, events: 5 })).body.result?.content[0].text, 'after 5 events', cell.what);
        const { body, text } = await call(cell, 'flood', { events: 5000 });
        assert.equal(body.result?.content[0].text, 'after 5000', `${cell.what}: ${text.slice(-300)}`);
        await works(cell, 'a flood');
    }));
    assert.ok(resident() - before < 200_000, `${resident() - before} KiB`);
});

const resident = () => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${tulle.child.pid}/status`, 'utf8'))[1]);

for (const isEvent of [false, true])
    test(`an endless ${isEvent ? 'event' : 'answer'} is refused or cut, in bounded memory, and the server sees the end`, async () => {
        for (const cell of cells) {
            const server = servers[cell.era];
            await server.forget();
            const before = resident();
            const answer = await call(cell, 'endless_answer', { sse: isEvent }).catch((error) => ({ error }));
            if (!answer.error) isOneError(cell, 'an endless answer', answer);
            assert.ok(resident() - before < 150_000, `${cell.what}: ${resident() - before} KiB`);
            await until(`${cell.what}: the server is let go`, async () => (await server.seen()).some((one) => one.body.includes('endless_answer') && one.closedEarly));
            await works(cell, 'an endless answer');
        }
    });

for (const [why, name] of [['never answers', 'hang'], ['opens a stream and falls silent', 'stay_open'], ['streams for ever', 'endless']])
    test(`a server that ${why} holds up nobody else, and is let go when its client leaves`, async () => {
        for (const cell of cells) {
            const server = servers[cell.era];
            await server.forget();
            const waiting = cell.client.openTool(cell.prefix + name, { mark: 'left' }, { id: 'left' });
            waiting.catch(() => {}); // it is given up below
            const left = async () => (await server.seen()).find(({ body }) => body.includes('"mark":"left"'));
            await until(`${cell.what}: the server has it`, left);
            await works(cell, 'a call that hangs');
            waiting.leave();
            if (cell.kind === 'session') await cell.client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'left' } });
            await until(`${cell.what}: the server hears of it`, async () => (await left()).closedEarly || (await server.seen()).some(({ body }) => body.includes('notifications/cancelled')));
            await works(cell, 'leaving');
        }
    });
