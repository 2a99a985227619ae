// Servers that use their transport against Tulle, or against the other callers: what they may cost, and what stays apart.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { e2ePath, freePort, until } from './lib/children.mjs';
import { rpc, send } from './lib/http.mjs';
import { marked } from './lib/processes.mjs';
import { startTulle } from './lib/tulle.mjs';

const mark = `hostile-transports-${process.pid}`;
const listeners = [];
let tulle, org, other, dir;
before(async () => {
    tulle = await startTulle();
    org = await tulle.makeOrg('acme');
    other = await tulle.makeKey(org.slug, org.email);
    dir = mkdtempSync(join(tmpdir(), 'tulle-hostile-'));
});
after(async () => {
    for (const listener of listeners) {
        listener.closeAllConnections();
        listener.close();
    }
    if (dir) rmSync(dir, { recursive: true, force: true });
    await tulle?.end();
    assert.deepEqual(marked(mark), [], 'a program outlived Tulle');
});

const metric = async (name) => Number((await tulle.metrics()).match(new RegExp(`^${name} (\\d+)$`, 'm'))[1]);
const textIn = ({ body }) => body.result.content[0].text;

/** A server in this process; its address. */
async function serve(handle) {
    const listener = createServer(handle);
    listeners.push(listener);
    await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${listener.address().port}`;
}

async function bodyOf(req) {
    let text = '';
    for await (const chunk of req) text += chunk;
    return JSON.parse(text);
}

// ---- a hand-written server over a pipe ----

const program = (name, more = {}) => tulle.connect(org, {
    name, command: process.execPath, args: [e2ePath('servers/stdio_modern_raw.mjs'), `${mark}-${name}`, ...(more.args ?? [])], ...(more.metadata && { metadata: more.metadata }),
});
const call = (connection, name, { key = org.key, ...options } = {}) => tulle.callTool(connection, name, {}, { key, ...options });

test('the error of a first call does not end the process that serves the next ones', async () => {
    const connection = await program('first-error');
    assert.ok(Number(textIn(await call(connection, 'pid'))) > 0); // the era is known from here on
    const before_ = await metric('tulle_process_starts_total');
    assert.match((await call(connection, 'no_such_tool', { key: other })).body.error.message, /no such tool/);
    const pid = textIn(await call(connection, 'pid', { key: other }));
    assert.match((await call(connection, 'no_such_tool', { key: other })).body.error.message, /no such tool/);
    assert.equal(textIn(await call(connection, 'pid', { key: other })), pid);
    assert.equal(await metric('tulle_process_starts_total') - before_, 1);
});

test('a program of the stateless era that begins to end at once is not started again and again', async () => {
    const flag = join(dir, 'broken');
    const connection = await program('breaks', { args: [flag] });
    assert.ok(Number(textIn(await call(connection, 'pid'))) > 0);
    writeFileSync(flag, '');
    assert.match((await call(connection, 'exit')).body.error.message, /ended/);
    const before_ = await metric('tulle_process_starts_total');
    let last;
    for (let i = 0; i < 20; i++) last = (await call(connection, 'pid')).body.error.message;
    assert.match(last, /failed \d+ times in a row .*again in \d+ s/);
    assert.ok(await metric('tulle_process_starts_total') - before_ < 15, 'the pauses grow');
});

test('what a shared process says without a name reaches none of its callers', async () => {
    const connection = await program('gossip', { metadata: { shared_process: true } });
    const heard = await call(connection, 'gossip');
    assert.equal(textIn(heard), 'said');
    assert.doesNotMatch(heard.text, /another caller's secret/);
    const asked = await call(connection, 'ask');
    assert.match(textIn(asked), /nobody to ask/);
    assert.doesNotMatch(asked.text, /another caller's secret/);
});

test("one caller of a shared process cannot cancel another's call by its id", async () => {
    const connection = await program('cancels', { metadata: { shared_process: true } });
    assert.ok(Number(textIn(await call(connection, 'pid'))) > 0);
    const held = rpc(connection.mcp, 'tools/call', { name: 'hold', arguments: {} }, { key: org.key, id: 4711 });
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'notifications/cancelled', accept: 'application/json, text/event-stream' };
    const body = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 4711, _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } } };
    await until('it is held', async () => textIn(await call(connection, 'cancelled', { key: other })) === '[]');
    await send(connection.mcp, { key: other, headers, body });
    assert.equal(textIn(await call(connection, 'cancelled', { key: other })), '[]');
    assert.equal(textIn(await call(connection, 'release', { key: other })), 'done');
    assert.equal(textIn(await held), 'released');
});

test('a burst of beginnings does not get more processes than the cap and those that are just ending', async () => {
    const connection = await tulle.connect(org, { name: 'burst', command: process.execPath, args: [e2ePath('servers/stdio_raw.mjs'), `${mark}-burst`, 'stubborn'] });
    const begin = () => rpc(connection.mcp, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'burst', version: '1' } }, { key: org.key });
    const before_ = await metric('tulle_channels');
    for (let i = 0; i < 16; i++) assert.ok((await begin()).body.result);
    let most = 0;
    let isOver = false;
    const watch = (async () => {
        while (!isOver) most = Math.max(most, await metric('tulle_channels') - before_);
    })();
    const answers = await Promise.all(Array.from({ length: 40 }, begin));
    isOver = true;
    await watch;
    assert.ok(most <= 32, `${most} processes`);
    assert.ok(answers.some(({ body }) => body.result), 'those that are idle give way');
    await tulle.use('CONNECTION_DISABLE', { connection_id: connection.id }, org);
    await until('all have ended', () => marked(`${mark}-burst`).length === 0, 60_000);
});

test('a personal credential cannot make a program run something else', async () => {
    const connection = await tulle.connect(org, {
        name: 'personal', command: process.execPath, args: [e2ePath('servers/stdio_raw.mjs'), `${mark}-personal`], credential_scope: 'user',
    });
    const set = (env) => ['CONNECTION_CREDENTIAL_SET', { connection_id: connection.id, env }];
    for (const name of ['NODE_OPTIONS', 'LD_PRELOAD', 'PATH', 'PYTHONPATH', 'npm_config_registry', 'BASH_ENV', 'HOME', 'GLIBC_TUNABLES', 'JAVA_TOOL_OPTIONS', 'GIT_SSH_COMMAND']) {
        const { message } = await tulle.refuse(...set({ TOKEN: 'x', [name]: '--import=data:text/javascript,process.exit(0)' }), org, 422);
        assert.match(message, new RegExp(name));
    }
    await tulle.use(...set({ TOKEN: 'mine', GOOGLE_APPLICATION_CREDENTIALS: '/x', GITHUB_TOKEN: 'y', GODADDY_ID: 'z', GIT_TOKEN: 't' }), org);
    const { env } = JSON.parse(textIn(await call(connection, 'env')));
    assert.deepEqual([env.TOKEN, env.GITHUB_TOKEN, env.NODE_OPTIONS], ['mine', 'y', undefined]);
    await tulle.use('CONNECTION_DISABLE', { connection_id: connection.id }, org);
});

// ---- a server of HTTP+SSE ----

test('a server that pings without end and takes no answer costs a bounded number of them', async () => {
    const streams = new Map();
    let waiting = 0;
    let most = 0;
    let n = 0;
    const base = await serve(async (req, res) => {
        const url = new URL(req.url, 'http://localhost');
        if (req.method === 'GET') {
            const id = String(++n);
            streams.set(id, res.writeHead(200, { 'content-type': 'text/event-stream' }));
            return res.write(`event: endpoint\ndata: /messages?id=${id}\n\n`);
        }
        const stream = streams.get(url.searchParams.get('id'));
        if (req.method !== 'POST' || !stream) return res.writeHead(404).end();
        const say = (message) => stream.write(`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
        const { id, method, params } = await bodyOf(req);
        if (method === undefined) { // an answer to a ping: never taken
            most = Math.max(most, ++waiting);
            return res.on('close', () => waiting--);
        }
        res.writeHead(202).end();
        if (method === 'initialize') return say({ id, result: { protocolVersion: '2024-11-05', capabilities: { tools: {} }, serverInfo: { name: 'pings', version: '1' } } });
        if (method !== 'tools/call') return id === undefined ? undefined : say({ id, result: { tools: [{ name: 'flood', inputSchema: { type: 'object' } }] } });
        if (params.name === 'flood') for (let i = 0; i < 2000; i++) say({ id: `ping-${i}`, method: 'ping' });
        return say({ id, result: { content: [{ type: 'text', text: 'flooded' }] } });
    });
    const connection = await tulle.connect(org, { name: 'pings', url: `${base}/sse`, transport: 'sse' });
    for (let i = 0; i < 3; i++) {
        assert.equal(textIn(await call(connection, 'flood')), 'flooded');
        await until('answers are on their way', () => most >= 1);
    }
    assert.ok(most <= 48, `${most} answers at once`); // 16 of each stream
});

// ---- a server that is gone, and comes back as something else ----

test('a server that was left alone and is now reached over another transport is forgotten', async () => {
    const url = `http://127.0.0.1:${await freePort()}/mcp`;
    for (const transport of ['sse', 'auto']) {
        const connection = await tulle.connect(org, { name: `moves to ${transport}`, url, transport: 'streamable-http' });
        const look = () => tulle.use('CONNECTION_GET', { connection_id: connection.id }, org);
        for (let i = 0; i < 8; i++) await call(connection, 'echo');
        assert.notEqual((await look()).health.breaker, 'closed');
        await tulle.use('CONNECTION_UPDATE', { connection_id: connection.id, transport }, org);
        if (transport === 'sse') await until('it is forgotten', async () => (await look()).health.breaker === 'closed', 60_000);
        for (let i = 0; i < 20; i++) assert.equal((await send(`${tulle.url}/metrics`, { method: 'GET' })).status, 200);
    }
});

// ---- framing ----

test('an answer in any number of small pieces arrives whole', async () => {
    const pieces = 15_000;
    const url = await serve(async (req, res) => {
        if (req.method !== 'POST') return res.writeHead(405).end();
        const { id, method } = await bodyOf(req);
        const says = (result) => JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'complete', ...result } });
        if (method !== 'tools/call') {
            res.writeHead(200, { 'content-type': 'application/json' });
            return res.end(says(method === 'server/discover' ? { supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, ttlMs: 0, cacheScope: 'private' }
                : { tools: [{ name: 'echo', inputSchema: { type: 'object' } }], ttlMs: 0, cacheScope: 'private' }));
        }
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        for (let i = 0; i < pieces; i++) if (!res.write(`: ${i}\n`)) await new Promise((resolve) => res.once('drain', resolve));
        return res.end(`data: ${says({ content: [{ type: 'text', text: 'whole' }] })}\n\n`);
    });
    const connection = await tulle.connect(org, { name: 'pieces', url, transport: 'streamable-http' });
    const answer = await call(connection, 'echo');
    assert.ok(answer.body?.result, answer.text.slice(0, 500));
    assert.equal(textIn(answer), 'whole');
});
