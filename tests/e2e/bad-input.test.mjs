// Hostile requests at the management server and at a connection: the named error, nothing written, everything usable after.
import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startRaw } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { rpc, send, sendRaw } from './lib/http.mjs';

let tulle, org, raw, connection, targets;
before(async () => {
    [tulle, raw] = await Promise.all([startTulle(), startRaw()]);
    org = await tulle.makeOrg('acme');
    connection = await tulle.connect(org, { name: 'target', url: raw.url });
    await tulle.callTool(connection, 'echo', { text: 'warm' }, org);
    targets = { management: `${tulle.url}/mcp`, proxy: connection.mcp };
});
after(() => tulle?.end());
afterEach(async () => {
    for (const url of Object.values(targets)) assert.ok((await rpc(url, 'tools/list', {}, org)).body.result, `${url} is usable`);
    assert.equal((await tulle.use('CONNECTION_LIST', {}, org)).total_count, 1, 'nothing was written');
});

const accept = { accept: 'application/json, text/event-stream' };
const post = (url, body, headers = {}) => send(url, { key: org.key, body, headers: { ...accept, ...headers } });

/** A test at both servers; nothing of it may reach the downstream server. */
function everywhere(what, check) {
    for (const name of ['management', 'proxy'])
        test(`${name}: ${what}`, async () => {
            await raw.forget();
            await check(targets[name]);
            assert.deepEqual((await raw.seen()).filter((request) => request.method === 'POST' && !request.body.includes('initialize')), []);
        });
}

const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}';
const malformed = {
    'truncated JSON': [call.slice(0, -2), -32700],
    'text after the value': [`${call} {}`, -32700],
    'a comment': [`/* */${call}`, -32700],
    'single quotes': [call.replaceAll('"', '\''), -32700],
    'NaN': [call.replace('"arguments":{}', '"arguments":{"n":NaN}'), -32700],
    'a leading byte order mark': [`\ufeff${call}`, -32700],
    'a NUL byte': [call.replace('echo', 'ec\0ho'), -32700],
    'a lone surrogate': [call.replace('echo', '\\ud800'), -32700],
    'bytes that are not UTF-8': [Buffer.from(call.replace('echo', 'ec\xc3(ho'), 'latin1'), -32700],
    'nesting too deep': [call.replace('"arguments":{}', `"arguments":{"a":${'['.repeat(200)}${']'.repeat(200)}}`), [-32700, -32600]],
    'a duplicate method': [call.replace('"id":1', '"id":1,"method":"tools/list"'), [-32700, -32600]],
    'a duplicate method in disguise': [call.replace('"id":1', '"id":1,"m\\u0065thod":"tools/list"'), [-32700, -32600]],
    'a duplicate tool name': [call.replace('"name":"echo"', '"name":"echo","n\\u0061me":"whoami"'), [-32700, -32600, -32602]],
    'a duplicate params': [call.replace('"id":1', '"id":1,"params":{}'), [-32700, -32600]],
    'an empty body': ['', [-32700, -32600]],
    'a bare string': ['"tools/list"', -32600],
    'no jsonrpc': [call.replace('"jsonrpc":"2.0",', ''), -32600],
    'jsonrpc 1.0': [call.replace('2.0', '1.0'), -32600],
    'an id that is null': [call.replace('"id":1', '"id":null'), -32600],
    'an id that is an object': [call.replace('"id":1', '"id":{}'), -32600],
    'an id that is fractional': [call.replace('"id":1', '"id":1.5'), -32600],
    'an id that is huge': [call.replace('"id":1', `"id":"${'x'.repeat(5000)}"`), -32600],
    'a method that is a number': [call.replace('"tools/call"', '5'), -32600],
    'params that are a string': [call.replace(/"params":.*}}}/, '"params":"x"}'), [-32600, -32602]],
};
for (const [what, [body, codes]] of Object.entries(malformed))
    everywhere(`${what} is refused`, async (url) => {
        const { status, body: answer, text } = await post(url, body);
        assert.equal(status, 400, text);
        assert.ok([codes].flat().includes(answer.error.code), text);
        assert.equal(answer.jsonrpc, '2.0');
    });

everywhere('a tool call without a name is -32602', async (url) => {
    for (const params of ['{}', '{"name":5}', '{"name":null}']) {
        const { body, text } = await post(url, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`);
        assert.equal(body.error.code, -32602, text);
    }
});

everywhere('a body over the limit is 413', async (url) => {
    const answer = await post(url, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', arguments: { text: 'x'.repeat(4.2 * 1024 * 1024) } } }))
        .catch((error) => ({ status: error.code }));
    assert.ok([413, 'EPIPE', 'ECONNRESET'].includes(answer.status), String(answer.status));
    const announced = await sendRaw(tulle.port, `POST ${new URL(url).pathname} HTTP/1.1\r\nHost: localhost:${tulle.port}\r\nAuthorization: Bearer ${org.key}\r\n` +
        'Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n{');
    assert.match(announced, /^HTTP\/1\.1 413 /);
});

everywhere('a batch is refused from 2025-06-18 on', async (url) => {
    const { status, body } = await post(url, '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', { 'mcp-protocol-version': '2025-06-18' });
    assert.deepEqual([status, body.error.code], [400, -32600]);
});

everywhere('a wrong content type is 415, an impossible Accept 406', async (url) => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', 'multipart/form-data; boundary=x'])
        assert.equal((await post(url, call, { 'content-type': type })).status, 415, type);
    assert.equal((await send(url, { key: org.key, body: call, headers: { accept: 'image/png' } })).status, 406);
});

everywhere('[257] a foreign Origin is 403, also with a valid token', async (url) => {
    for (const origin of ['https://evil.example', 'http://localhost.evil.example', 'null', 'http://127.0.0.1.evil.example:80', 'file://'])
        assert.equal((await post(url, call, { origin })).status, 403, origin);
});

test('a loopback Origin is welcome while BASE_URL is loopback, preflights too', async () => {
    const answer = await post(targets.management, '{"jsonrpc":"2.0","id":1,"method":"tools/list"}', { origin: 'http://localhost:6274' });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['access-control-allow-origin'], 'http://localhost:6274');
    const preflight = await send(targets.proxy, {
        method: 'OPTIONS',
        headers: { origin: 'http://localhost:6274', 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type,mcp-session-id' },
    });
    assert.ok([200, 204].includes(preflight.status));
    assert.match(preflight.headers['access-control-allow-headers'], /mcp-session-id/i);
});

everywhere('a wrong Host is refused and told BASE_URL', async (url) => {
    for (const host of ['evil.example', 'evil.example:80', 'localhost.evil.example', '169.254.169.254']) {
        const { status, text } = await post(url, call, { host });
        assert.ok(status >= 400 && status < 500 && status !== 401, `${host}: ${status}`);
        assert.ok(text.includes(`localhost:${tulle.port}`), text);
    }
});

everywhere('an unknown protocol version is refused with the known ones', async (url) => {
    const { status, body } = await post(url, '{"jsonrpc":"2.0","id":1,"method":"tools/list"}', { 'mcp-protocol-version': '1999-01-01' });
    assert.equal(status, 400);
    assert.ok([-32000, -32022, -32600, -32602].includes(body.error.code), JSON.stringify(body));
});

test('other methods at the management server are 405 with Allow', async () => {
    for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
        const { status, headers } = await send(targets.management, { method, key: org.key, headers: { accept: 'text/event-stream', 'mcp-protocol-version': '2025-11-25' } });
        assert.equal(status, 405, method);
        assert.match(headers.allow, /POST/);
    }
    assert.equal((await send(targets.proxy, { method: 'PUT', key: org.key })).status, 405);
    assert.equal((await send(`${tulle.url}/api/tools/USER_GET`, { method: 'GET', key: org.key })).status, 405);
});

test('an unknown method of MCP is -32601 at the management server', async () => {
    assert.equal((await rpc(targets.management, 'no/such/method', {}, org)).body.error.code, -32601);
});

const head = (...lines) => [`POST /mcp HTTP/1.1`, `Host: localhost:${tulle.port}`, `Authorization: Bearer ${org.key}`, 'Content-Type: application/json', ...lines, '', ''].join('\r\n');
const list = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const second = () => `GET /health HTTP/1.1\r\nHost: localhost:${tulle.port}\r\n\r\n`;
const smuggling = {
    'Content-Length with Transfer-Encoding': () => head(`Content-Length: ${list.length}`, 'Transfer-Encoding: chunked') + `0\r\n\r\n`,
    'two Content-Lengths': () => head(`Content-Length: ${list.length}`, 'Content-Length: 3') + list,
    'two equal Content-Lengths': () => head(`Content-Length: ${list.length}`, `Content-Length: ${list.length}`) + list,
    'two Transfer-Encodings': () => head('Transfer-Encoding: chunked', 'Transfer-Encoding: identity') + '0\r\n\r\n',
    'two Hosts': () => head('Host: evil.example', `Content-Length: ${list.length}`) + list,
    'two Authorizations': () => head('Authorization: Bearer other', `Content-Length: ${list.length}`) + list,
    'a Content-Length with a sign': () => head(`Content-Length: +${list.length}`) + list,
    'a negative Content-Length': () => head('Content-Length: -1') + list,
    'a space before the colon': () => head(`Content-Length : ${list.length}`) + list,
};
for (const [what, bytes] of Object.entries(smuggling))
    test(`request smuggling: ${what} is 400 and the connection ends`, async () => {
        const answer = await sendRaw(tulle.port, bytes() + second());
        assert.match(answer, /^HTTP\/1\.1 4\d\d /, answer.slice(0, 200));
        assert.ok(!/^HTTP\/1\.1 2/m.test(answer), `what follows is not read as a request: ${answer}`);
    });

test('no Host at all is 400', async () => {
    assert.match(await sendRaw(tulle.port, 'GET /health HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 4\d\d /);
});

test('a header block over the limit is refused, garbage too', async () => {
    assert.match(await sendRaw(tulle.port, head(`X-Big: ${'x'.repeat(100_000)}`)), /^HTTP\/1\.1 4\d\d |^$/);
    assert.match(await sendRaw(tulle.port, head(...Array.from({ length: 500 }, (_, i) => `X-${i}: y`))), /^HTTP\/1\.1 4\d\d |^$/);
    assert.match(await sendRaw(tulle.port, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc'), /^HTTP\/1\.[01] 4\d\d |^$/);
    assert.match(await sendRaw(tulle.port, `GET /${'a'.repeat(50_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`), /^HTTP\/1\.1 4\d\d |^$/);
});

test('paths are routed as they were sent', async () => {
    for (const path of ['/mcp%2fx', '/health%00', '/%6dcp/..%2f', '/mcp/../health/live/x', '//mcp', '/mcp/%'])
        assert.match(await sendRaw(tulle.port, `GET ${path} HTTP/1.1\r\nHost: localhost:${tulle.port}\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 4\d\d /, path);
});

test('[244 248] a token of the wrong shape is 401, not an error of ours', async () => {
    for (const token of ['', 'x', 'tulle_key_', `tulle_key_${'a'.repeat(9000)}`, '\x80\xff', 'a b', '\'; DROP TABLE users; --', '%00']) {
        const answer = await send(targets.management, { body: list, headers: { authorization: `Bearer ${token}` } }).catch((error) => ({ status: error.code }));
        assert.ok([400, 401, 431, 'ERR_INVALID_CHAR', 'ECONNRESET', 'EPIPE'].includes(answer.status), `${token.slice(0, 20)}: ${answer.status}`);
    }
    assert.equal((await send(targets.management, { body: list, headers: { authorization: `Basic ${Buffer.from('a:b').toString('base64')}` } })).status, 401);
});

test('forged ids and cursors of any shape are refused', async () => {
    for (const id of ['conn_', 'conn_XYZ', `conn_${'0'.repeat(31)}`, `conn_${'0'.repeat(33)}`, '../../etc/passwd', '\'; --', 'x'.repeat(1000)]) {
        const { status } = await tulle.tool('CONNECTION_GET', { connection_id: id }, org);
        assert.ok([400, 404].includes(status), `${id.slice(0, 40)}: ${status}`);
        assert.ok([400, 404].includes((await rpc(`${tulle.url}/mcp/${encodeURIComponent(id)}`, 'tools/list', {}, org)).status), id.slice(0, 40));
    }
});

test('a client that sends its request byte by byte is served', async () => {
    const { connect } = await import('node:net');
    const socket = connect(tulle.port, '127.0.0.1').setNoDelay(true);
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk));
    for (const byte of head(`Content-Length: ${list.length}`, 'Connection: close') + list) {
        socket.write(byte);
        await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => socket.on('close', resolve));
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.match(answer, /CONNECTION_LIST/);
});
