// Answers that are too large to hold: with their length where the server has told it, whole or not at all.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { startTulle } from './lib/tulle.mjs';
import { open, rpc } from './lib/http.mjs';
import { openSession } from './lib/sessions.mjs';
import { speak } from './lib/speakers.mjs';
import { until } from './lib/children.mjs';
import { lockAudit } from './lib/store.mjs';

const BYTES = 1_500_000;
const text = 'æ'.repeat(BYTES / 2);
/** The members of an answer, as a server may order and write them. */
const shapes = {
    last: (id) => `{"result":{"content":[{"type":"text","text":"${text}"}]},"jsonrpc":"2.0","id":${id}}`,
    first: (id) => `{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"${text}"}]}}`,
    spaced: (id) => `\r\n { "result" : {"content":[{"type":"text","text":"${text}"}]}\t, "id" : ${id} , "jsonrpc":"2.0"}\n\n`,
};
/** How the answer leaves the server: (res, bytes). */
const ways = {
    sized: (res, bytes) => res.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length }).end(bytes),
    both: (res, bytes, length) => {
        res.socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\nTransfer-Encoding: chunked\r\n\r\n${bytes.length.toString(16)}\r\n`);
        res.socket.write(bytes);
        res.socket.end('\r\n0\r\n\r\n');
    },
    chunked: (res, bytes) => res.writeHead(200, { 'content-type': 'application/json' }).end(bytes),
    cut: (res, bytes) => {
        res.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length }).write(bytes.subarray(0, bytes.length - 3));
        setTimeout(() => res.destroy(), 200);
    },
    zipped: (res, bytes) => {
        const zipped = gzipSync(bytes, { level: 0 });
        res.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip', 'content-length': zipped.length }).end(zipped);
    },
};

let plan;
const server = createServer(async (req, res) => {
    if (req.method !== 'POST') return res.writeHead(405).end();
    const message = JSON.parse(Buffer.concat(await req.toArray()).toString());
    if (message.id === undefined) return res.writeHead(202).end();
    if (message.method === 'tools/call') return plan.way(res, Buffer.from(plan.shape(plan.id?.(message.id) ?? JSON.stringify(message.id))));
    const result = message.method === 'initialize'
        ? { protocolVersion: message.params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'large', version: '1' } } : undefined;
    res.writeHead(result || message.method !== 'server/discover' ? 200 : 400, { 'content-type': 'application/json', ...(result && { 'mcp-session-id': 'one' }) });
    return res.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...(result ? { result } : { error: { code: -32601, message: 'not offered' } }) }));
});

let tulle, org, connection;
before(async () => {
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    tulle = await startTulle({ env: { AUDIT_SYNC: '1' } });
    org = await tulle.makeOrg('acme');
    connection = await tulle.connect(org, { name: 'large', url: `http://127.0.0.1:${server.address().port}/mcp` });
});
after(() => {
    server.close().closeAllConnections();
    return tulle?.end();
});

const params = { name: 'any', arguments: {} };
const call = (id) => rpc(connection.mcp, 'tools/call', params, { key: org.key, id });
const opened = () => open(connection.mcp, { key: org.key, body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params } });

for (const shape of Object.keys(shapes))
    test(`the client is told the length that the server has told: id ${shape}`, async () => {
        for (const id of [1, 'i', 'a much longer id than any that the server sees \u{1f600} "quoted"']) {
            plan = { way: ways.sized, shape: shapes[shape] };
            const { status, headers, body, text: raw } = await call(id);
            assert.equal(status, 200);
            assert.equal(headers['content-length'], String(Buffer.byteLength(raw)));
            assert.equal(headers['transfer-encoding'], undefined);
            assert.deepEqual([body.id, body.result.content[0].text === text], [id, true]);
            plan.way = ways.chunked;
            const chunked = await call(id);
            assert.equal(chunked.headers['transfer-encoding'], 'chunked');
            assert.equal(chunked.text, raw, 'the same bytes either way');
        }
    });

/** As PHP and others write what they could write shorter. */
const escaped = (id) => JSON.stringify(id).replaceAll('/', '\\/').replaceAll(/[a-zïü]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);

test('a length beside chunks is not believed (RFC 9112, section 6.3)', async () => {
    for (const length of [400_000, 60_000_000]) {
        plan = { way: (res, bytes) => ways.both(res, bytes, length), shape: shapes.last };
        const { status, headers, body } = await call(5);
        assert.deepEqual([status, headers['content-length'], body.id, body.result?.content[0].text === text], [200, undefined, 5, true]);
    }
});

test('within a session ids of all kinds come back, however the server writes them', async () => {
    const session = await openSession(connection.mcp, org.key);
    for (const id of [7, 'seven-7', 'slash/ed', 'ünï', '"', '\\'])
        for (const write of [undefined, escaped])
            for (const shape of Object.values(shapes)) {
                plan = { way: ways.sized, shape, id: write };
                const { headers, body, text: raw } = await session.post({ jsonrpc: '2.0', id, method: 'tools/call', params });
                assert.deepEqual([body.id, body.result?.content[0].text === text], [id, true]);
                if (headers['content-length']) assert.equal(headers['content-length'], String(Buffer.byteLength(raw)));
                else assert.match(String(id), /["\\]/, 'only what has escapes of its own could come back shorter');
            }
});

test('another id than the one that was asked with is no answer', async () => {
    const long = JSON.stringify('0'.repeat(5000));
    const others = ['0', 'null', long, (given) => JSON.stringify(given.slice(0, -1) + (given.endsWith('1') ? '2' : '1'))];
    const modern = await speak('modern', connection.mcp, org.key);
    const asked = await speak('modern', connection.mcp, org.key, { capabilities: { elicitation: {} } });
    const kinds = { bare: opened, modern: () => modern.open('tools/call', params), asked: () => asked.open('tools/call', params) };
    for (const [kind, ask] of Object.entries(kinds))
        for (const way of [ways.sized, ways.chunked])
            for (const [name, shape] of Object.entries(shapes))
                for (const id of others) {
                    plan = { way, shape, id: typeof id === 'string' ? () => id : id };
                    const answer = await ask();
                    const isWhole = await answer.done;
                    // Where the id comes first nothing has begun yet, but for who may be asked meanwhile.
                    if (name === 'first' && id !== long && kind !== 'asked') assert.match(JSON.parse(answer.text()).error.message, /id does not match/);
                    else {
                        assert.equal(isWhole, false, `${kind} ${name} ${answer.text().slice(-300)}`);
                        assert.throws(() => JSON.parse(answer.text()));
                    }
                }
    plan = { way: ways.sized, shape: shapes.first };
    assert.equal((await call(2)).body.id, 2, 'the next one is whole');
});

test('what the server has cut off is cut off; what is no JSON from the beginning is said', async () => {
    plan = { way: ways.cut, shape: shapes.first };
    const cut = await opened();
    assert.equal(await cut.done, false);
    assert.throws(() => JSON.parse(cut.text()));
    for (const [way, shape] of [[ways.zipped, shapes.last], [ways.sized, (id) => `<html>${shapes.last(id)}`]]) {
        plan = { way, shape };
        const { status, body } = await call(3);
        assert.equal(status, 200);
        assert.match(body.error.message, /not valid JSON-RPC/);
    }
});

test('AUDIT_SYNC=1: the answer is complete when its row is durable, not before', async () => {
    for (const way of [ways.sized, ways.chunked]) {
        plan = { way, shape: shapes.last };
        const unlock = await lockAudit(tulle);
        const answer = await opened();
        await until('nearly all of it', () => answer.text().length > BYTES / 4);
        const isEarly = await Promise.race([answer.done.then(() => true), sleep(500, false)]);
        unlock();
        assert.equal(isEarly, false);
        assert.throws(() => JSON.parse(answer.text()));
        assert.equal(await answer.done, true);
        assert.equal(JSON.parse(answer.text()).result.content[0].text.length, text.length);
    }
});
