// CONNECTION_TEST: what was tried, step by step, and what is wrong.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startRaw, startV2 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { freePort } from './lib/children.mjs';

let tulle, org;
before(async () => {
    tulle = await startTulle();
    org = await tulle.makeOrg('acme');
});
after(() => tulle?.end());

/** Registers url and tests it: the answer, with steps by name. */
async function tested(name, url) {
    const connection = await tulle.connect(org, { name, url });
    const answer = await tulle.use('CONNECTION_TEST', { connection_id: connection.id }, org);
    for (const step of answer.steps) {
        assert.equal(typeof step.ok, 'boolean', JSON.stringify(step));
        assert.ok(Number.isInteger(step.ms) && step.ms >= 0, JSON.stringify(step));
        assert.equal(typeof step.detail, 'string', JSON.stringify(step));
    }
    const { item } = await tulle.use('CONNECTION_GET', { connection_id: connection.id }, org);
    assert.equal(item.status, answer.status, 'what was found is noted');
    return { ...answer, connection, step: (wanted) => answer.steps.find((step) => step.name === wanted) };
}

test('a stateless server: address, connection, HTTP, era, capabilities and tools', async () => {
    const server = await startV2({ isModernOnly: true });
    const result = await tested('stateless', server.url);
    assert.equal(result.ok, true, JSON.stringify(result.steps));
    assert.deepEqual([result.status, result.era], ['healthy', 'stateless']);
    for (const name of ['address', 'credential', 'connect', 'http', 'era', 'capabilities', 'tools'])
        assert.equal(result.step(name)?.ok, true, `${name}: ${JSON.stringify(result.steps)}`);
    assert.match(result.step('capabilities').detail, /tools/);
    assert.ok(result.tool_count > 0);
    await server.stop();
});

test('a session server: initialize is tried, and its session is ended again', async () => {
    const server = await startRaw();
    const result = await tested('sessions', server.url);
    assert.deepEqual([result.ok, result.status, result.era], [true, 'healthy', 'session']);
    assert.equal(result.step('initialize').detail, '2025-11-25');
    assert.equal(result.step('capabilities').detail, 'tools, resources, prompts, completions');
    assert.ok((await server.seen()).some(({ method }) => method === 'DELETE'));
    await server.stop();
});

test('a server that wants OAuth: the step names where its metadata is', async () => {
    const server = await startRaw({ isModern: true });
    const metadata = `${server.origin}/.well-known/oauth-protected-resource/mcp`;
    await server.plan({ 'server/discover': {
        name: 'status', status: 401, headers: { 'www-authenticate': `Bearer resource_metadata="${metadata}", error="invalid_token"` },
    } });
    const result = await tested('wants oauth', server.url);
    assert.deepEqual([result.ok, result.status], [false, 'needs_authorization']);
    assert.equal(result.step('http').ok, true);
    assert.ok(result.step('authorization').detail.includes(metadata), result.step('authorization').detail);
    await server.plan({ 'server/discover': { name: 'status', status: 403 } });
    const refused = await tested('refuses', server.url);
    assert.deepEqual([refused.ok, refused.status], [false, 'needs_authorization']);
    assert.match(refused.step('authorization').detail, /HTTP 403/);
    await server.stop();
});

test('a server that is not there: the step says so, again and again, whatever the breaker says', async () => {
    const port = await freePort();
    const { connection, ...result } = await tested('gone', `http://127.0.0.1:${port}/mcp`);
    assert.deepEqual([result.ok, result.status, result.tool_count], [false, 'down', null]);
    assert.match(result.step('http').detail, /refused the connection/);
    for (let i = 0; i < 8; i++) {
        const { steps } = await tulle.use('CONNECTION_TEST', { connection_id: connection.id }, org);
        assert.match(steps.at(-1).detail, /refused the connection/);
    }
    const server = await startRaw({ isModern: true, port });
    const again = await tulle.use('CONNECTION_TEST', { connection_id: connection.id }, org);
    assert.deepEqual([again.ok, again.status], [true, 'healthy'], JSON.stringify(again.steps));
    await server.stop();
});

test('a name that does not resolve, and an address that no MCP server has', async () => {
    const nowhere = await tulle.tool('CONNECTION_CREATE', { name: 'nowhere', url: 'https://nothing.invalid/mcp' }, org);
    assert.equal(nowhere.status, 200, nowhere.text);
    const { steps } = await tulle.use('CONNECTION_TEST', { connection_id: nowhere.body.item.id }, org);
    assert.match(steps.at(-1).detail, /name/);
    const server = await startRaw();
    const result = await tested('no mcp', `${server.origin}/_seen`);
    assert.equal(result.ok, false, JSON.stringify(result.steps));
    assert.equal(result.step('http').ok, true);
    await server.stop();
});
