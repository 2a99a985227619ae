// A server that goes away: it is left alone after a row of failures, and found again without anybody's call.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { startRaw } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { freePort, until } from './lib/children.mjs';

let tulle, org, raw;
before(async () => {
    [tulle, raw] = await Promise.all([startTulle(), startRaw({ isModern: true })]);
    org = await tulle.makeOrg('acme');
});
after(() => tulle?.end());

const call = (connection) => tulle.callTool(connection, 'echo', { text: 'hello' }, { key: org.key });
const look = ({ id }) => tulle.use('CONNECTION_GET', { connection_id: id }, org);
const counter = async (name) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(await tulle.metrics())[1]);

/** Calls until the breaker refuses; the refusing answer. */
async function callUntilOpen(connection) {
    for (let i = 0; i < 20; i++) {
        const { status, body } = await call(connection);
        assert.equal(status, 200);
        assert.equal(body.error.code, -32603);
        if (/left alone/.test(body.error.message)) return body.error;
    }
    throw new Error('20 failures in a row, and the server is still called');
}

test('a server that is gone is left alone after a row of failures, and found again by a probe when it is back', async () => {
    const connection = await tulle.connect(org, { name: 'comes and goes', url: raw.url });
    assert.equal((await look(connection)).item.status, 'unknown');
    assert.equal((await call(connection)).body.result.content[0].text, 'hello');
    await until('the success is noted', async () => (await look(connection)).item.status === 'healthy');
    await raw.stop();

    const { message } = await callUntilOpen(connection);
    assert.match(message, /failed \d+ times in a row/);
    assert.match(message, /next try is in \d+ s/);
    await until('the failure is noted', async () => (await look(connection)).item.status === 'down');
    const { health } = await look(connection);
    assert.notEqual(health.breaker, 'closed');
    assert.ok(health.failures >= 5, JSON.stringify(health));
    assert.match(health.reason, /refused the connection/);
    assert.ok(await counter('tulle_breaker_opened_total') >= 1);
    assert.ok(await counter('tulle_breaker_refused_total') >= 1);

    raw = await startRaw({ isModern: true, port: raw.port });
    await until('the probe finds it', async () => (await look(connection)).health.breaker === 'closed', 60_000);
    const seen = await raw.seen();
    assert.ok(seen.length >= 1 && seen.every(({ body }) => body.includes('server/discover')), 'only probes went there');
    assert.ok(seen.every(({ headers }) => !headers.authorization), 'a probe carries no credential');
    await until('the recovery is noted', async () => (await look(connection)).item.status === 'healthy');
    assert.equal((await call(connection)).body.result.content[0].text, 'hello');
});

test('probes open no sessions', async () => {
    const server = await startRaw();
    const connection = await tulle.connect(org, { name: 'with sessions', url: server.url });
    assert.equal((await call(connection)).body.result.content[0].text, 'hello');
    await server.stop();
    await callUntilOpen(connection);
    const again = await startRaw({ port: server.port });
    await until('the probe finds it', async () => (await look(connection)).health.breaker === 'closed', 60_000);
    assert.deepEqual((await again.seen()).filter(({ body }) => body.includes('initialize')), []);
    await again.stop();
});

test('errors that a server answers with do not open the breaker: it is there', async () => {
    const server = await startRaw({ isModern: true });
    const connection = await tulle.connect(org, { name: 'there but cross', url: server.url });
    for (let i = 0; i < 12; i++) {
        const { body } = await tulle.callTool(connection, 'status', { status: 500 + i % 2 }, { key: org.key });
        assert.doesNotMatch(body.error.message, /left alone/);
    }
    assert.equal((await look(connection)).health.breaker, 'closed');
    await server.stop();
});

test('a gateway that says 502 in a row counts as a server that is away', async () => {
    const port = await freePort();
    const gateway = createServer((_req, res) => res.writeHead(502).end()).listen(port, '127.0.0.1');
    const connection = await tulle.connect(org, { name: 'behind a gateway', url: `http://127.0.0.1:${port}/mcp` });
    assert.match((await callUntilOpen(connection)).message, /HTTP 502/);
    gateway.close();
});

test('one connection\'s breaker is no other\'s, and a deleted connection is forgotten', async () => {
    const port = await freePort();
    const dead = await tulle.connect(org, { name: 'dead', url: `http://127.0.0.1:${port}/mcp` });
    const twin = await tulle.connect(org, { name: 'twin', url: `http://127.0.0.1:${port}/mcp` });
    await callUntilOpen(dead);
    assert.doesNotMatch((await call(twin)).body.error.message, /left alone/);
    await tulle.use('CONNECTION_DELETE', { connection_id: dead.id, confirm: 'dead' }, org);
    await tulle.refuse('CONNECTION_GET', { connection_id: dead.id }, org, 404);
});
