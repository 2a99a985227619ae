// A server that misbehaves: the client gets a clear JSON-RPC error, and the connection stays usable.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { startRaw } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { plant } from './lib/secrets.mjs';
import { open, rpc } from './lib/http.mjs';
import { until } from './lib/children.mjs';

let tulle, org, raw, other, connection;
const bearer = plant('faulty');
before(async () => {
    [tulle, raw, other] = await Promise.all([startTulle(), startRaw(), startRaw()]);
    org = await tulle.makeOrg('acme');
    connection = await tulle.connect(org, { name: 'faulty', url: raw.url, credential: { bearer } });
});
after(() => tulle?.end());

const call = (name, args = {}, options = {}) => tulle.callTool(connection, name, args, { key: org.key, ...options });
async function stillWorks() {
    const { status, body } = await call('echo', { text: 'still here' });
    assert.equal(status, 200);
    assert.equal(body.result?.content[0].text, 'still here', JSON.stringify(body));
}
function isFailure({ status, body, messages }, what) {
    assert.equal(status, 200, `${what}: HTTP 200`);
    assert.equal(body?.error?.code, -32603, `${what}: ${JSON.stringify(body)}`);
    assert.ok(body.error.message.length > 0, what);
    assert.match(body.error.data.reason, /^[a-z_]+$/, what);
    assert.equal(messages.filter((message) => 'id' in message).length, 1, `${what}: one answer`);
}

const failures = {
    'a reset connection': ['reset'],
    'a stream cut before the answer': ['cut_sse'],
    'a stream that ends without the answer': ['end_sse'],
    'JSON that breaks off': ['invalid_json'],
    'an event that is not JSON': ['invalid_sse'],
    'bytes that are not UTF-8': ['invalid_utf8'],
    'an answer to another question': ['wrong_id'],
    '401': ['status', { status: 401, headers: { 'www-authenticate': 'Bearer realm="downstream"' } }],
    '403': ['status', { status: 403 }],
    '404': ['status', { status: 404 }],
    '429 with Retry-After': ['status', { status: 429, headers: { 'retry-after': '7' } }],
    '500': ['status', { status: 500, body: 'stack trace of theirs' }],
    '502 with HTML': ['status', { status: 502, body: '<html>bad gateway</html>', type: 'text/html' }],
    '200 with HTML': ['status', { status: 200, body: '<html>sign in</html>', type: 'text/html' }],
    '200 with JSON that is no answer': ['status', { status: 200, body: [1, 2, 3], type: 'application/json' }],
    '200 with an empty body': ['status', { status: 200, body: '', type: 'application/json' }],
    '202 for a request': ['accepted'],
};
for (const [what, [name, args]] of Object.entries(failures))
    test(`${what}: -32603 with a reason over HTTP 200, and the connection stays usable`, async () => {
        const answer = await call(name, args);
        isFailure(answer, what);
        assert.equal(answer.headers['www-authenticate'], undefined, 'the server\'s challenge is not the client\'s');
        assert.ok(!answer.text.includes('stack trace of theirs'));
        await stillWorks();
    });

test('a JSON answer cut in the middle is an error or a cut answer, never a whole one', async () => {
    const answer = await call('cut').catch(() => null);
    if (answer) assert.equal(answer.body?.error?.code ?? -32603, -32603, answer.text);
    await stillWorks();
});

test('[259] a redirect to another origin is not followed, the credential stays home', async () => {
    isFailure(await call('redirect', { to: other.url }), 'redirect');
    assert.deepEqual(await other.seen(), []);
    isFailure(await call('redirect', { to: 'file:///etc/passwd' }), 'redirect to a file');
    await stillWorks();
});

test('two answers to one request: the client gets one', async () => {
    const { body, messages } = await call('duplicate');
    assert.equal(body.result.content[0].text, 'first');
    assert.equal(messages.filter((message) => 'id' in message).length, 1);
    await stillWorks();
});

test('the server\'s own error passes through as it is', async () => {
    const { status, body } = await call('rpc_error', { code: -32050, message: 'mine', data: { kept: [1, 2] } });
    assert.equal(status, 200);
    assert.deepEqual(body.error, { code: -32050, message: 'mine', data: { kept: [1, 2] } });
});

test('slow but honest answers arrive', async () => {
    assert.equal((await call('drip')).body.result.content[0].text, 'dripped');
    assert.equal((await call('later', { ms: 1500 })).body.result.content[0].text, 'after 1500');
    const { body, messages } = await call('slow_sse', { ms: 200, events: 5 });
    assert.equal(body.result.content[0].text, 'after 5 events');
    assert.equal(messages.length, 6);
});

test('huge answers pass, as JSON and as an event', async () => {
    for (const args of [{ mb: 10 }, { mb: 5, sse: true }]) {
        const { body } = await call('huge', args);
        assert.equal(body.result.content[0].text.length, args.mb * 1024 * 1024);
    }
    await stillWorks();
});

test('a server that never answers does not hold a client that leaves', async () => {
    const abort = new AbortController();
    const request = fetch(connection.mcp, {
        method: 'POST', signal: abort.signal,
        headers: { authorization: `Bearer ${org.key}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
        body: JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'hang', arguments: { mark: 'abandoned' } } }),
    });
    request.catch(() => {});
    const abandoned = async () => (await raw.seen()).find((one) => one.body.includes('abandoned'));
    await until('the server has it', abandoned);
    abort.abort();
    await until('the server sees the client leave', async () => (await abandoned()).closedEarly);
    await stillWorks();
});

test('a client that leaves an endless stream ends it at the server', async () => {
    await raw.forget();
    const answer = await open(connection.mcp, { key: org.key, body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'endless', arguments: {} } } });
    await until('it streams', () => answer.messages().length > 3);
    answer.close();
    await until('the server sees it', async () => (await raw.seen()).some((one) => one.body.includes('endless') && one.closedEarly));
});

test('a client that does not read does not fill the memory', async () => {
    const resident = () => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${tulle.child.pid}/status`, 'utf8'))[1]);
    await stillWorks();
    const before = resident();
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'huge', arguments: { mb: 60 } } });
    const socket = connect(tulle.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.pause();
    socket.write(`POST /mcp/${connection.id} HTTP/1.1\r\nHost: localhost:${tulle.port}\r\nAuthorization: Bearer ${org.key}\r\n` +
        `Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const grown = resident() - before;
    socket.destroy();
    assert.ok(grown < 48 * 1024, `${grown} KiB grew for one idle reader`);
    await stillWorks();
});

test('initialize that fails is told, and the next try works', async () => {
    for (const [what, plan] of Object.entries({
        'status 500': { name: 'status', status: 500 }, 'bad JSON': { name: 'invalid_json' }, reset: { name: 'reset' }, 'not there': { name: 'status', status: 404 },
    })) {
        const fresh = await tulle.connect(org, { name: `initialize ${what}`, url: raw.url });
        await raw.plan({ initialize: plan });
        const bare = await tulle.callTool(fresh, 'echo', { text: 'x' }, org);
        isFailure(bare, what);
        const { body } = await rpc(fresh.mcp, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } }, org);
        assert.equal(body.error.code, -32603, what);
        await raw.plan({});
        assert.equal((await tulle.callTool(fresh, 'echo', { text: 'back' }, org)).body.result.content[0].text, 'back', what);
    }
});

test('a lost session is opened anew for those who hold none', async () => {
    await stillWorks();
    await raw.plan({ 'tools/list': { name: 'session_lost' } });
    isFailure(await rpc(connection.mcp, 'tools/list', {}, org), 'lost for good');
    await raw.plan({});
    assert.ok((await rpc(connection.mcp, 'tools/list', {}, org)).body.result.tools.length > 0);
});

test('a server that is down is -32603, and back when it is back', async () => {
    const down = await tulle.connect(org, { name: 'down', url: 'http://127.0.0.1:9/mcp' });
    isFailure(await tulle.callTool(down, 'echo', {}, org), 'down');
    await tulle.use('CONNECTION_UPDATE', { connection_id: down.id, url: raw.url }, org);
    await until('the new address is used', async () => (await tulle.callTool(down, 'echo', { text: 'up' }, org)).body.result, 5000);
});

test('an address that is no longer allowed is refused at the call, with the line to add', async () => {
    const own = await startTulle({ env: { EGRESS_ALLOW: '10.11.12.13:443' } });
    const owner = await own.makeOrg('egress');
    const inside = await own.connect(owner, { name: 'inside', url: 'https://10.11.12.13/mcp' });
    await own.stop();
    delete own.env.EGRESS_ALLOW;
    await own.serve();
    const answer = await own.callTool(inside, 'echo', {}, owner);
    isFailure(answer, 'a private address');
    assert.equal(answer.body.error.data.reason, 'egress_refused');
    assert.match(answer.body.error.message, /10\.11\.12\.13:443.*EGRESS_ALLOW|EGRESS_ALLOW.*10\.11\.12\.13:443/);
    await own.end();
});

test('other spellings of private addresses are refused too', async () => {
    for (const address of ['169.254.169.254', '192.168.1.1', '[fd00::1]', '[::ffff:10.0.0.1]', '0.0.0.0', '167772161', '0x0a.1', '012.1']) {
        const made = await tulle.tool('CONNECTION_CREATE', { name: 'spelled', url: `https://${address}/mcp` }, org);
        if (made.status === 200) isFailure(await tulle.callTool({ mcp: `${tulle.url}/mcp/${made.body.item.id}` }, 'echo', {}, org), address);
        else assert.ok([400, 422].includes(made.status), `${address}: ${made.text}`);
    }
});

test('Tulle does not call itself', async () => {
    const made = await tulle.tool('CONNECTION_CREATE', { name: 'itself', url: `${tulle.url}/mcp` }, org);
    if (made.status !== 200) return assert.equal(made.status, 422, made.text);
    return isFailure(await rpc(`${tulle.url}/mcp/${made.body.item.id}`, 'tools/list', {}, org), 'Tulle itself');
});
